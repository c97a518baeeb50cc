//! Who owns which field: `metadata.managedFields`, read, updated by a plain write and written back.
//! (Kubernetes API, "Field management".) What a client put there may be anything: what does not read as
//! managed fields counts as absent.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fields::FieldSet;
use super::schema;
use super::structure::{self, Comparison};
use crate::object::custom::Described;
use crate::object::kinds::Subresource;

/// Plain updaters that an object remembers by name; the oldest beyond that are merged into one.
const MAX_UPDATERS: usize = 10;
const OLD_UPDATES: &str = "ancient-changes";
const UNKNOWN_MANAGER: &str = "unknown";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Apply,
    Update,
}

/// Who wrote: two writes with the same identity share one entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manager {
    pub name: String,
    pub operation: Operation,
    /// Of a plain update; empty for an applier, which is the same whatever version it applies.
    pub api_version: String,
    /// Empty for the object itself.
    pub subresource: String,
}

/// What a manager owns.
#[derive(Clone, Debug, PartialEq)]
pub struct Owned {
    pub api_version: String,
    pub fields: FieldSet,
    /// As it was written; `None` when it never changed a value.
    pub time: Option<String>,
}

/// All managers of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Managed {
    entries: BTreeMap<Manager, Owned>,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

impl Manager {
    pub fn new(kind: Described<'_>, name: &str, operation: Operation, subresource: Option<&str>) -> Self {
        let name = if name.is_empty() { UNKNOWN_MANAGER } else { name };
        let api_version = match operation {
            Operation::Apply => String::new(),
            Operation::Update => kind.api_version(),
        };
        Self { name: name.into(), operation, api_version, subresource: subresource.unwrap_or_default().into() }
    }
}

/// `"hpa" with subresource "scale" using apps/v1`, as conflicts name a manager.
impl std::fmt::Display for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.name)?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {:?}", self.subresource)?;
        }
        match self.operation {
            Operation::Apply => Ok(()),
            Operation::Update => write!(f, " using {}", self.api_version),
        }
    }
}

impl Managed {
    /// Reads `metadata.managedFields`; `None` when any entry is not one.
    fn read(kind: Described<'_>, entries: &Value) -> Option<Self> {
        let mut out = Self::default();
        for entry in entries.as_array().into_iter().flatten() {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let operation = match entry["operation"].as_str() {
                Some("Apply") => Operation::Apply,
                Some("Update") => Operation::Update,
                _ => return None,
            };
            let api_version = text("apiVersion");
            if api_version.is_empty() || entry["fieldsType"] != "FieldsV1" {
                return None;
            }
            let fields = match &entry["fieldsV1"] {
                Value::Null => FieldSet::default(),
                fields => FieldSet::from_json(fields).ok()?,
            };
            // Fields of a version that nobody serves say nothing about this object.
            if !kind.serves(&api_version) {
                continue;
            }
            let mut manager = Manager {
                name: text("manager"),
                operation,
                api_version: api_version.clone(),
                subresource: text("subresource"),
            };
            if operation == Operation::Apply {
                manager.api_version.clear();
            }
            let time = entry["time"].as_str().map(str::to_owned);
            out.entries.insert(manager, Owned { api_version, fields, time });
        }
        Some(out)
    }

    /// The managers of an object as it is stored.
    pub fn of(kind: Described<'_>, object: &Value) -> Self {
        Self::read(kind, &object["metadata"]["managedFields"]).unwrap_or_default()
    }

