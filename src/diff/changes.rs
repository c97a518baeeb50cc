//! What differs between two states of an object, field by field, as a person would say it. What the server alone
//! writes is left out, equal amounts are equal however they are written, and the contents of Secrets are never shown.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::fields::Element;
use super::plan::FieldChange;
use super::schema::{self, Field, Form};
use super::structure::{self, Parts};
use crate::object::custom::Described;

/// Fields of metadata that the server writes.
const SERVER_METADATA: &[&str] = &[
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];
/// Bookkeeping of client-side apply; it repeats the object, Secrets included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// What stands for a Secret's value before a change, and after it.
pub const HIDDEN: &str = "(hidden)";
pub const HIDDEN_CHANGED: &str = "(hidden, changed)";

/// What is made of a value's bytes.
pub type Seal<'a> = &'a dyn Fn(&[u8]) -> String;

/// The fields that differ, in the order of their paths. Entries of lists are addressed by their keys:
/// `spec.template.spec.containers[name=web].image`. A part that is new or gone as a whole is one change.
pub fn between<'a>(kind: impl Into<Described<'a>>, before: Option<&Value>, after: Option<&Value>) -> Vec<FieldChange> {
    between_sealed(kind, before, after, None)
}

/// As [`between`], with what `seal` makes of a Secret's value in its place: a fingerprint, by which values can be compared.
pub fn between_sealed<'a>(
    kind: impl Into<Described<'a>>,
    before: Option<&Value>,
    after: Option<&Value>,
    seal: Option<Seal<'_>>,
) -> Vec<FieldChange> {
    let kind = kind.into();
    let (before, after) = (before.map(intent), after.map(intent));
    let nothing = Value::Object(Map::new());
    let mut changes = Changes { found: Vec::new(), expand: before.is_none() || after.is_none() };
    let (before, after) = (before.as_ref().unwrap_or(&nothing), after.as_ref().unwrap_or(&nothing));
    changes.visit(&structure::root(schema::of(kind)), "", Some(before), Some(after));
    let mut found = changes.found;
    if kind.group.is_empty() && kind.kind == "Secret" {
        found.iter_mut().for_each(|change| hide(change, seal));
    }
    found
}

/// The object as its author means it: without status and what else the server writes.
fn intent(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        ["apiVersion", "kind", "status"].iter().for_each(|name| drop(members.remove(*name)));
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        SERVER_METADATA.iter().for_each(|name| drop(metadata.remove(*name)));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
    }
    object
}

struct Changes {
    found: Vec<FieldChange>,
    /// Name the fields of a part that is new or gone, too.
    expand: bool,
}

impl Changes {
    fn visit(&mut self, field: &Field, path: &str, before: Option<&Value>, after: Option<&Value>) {
        let (before, after) = (before.filter(|v| says(field, v)), after.filter(|v| says(field, v)));
        match (before, after) {
            (None, None) => {}
            (Some(a), Some(b)) => match (structure::parts(field, before), structure::parts(field, after)) {
                (Parts::Fields(x), Parts::Fields(y)) => self.visit_fields(field, path, x, y),
                (Parts::Entries(x), Parts::Entries(y)) => self.visit_entries(field, path, x, y),
                _ if schema::same(field.inner.form(), a, b) => {}
                _ => self.add(path, before, after),
            },
            (Some(Value::Object(x)), None) if self.expand && field.inner.form() != Form::Whole && !x.is_empty() => {
                self.visit_fields(field, path, x, &Map::new());
            }
            (None, Some(Value::Object(y))) if self.expand && field.inner.form() != Form::Whole && !y.is_empty() => {
                self.visit_fields(field, path, &Map::new(), y);
            }
            _ => self.add(path, before, after),
        }
    }

    fn visit_fields(&mut self, field: &Field, path: &str, before: &Map<String, Value>, after: &Map<String, Value>) {
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names {
            let here = join(path, name);
            self.visit(&field.inner.field(name), &here, before.get(name), after.get(name));
        }
    }

