//! Server-side apply: lays a manager's configuration over the live object, takes out what the manager no longer
//! declares and nobody else owns, and refuses to change what others own unless it is forced to.
//! The result is not defaulted; ownership does not depend on defaults, so the registry defaults it afterwards.

use serde_json::{Map, Value};

use super::fields::FieldSet;
use super::managed::{self, Managed, Manager, Operation, Owned};
use super::schema::{self, Type};
use super::{structure, typed};
use crate::object::custom::Described;
use crate::object::error::About;
use crate::object::{ApiError, Cause, Reason};

/// Owner of what an object held before anybody's fields were tracked.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// The manager of `kubectl apply --server-side`, which takes over from client-side apply.
const KUBECTL: &str = "kubectl";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Who applies, and how.
#[derive(Clone, Copy, Debug)]
pub struct Applier<'a> {
    pub manager: &'a str,
    /// Take over fields that others own.
    pub force: bool,
    pub subresource: Option<&'a str>,
    /// RFC 3339, for the manager's entry.
    pub now: &'a str,
}

/// A field that somebody else owns.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    pub manager: Manager,
    /// `.spec.template.spec.containers[name="c"].image`
    pub path: String,
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ApplyError {
    #[error("{}", conflict_message(.0))]
    Conflicts(Vec<Conflict>),
    #[error("invalid object type: {0}")]
    WrongType(String),
    #[error("metadata.managedFields must be nil")]
    ManagedFieldsGiven,
    #[error("failed to create typed patch object ({object}): {problem}")]
    BadConfig { object: String, problem: String },
}

/// Applies `config` to `live` (`None`: the object is created). The object that comes back has its
/// `managedFields` set, is not defaulted, and keeps what the server owns in `live`.
///
/// # Errors
/// When others own what it changes and `force` is not set, and when `config` is not an object of the kind.
pub fn apply<'a>(
    kind: impl Into<Described<'a>>,
    live: Option<&Value>,
    config: &Value,
    by: &Applier,
) -> Result<Value, ApplyError> {
    let kind = kind.into();
    check(kind, config)?;
    let fields = schema::of(kind);
    let config = within_reach(kind, config, by.subresource);
    let blank = live.is_none().then(|| schema::blank(kind));
    let live = live.or(blank.as_ref()).unwrap_or(&Value::Null);
    let managed = tracked(kind, live, by);
    let mut result = match attempt(kind, live, &config, &managed, by) {
        Err(ApplyError::Conflicts(conflicts)) if by.manager == KUBECTL => {
            let excused = from_last_applied(fields, live);
            let left: Vec<Conflict> = conflicts.into_iter().filter(|c| !excused.contains(&c.path)).collect();
            if !left.is_empty() {
                return Err(ApplyError::Conflicts(left));
            }
            attempt(kind, live, &config, &managed, &Applier { force: true, ..*by })
        }
        outcome => outcome,
    }?;
    if by.manager == KUBECTL && !result["metadata"]["annotations"][LAST_APPLIED].is_null() {
        result["metadata"]["annotations"][LAST_APPLIED] = last_applied(&config).into();
    }
    Ok(result)
}

fn attempt(
    kind: Described<'_>,
    live: &Value,
    config: &Value,
    before: &Managed,
    by: &Applier,
) -> Result<Value, ApplyError> {
    let fields = schema::of(kind);
    let writer = Manager::new(kind, by.manager, Operation::Apply, by.subresource);
    let mut live = live.clone();
    if let Some(metadata) = live.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    let last = before.get(&writer).cloned();
    let mut managed = before.clone();
    let owned = structure::fields_of(fields, config).without(&managed::out_of_reach(kind, by.subresource));
    let time = last.as_ref().and_then(|owned| owned.time.clone());
    let owns = Owned { api_version: kind.api_version(), fields: owned, time };

    let merged = structure::merge(fields, &live, config);
    let mut appliers = owns.fields.clone();
    for (_, other) in managed.iter().filter(|(m, _)| m.operation == Operation::Apply && **m != writer) {
        appliers = appliers.union(&other.fields);
    }
    let mut result = match &last {
        Some(last) if !last.fields.is_empty() => prune(fields, &merged, &last.fields, &appliers),
        _ => merged,
    };
    let change = managed::compare(kind, &live, &result).without(&managed::out_of_reach(kind, by.subresource));
    let contested = managed.contested(Some(&writer), &change);
    if !by.force && !contested.is_empty() {
        let conflicts = contested.into_iter().flat_map(|(manager, fields)| {
            fields.paths().into_iter().map(move |path| Conflict { manager: manager.clone(), path })
        });
        return Err(ApplyError::Conflicts(conflicts.collect()));
    }
    managed.yield_to(Some(&writer), &change);
    // The time is that of the manager's last change of a value; owning more or less alone does not move it.
    let time = if schema::same(schema::Form::Fields, &live, &result) { owns.time } else { Some(by.now.to_owned()) };
    let owned = owns.fields.difference(&managed::server_owned());
    managed.set(writer, Owned { api_version: owns.api_version, fields: owned, time });
    structure::drop_nulls(fields, &mut result);
    managed.store(&mut result);
    Ok(result)
}