    /// Writes the managers into the object, appliers first, then by time.
    pub fn store(&self, object: &mut Value) {
        let mut entries: Vec<_> = self.entries.iter().filter(|(_, owned)| !owned.fields.is_empty()).collect();
        entries.sort_by_key(|(m, o)| {
            (m.operation, o.time.clone(), m.name.clone(), o.api_version.clone(), m.subresource.clone())
        });
        let entries: Vec<Value> = entries.into_iter().map(|(manager, owned)| encode(manager, owned)).collect();
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        if entries.is_empty() {
            metadata.remove("managedFields");
        } else {
            metadata.insert("managedFields".into(), Value::Array(entries));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn get(&self, manager: &Manager) -> Option<&Owned> {
        self.entries.get(manager)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Manager, &Owned)> {
        self.entries.iter()
    }

    /// What a manager owns from now on; with nothing, it is forgotten.
    pub fn set(&mut self, manager: Manager, owned: Owned) {
        if owned.fields.is_empty() {
            self.entries.remove(&manager);
        } else {
            self.entries.insert(manager, owned);
        }
    }

    /// What managers other than `writer` own of the fields that a write changes.
    pub fn contested(&self, writer: Option<&Manager>, change: &Comparison) -> Vec<(Manager, FieldSet)> {
        let touched = change.modified.union(&change.added);
        let others = self.entries.iter().filter(|(manager, _)| Some(*manager) != writer);
        let contested = others.map(|(manager, owned)| (manager.clone(), owned.fields.intersection(&touched)));
        contested.filter(|(_, fields)| !fields.is_empty()).collect()
    }

    /// Takes changed and removed fields from everybody but `writer`.
    pub fn yield_to(&mut self, writer: Option<&Manager>, change: &Comparison) {
        if self.entries.is_empty() {
            return;
        }
        for (_, owned) in self.entries.iter_mut().filter(|(manager, _)| Some(*manager) != writer) {
            for taken in [&change.modified, &change.added, &change.removed] {
                owned.fields.subtract(taken);
            }
        }
        self.entries.retain(|_, owned| !owned.fields.is_empty());
    }

    /// Lets a plain write from `before` to `after` own what it changed.
    pub fn update(&mut self, writer: Manager, api_version: String, change: &Comparison, now: &str) {
        self.yield_to(None, change);
        let mut taken = change.modified.union(&change.added);
        taken.subtract(&server_owned());
        if taken.is_empty() {
            return;
        }
        let fields = match self.entries.remove(&writer) {
            Some(mut owned) => {
                owned.fields.add(&taken);
                owned.fields
            }
            None => taken,
        };
        // A Scale stands for its object, and has no room for the time of what it owns there.
        let time = (writer.subresource != "scale").then(|| now.to_owned());
        self.entries.insert(writer, Owned { api_version, fields, time });
        self.merge_oldest();
    }

    /// Merges the oldest updaters of one version into one entry until no more than the maximum is left.
    fn merge_oldest(&mut self) {
        let updaters = self.entries.iter().filter(|(manager, _)| manager.operation == Operation::Update);
        let mut oldest: Vec<(Option<String>, Manager)> =
            updaters.map(|(manager, owned)| (owned.time.clone(), manager.clone())).collect();
        oldest.sort();
        let mut left = oldest.len();
        let mut first_of: BTreeMap<String, Manager> = BTreeMap::new();
        for (_, manager) in oldest {
            if left <= MAX_UPDATERS {
                return;
            }
            let version = manager.api_version.clone();
            let bucket = Manager { name: OLD_UPDATES.into(), subresource: String::new(), ..manager.clone() };
            let Some(first) = first_of.get(&version) else {
                first_of.insert(version, manager);
                continue;
            };
            if !self.entries.contains_key(&bucket)
                && let Some(owned) = self.entries.remove(first)
            {
                self.entries.insert(bucket.clone(), owned);
            }
            if let Some(owned) = self.entries.remove(&manager)
                && let Some(merged) = self.entries.get_mut(&bucket)
            {
                merged.fields = merged.fields.union(&owned.fields);
                merged.time = owned.time;
            }
            left -= 1;
        }
    }
}

fn encode(manager: &Manager, owned: &Owned) -> Value {
    let mut entry = json!({"manager": manager.name, "operation": manager.operation.as_str(),
        "apiVersion": owned.api_version, "fieldsType": "FieldsV1", "fieldsV1": owned.fields.to_json()});
    if let Some(time) = &owned.time {
        entry["time"] = json!(time);
    }
    if !manager.subresource.is_empty() {
        entry["subresource"] = json!(manager.subresource);
    }
    entry
}

/// Fields that identify the object or that the server alone sets: nobody owns them.
pub fn server_owned() -> FieldSet {
    FieldSet::of_fields(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "clusterName"],
        &["metadata", "creationTimestamp"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "resourceVersion"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
    ])
}

/// Fields that a write through this door cannot change, whatever it says of them.
pub fn out_of_reach(kind: Described<'_>, subresource: Option<&str>) -> FieldSet {
    let is = |group: &str, name: &str| kind.group == group && kind.kind == name;
    match subresource {
        None if kind.has(Subresource::Status) => FieldSet::of_fields(&[&["status"]]),
        Some("status") if is("apps", "Deployment") => FieldSet::of_fields(&[&["spec"], &["metadata", "labels"]]),
        Some("status") if is("", "Pod") => {
            FieldSet::of_fields(&[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]])
        }
        Some("status") => FieldSet::of_fields(&[&["spec"]]),
        _ => FieldSet::default(),
    }
}

/// Records a plain write (create, update, JSON, merge or strategic patch): `manager` owns from now on what it
/// changed between `before` and `after`, which has been defaulted but has nothing yet that the server fills in.
///
/// A client may replace the managed fields by valid ones, and clear them with an empty list.
pub fn record_update<'a>(
    kind: impl Into<Described<'a>>,
    before: Option<&Value>,
    after: &mut Value,
    manager: &str,
    subresource: Option<&str>,
    now: &str,
) {
    let kind = kind.into();
    let Some(mut managed) = before_update(kind, before, after, subresource) else {
        Managed::default().store(after);
        return;
    };
    let before = before.map_or_else(|| Cow::Owned(schema::blank(kind)), Cow::Borrowed);
    let change = compare(kind, &before, after).without(&out_of_reach(kind, subresource));
    let writer = Manager::new(kind, manager, Operation::Update, subresource);
    managed.update(writer, kind.api_version(), &change, now);
    managed.store(after);
}

/// The managers that an update starts from; `None` when the object's fields are not tracked.
fn before_update(
    kind: Described<'_>,
    before: Option<&Value>,
    after: &Value,
    subresource: Option<&str>,
) -> Option<Managed> {
    let stored = before.map(|object| Managed::of(kind, object)).unwrap_or_default();
    let given = after.get("metadata").and_then(|m| m.get("managedFields"));
    let cleared = match given.and_then(Value::as_array).map(Vec::as_slice) {
        Some([]) => true,
        Some([only]) => only.as_object().is_some_and(serde_json::Map::is_empty),
        _ => false,
    };
    let managed = match given {
        _ if subresource.is_some() => stored,
        _ if cleared => Managed::default(),
        Some(given) => Managed::read(kind, given).filter(|m| !m.is_empty()).unwrap_or(stored),
        None => stored,
    };
    // An object that exists and has no managers has opted out; only an apply makes it tracked again.
    (before.is_none() || !managed.is_empty()).then_some(managed)
}

/// What differs between two states of an object, apart from the managed fields themselves.
pub(super) fn compare(kind: Described<'_>, before: &Value, after: &Value) -> Comparison {
    structure::compare(schema::of(kind), before, after).without(&FieldSet::of_fields(&[&["metadata", "managedFields"]]))
}