    fn visit_entries(&mut self, field: &Field, path: &str, before: &[Value], after: &[Value]) {
        let ids = |list: &[Value]| -> Vec<Element> { list.iter().map(|e| structure::identify(field, e)).collect() };
        let (before_ids, after_ids) = (ids(before), ids(after));
        let unique = |ids: &[Element]| ids.iter().collect::<BTreeSet<_>>().len() == ids.len();
        if !unique(&before_ids) || !unique(&after_ids) {
            if before != after {
                self.add(path, Some(&before.into()), Some(&after.into()));
            }
            return;
        }
        let after_by: BTreeMap<&Element, &Value> = after_ids.iter().zip(after).collect();
        let before_by: BTreeMap<&Element, &Value> = before_ids.iter().zip(before).collect();
        let entry = structure::entry_field(field);
        let added = after_ids.iter().filter(|id| !before_by.contains_key(id));
        for id in before_ids.iter().chain(added) {
            let here = format!("{path}{}", address(id));
            let (a, b) = (before_by.get(id).copied(), after_by.get(id).copied());
            // A new entry reads better as a whole, even where everything is new.
            if a.is_none() || b.is_none() {
                self.add(&here, a, b);
            } else {
                self.visit(&entry, &here, a, b);
            }
        }
        let kept = |ids: &[Element], other: &BTreeMap<&Element, &Value>| -> Vec<Value> {
            ids.iter().filter(|id| other.contains_key(id)).map(|id| address(id).into()).collect()
        };
        let (from, to) = (kept(&before_ids, &after_by), kept(&after_ids, &before_by));
        if from != to {
            self.add(&format!("{path} (order)"), Some(&from.into()), Some(&to.into()));
        }
    }

    fn add(&mut self, path: &str, from: Option<&Value>, to: Option<&Value>) {
        self.found.push(FieldChange { path: path.to_owned(), from: from.cloned(), to: to.cloned() });
    }
}

/// Whether a value says anything: `null`, an empty list and an empty map of strings are as good as absent.
fn says(field: &Field, value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !(map.is_empty() && matches!(field.inner.form(), Form::Texts | Form::Amounts)),
        _ => true,
    }
}

fn join(path: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    match (path, plain) {
        ("", true) => name.to_owned(),
        (_, true) => format!("{path}.{name}"),
        (_, false) => format!("{path}[{name:?}]"),
    }
}

fn address(id: &Element) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match id {
        Element::Key(keys) => {
            let keys: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={}", text(&value.0))).collect();
            format!("[{}]", keys.join(","))
        }
        Element::Value(value) => format!("[{}]", text(&value.0)),
        other => other.to_string(),
    }
}

