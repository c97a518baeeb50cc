//! The scale subresource: an `autoscaling/v1` Scale that stands for a workload's replicas.

use serde_json::{Value, json};

use super::custom;
use super::options::{Patch, Target, WriteOptions};
use super::ownership;
use super::patch::patched;
use super::request;
use super::transaction::Transaction;
use super::update::Owned;
use crate::object::custom::Described;
use crate::object::kinds::Subresource;
use crate::object::{ApiError, Cause, ObjectKey, Reason};

const SCALE: &str = "scale";

/// The Scale of a workload in its JSON form.
///
/// # Errors
/// When a custom resource has no replicas where its definition says that they are.
pub fn of(kind: Described<'_>, workload: &Value) -> Result<Value, ApiError> {
    let paths = kind.version().and_then(|version| version.scale.as_ref());
    let at = |steps: &[String]| steps.iter().try_fold(workload, |value, step| value.get(step));
    let spec_replicas = match paths {
        None => workload["spec"]["replicas"].as_i64(),
        Some(paths) => Some(at(&paths.spec_replicas).and_then(Value::as_i64).ok_or_else(|| {
            let path = paths.spec_replicas.join(".");
            ApiError::internal(format_args!("the spec replicas field \".{path}\" does not exist"))
        })?),
    };
    let status_replicas = match paths {
        None => workload["status"]["replicas"].as_i64(),
        Some(paths) => at(&paths.status_replicas).and_then(Value::as_i64),
    };
    let selector = match paths {
        None => match &workload["spec"]["selector"] {
            // A ReplicationController selects by a plain map of labels.
            labels if workload["kind"] == "ReplicationController" => selector_text(&json!({"matchLabels": labels})),
            selector => selector_text(selector),
        },
        Some(paths) => {
            let found = paths.selector.as_deref().and_then(at).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        }
    };
    let mut metadata = serde_json::Map::new();
    for name in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = workload["metadata"].get(name) {
            metadata.insert(name.into(), value.clone());
        }
    }
    let mut status = json!({"replicas": status_replicas.unwrap_or(0)});
    if !selector.is_empty() {
        status["selector"] = json!(selector);
    }
    let mut spec = json!({});
    if let Some(replicas) = spec_replicas.filter(|n| *n != 0) {
        spec["replicas"] = json!(replicas);
    }
    Ok(json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}))
}

/// Where a kind has its replicas.
fn replicas_path(kind: Described<'_>) -> Vec<String> {
    let custom = kind.version().and_then(|version| version.scale.as_ref());
    custom.map_or_else(|| vec!["spec".into(), "replicas".into()], |paths| paths.spec_replicas.clone())
}

fn set_replicas(kind: Described<'_>, object: &mut Value, replicas: i64) {
    let place = replicas_path(kind).into_iter().fold(object, |value, step| {
        if !value.is_object() {
            *value = json!({});
        }
        &mut value[step]
    });
    *place = json!(replicas);
}