/// Takes out of `merged` what the manager declared the last time (`last`) and no applier, itself included, owns now.
fn prune(fields: Type<'_>, merged: &Value, last: &FieldSet, appliers: &FieldSet) -> Value {
    let last = last.with_leading_fields();
    let present = |value: &Value| structure::fields_of(fields, value).with_leading_fields();
    let everything = present(merged);
    let pruned = structure::remove(fields, merged, &last);
    // Taking out an entry took all of it: bring back what is in it and owned by an applier,
    let unowned = everything.difference(&present(&pruned).union(&appliers.with_leading_fields()));
    let pruned = structure::remove(fields, merged, &unowned);
    // and what is in it and never was this manager's.
    let gone = everything.difference(&present(&pruned)).intersection(&last);
    structure::remove(fields, merged, &gone)
}

/// The managers of the live object. What an object holds whose fields nobody tracked is owned by a manager of its own.
fn tracked(kind: Described<'_>, live: &Value, by: &Applier) -> Managed {
    let mut managed = Managed::of(kind, live);
    if managed.is_empty() {
        let reach = managed::out_of_reach(kind, by.subresource);
        let change = managed::compare(kind, &schema::blank(kind), live).without(&reach);
        let writer = Manager::new(kind, BEFORE_FIRST_APPLY, Operation::Update, by.subresource);
        managed.update(writer, kind.api_version(), &change, by.now);
    }
    managed
}

fn check(kind: Described<'_>, config: &Value) -> Result<(), ApplyError> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, name) = (text(&config["apiVersion"]), text(&config["kind"]));
    let shown = match api_version.contains('/') {
        true => format!("{api_version}, Kind={name}"),
        false => format!("/{api_version}, Kind={name}"),
    };
    if api_version != kind.api_version() || name != kind.kind {
        return Err(ApplyError::WrongType(shown));
    }
    let metadata = &config["metadata"];
    if metadata["managedFields"].as_array().is_some_and(|entries| !entries.is_empty()) {
        return Err(ApplyError::ManagedFieldsGiven);
    }
    let object = || format!("{}/{}; {shown}", text(&metadata["namespace"]), text(&metadata["name"]));
    if !(metadata.is_null() || metadata.is_object()) {
        let problem = ".metadata: expected map".to_owned();
        return Err(ApplyError::BadConfig { object: object(), problem });
    }
    let problem = typed::problem(kind, config)
        .or_else(|| structure::check(schema::of(kind), config).err().map(|bad| bad.to_string()));
    problem.map_or(Ok(()), |problem| Err(ApplyError::BadConfig { object: object(), problem }))
}

/// The configuration without what this door cannot change.
fn within_reach(kind: Described<'_>, config: &Value, subresource: Option<&str>) -> Value {
    let mut config = match structure::remove(schema::of(kind), config, &managed::out_of_reach(kind, subresource)) {
        Value::Null => Value::Object(Map::new()),
        config => config,
    };
    match config["metadata"].as_object_mut() {
        Some(metadata) => {
            metadata.remove("managedFields");
        }
        None => config["metadata"] = Value::Object(Map::new()),
    }
    config
}

/// The paths that client-side apply set and that still are as it set them.
fn from_last_applied(fields: Type<'_>, live: &Value) -> Vec<String> {
    let text = live["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap_or_default();
    let Ok(last) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let change = structure::compare(fields, &last, live);
    let set = structure::fields_of(fields, &last);
    set.difference(&change.modified).difference(&change.added).difference(&change.removed).paths()
}

fn last_applied(config: &Value) -> String {
    let mut config = config.clone();
    if let Some(annotations) = config["metadata"].get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    format!("{config}\n")
}

fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", only.manager, only.path);
    }
    let mut lines = Vec::new();
    let mut current = None;
    for Conflict { manager, path } in conflicts {
        if current != Some(manager) {
            lines.push(format!("conflicts with {manager}:"));
            current = Some(manager);
        }
        lines.push(format!("- {path}"));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

impl From<ApplyError> for ApiError {
    fn from(error: ApplyError) -> Self {
        let message = error.to_string();
        match error {
            ApplyError::Conflicts(conflicts) => {
                let cause = |conflict: Conflict| Cause {
                    reason: "FieldManagerConflict".into(),
                    message: format!("conflict with {}", conflict.manager),
                    field: conflict.path,
                };
                let causes = conflicts.into_iter().map(cause).collect();
                Self { causes, about: Some(Box::new(About::default())), ..Self::new(Reason::Conflict, message) }
            }
            ApplyError::WrongType(_) | ApplyError::ManagedFieldsGiven => Self::bad_request(message),
            ApplyError::BadConfig { .. } => Self::new(Reason::Unknown, message),
        }
    }
}