/// Puts marks in the place of a Secret's contents.
fn hide(change: &mut FieldChange, seal: Option<Seal<'_>>) {
    let contents =
        |root: &str| change.path.strip_prefix(root).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
    let encoded = contents("data");
    if !encoded && !contents("stringData") {
        return;
    }
    let changed = change.from.is_some();
    let mark = |value: &Value, unsealed: &str| match (seal, value) {
        (Some(seal), Value::String(text)) => {
            let bytes = encoded.then(|| STANDARD.decode(text).ok()).flatten();
            format!("(hidden, {})", seal(bytes.as_deref().unwrap_or(text.as_bytes())))
        }
        _ => unsealed.to_owned(),
    };
    let mark_all = |value: &mut Value, unsealed: &str| match value {
        Value::Object(map) => map.values_mut().for_each(|value| *value = mark(value, unsealed).into()),
        value => *value = mark(value, unsealed).into(),
    };
    if let Some(from) = &mut change.from {
        mark_all(from, HIDDEN);
    }
    if let Some(to) = &mut change.to {
        mark_all(to, if changed { HIDDEN_CHANGED } else { HIDDEN });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::kinds;

    fn paths(changes: &[FieldChange]) -> Vec<&str> {
        changes.iter().map(|change| change.path.as_str()).collect()
    }

    fn deployment(container: Value) -> Value {
        json!({"metadata": {"name": "web"}, "spec": {"template": {"spec": {"containers": [container]}}}})
    }

    #[test]
    fn an_entry_of_a_list_is_addressed_by_its_key() {
        let before = deployment(json!({"name": "web", "image": "a", "ports": [{"containerPort": 80}]}));
        let after = deployment(
            json!({"name": "web", "image": "b", "ports": [{"containerPort": 80, "name": "x"}, {"containerPort": 81}]}),
        );
        let changes = between(kinds::DEPLOYMENT, Some(&before), Some(&after));
        let at = "spec.template.spec.containers[name=web]";
        assert_eq!(
            paths(&changes),
            [
                format!("{at}.image"),
                format!("{at}.ports[containerPort=80,protocol=TCP].name"),
                format!("{at}.ports[containerPort=81,protocol=TCP]")
            ]
        );
        assert_eq!((changes[0].from.clone(), changes[0].to.clone()), (Some(json!("a")), Some(json!("b"))));
    }

    #[test]
    fn what_means_the_same_is_no_difference() {
        let with = |cpu: Value, memory: &str| {
            deployment(json!({"name": "c", "resources": {"limits": {"cpu": cpu, "memory": memory}}, "env": []}))
        };
        let mut before = with(json!("1000m"), "3072Mi");
        before["metadata"]["uid"] = json!("u");
        before["metadata"]["generation"] = json!(4);
        before["metadata"]["labels"] = json!({});
        before["status"] = json!({"replicas": 4});
        assert_eq!(between(kinds::DEPLOYMENT, Some(&before), Some(&with(json!(1), "3Gi"))), []);
    }

    #[test]
    fn labels_with_dots_and_a_change_of_order_are_shown() {
        let before = json!({"metadata": {"labels": {"a.b/c": "1"}, "finalizers": ["x", "y"]}});
        let after = json!({"metadata": {"labels": {"a.b/c": "2"}, "finalizers": ["y", "x"]}});
        let changes = between(kinds::CONFIG_MAP, Some(&before), Some(&after));
        assert_eq!(paths(&changes), ["metadata.finalizers (order)", "metadata.labels[\"a.b/c\"]"]);
    }

    #[test]
    fn the_contents_of_a_secret_are_never_shown() {
        let secret = |value: &str| json!({"metadata": {"name": "s"}, "data": {"p": value}, "stringData": {"q": value}});
        let (old, new) = (secret("b2xkLXNlY3JldA=="), secret("bmV3LXNlY3JldA=="));
        for (before, after) in [(Some(&old), Some(&new)), (None, Some(&new)), (Some(&old), None)] {
            let changes = between(kinds::SECRET, before, after);
            let shown = serde_json::to_string(&changes).unwrap();
            assert!(shown.contains("data.p") && shown.contains("hidden"), "{shown}");
            assert!(!shown.contains("LXNlY3JldA"), "{shown}");
        }
        let bare = json!({"metadata": {"name": "s"}});
        let shown = serde_json::to_string(&between(kinds::SECRET, Some(&bare), Some(&new))).unwrap();
        assert!(!shown.contains("LXNlY3JldA"), "{shown}");
    }

    #[test]
    fn a_sealed_value_can_be_compared_and_not_read() {
        let seal = |bytes: &[u8]| format!("{:x}", bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>());
        let (old, new) = (json!({"data": {"p": "b2xk"}}), json!({"data": {"p": "bmV3"}}));
        let changes = between_sealed(kinds::SECRET, Some(&old), Some(&new), Some(&seal));
        let shown = |value: &Option<Value>| value.as_ref().unwrap().as_str().unwrap().to_owned();
        assert_eq!((shown(&changes[0].from), shown(&changes[0].to)), ("(hidden, 13f)".into(), "(hidden, 14a)".into()));
        // The same value has the same fingerprint, however it is written.
        let plain = between_sealed(kinds::SECRET, None, Some(&json!({"stringData": {"p": "old"}})), Some(&seal));
        assert_eq!(shown(&plain[0].to), "(hidden, 13f)");
    }

    #[test]
    fn a_new_object_names_its_fields() {
        let after = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
        assert_eq!(paths(&between(kinds::CONFIG_MAP, None, Some(&after))), ["data.k", "metadata.name"]);
    }
}