impl Transaction {
    pub(super) fn update_scale(
        &mut self,
        key: &ObjectKey,
        scale: Value,
        _options: WriteOptions,
    ) -> Result<(), ApiError> {
        let (version, name) = (scale["apiVersion"].as_str(), scale["kind"].as_str());
        if let Some(name) = name.filter(|name| *name != "Scale") {
            let named = version.unwrap_or_default();
            let short = named.rsplit('/').next().unwrap_or_default();
            return Err(ApiError::bad_request(format!(
                "{name} in version \"{short}\" cannot be handled as a Scale: converting ({short}.{name}) to (autoscaling.Scale): unknown conversion"
            )));
        }
        let current = self.require(key)?;
        request::check_name(key, &scale)?;
        if scale["metadata"]["namespace"].as_str().is_some_and(|named| named != key.namespace) {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        if let version @ Some(_) = request::named_version(&scale)? {
            self.check_version(key, version, &current)?;
        }
        let replicas = match &scale["spec"]["replicas"] {
            Value::Null => 0,
            value => value.as_i64().ok_or_else(|| {
                ApiError::bad_request(
                    "Scale in version \"v1\" cannot be handled as a Scale: spec.replicas is not an integer",
                )
            })?,
        };
        if replicas < 0 {
            return Err(negative(key, replicas));
        }
        let mut next = current.clone();
        let kinds = self.kinds().clone();
        let described = custom::described(&kinds, key.kind)?;
        set_replicas(described, &mut next, replicas);
        ownership::record_update(described, &current, &mut next, &self.author, Some(SCALE), self.now);
        self.scaled(key, &current, next)
    }

    /// Puts a workload whose owners are worked out.
    fn scaled(&mut self, key: &ObjectKey, current: &Value, mut next: Value) -> Result<(), ApiError> {
        ownership::forget_time(&mut next, &self.author, SCALE);
        let target = Target { key: key.clone(), subresource: Some(Subresource::Scale) };
        self.replace(&target, current, next, Owned::Stated)?;
        let workload = self.require(key)?;
        let answer = of(self.kinds().describe(key.kind), &workload)?;
        self.answer_with(answer);
        Ok(())
    }

    pub(super) fn patch_scale(&mut self, key: &ObjectKey, patch: Patch, options: WriteOptions) -> Result<(), ApiError> {
        if let Patch::Apply(config) = patch {
            return self.apply_scale(key, &config, options);
        }
        let current = of(self.kinds().describe(key.kind), &self.require(key)?)?;
        let scale = patched(key.kind, &current, &patch)?;
        self.update_scale(key, scale, options)
    }
}

impl Transaction {
    /// Applying a Scale owns the replicas of the workload.
    fn apply_scale(&mut self, key: &ObjectKey, config: &Value, options: WriteOptions) -> Result<(), ApiError> {
        let text = |name: &str| config[name].as_str().unwrap_or_default();
        if (text("apiVersion"), text("kind")) != ("autoscaling/v1", "Scale") {
            let named = text("apiVersion");
            let version = if named.contains('/') { named.to_owned() } else { format!("/{named}") };
            return Err(ApiError::bad_request(format!("invalid object type: {version}, Kind={}", text("kind"))));
        }
        let current = self.require(key)?;
        request::check_name(key, config)?;
        if let version @ Some(_) = request::named_version(config)? {
            self.check_version(key, version, &current)?;
        }
        let replicas = config["spec"]["replicas"].as_i64().unwrap_or(0);
        if replicas < 0 {
            return Err(negative(key, replicas));
        }
        let kinds = self.kinds().clone();
        let described = custom::described(&kinds, key.kind)?;
        let mut config = json!({"apiVersion": key.kind.api_version(), "kind": key.kind.kind,
            "metadata": {"name": key.name, "namespace": key.namespace}});
        set_replicas(described, &mut config, replicas);
        let next =
            ownership::apply(described, Some(&current), &config, &self.author, options.force, Some(SCALE), self.now)?;
        self.scaled(key, &current, next)
    }
}

fn negative(key: &ObjectKey, replicas: i64) -> ApiError {
    let cause = Cause {
        reason: "FieldValueInvalid".into(),
        message: format!("Invalid value: {replicas}: must be greater than or equal to 0"),
        field: "spec.replicas".into(),
    };
    let message = format!("Scale.autoscaling \"{}\" is invalid: {}: {}", key.name, cause.field, cause.message);
    let about = crate::object::error::About {
        name: key.name.clone(),
        group: "autoscaling".into(),
        kind: "Scale".into(),
        ..Default::default()
    };
    ApiError { about: Some(Box::new(about)), causes: vec![cause], ..ApiError::new(Reason::Invalid, message) }
}

/// A workload's selector as `kubectl get -l` takes it.
fn selector_text(selector: &Value) -> String {
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<(String, String)> =
        pairs.map(|(key, value)| (key.clone(), format!("{key}={}", value.as_str().unwrap_or_default()))).collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let mut values: Vec<&str> =
            expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let text = match expression["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => continue,
        };
        parts.push((key.to_owned(), text));
    }
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::kinds;

    #[test]
    fn a_scale_shows_replicas_and_the_selector_as_text() {
        let workload = json!({"metadata": {"name": "web", "namespace": "d", "uid": "u", "labels": {"a": "b"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"b": "2", "a": "1"},
                "matchExpressions": [{"key": "aa", "operator": "In", "values": ["y", "x"]}]}},
            "status": {"replicas": 2}});
        let scale = of(kinds::DEPLOYMENT.into(), &workload).expect("a Deployment has one");
        assert_eq!(scale["spec"], json!({"replicas": 3}));
        assert_eq!(scale["status"], json!({"replicas": 2, "selector": "a=1,aa in (x,y),b=2"}));
        assert_eq!(scale["metadata"], json!({"name": "web", "namespace": "d", "uid": "u"}));
        let controller = json!({"kind": "ReplicationController", "spec": {"selector": {"b": "2", "a": "1"}}});
        let scale = of(kinds::REPLICATION_CONTROLLER.into(), &controller).expect("a controller has one");
        assert_eq!(scale["status"]["selector"], "a=1,b=2");
    }
}
