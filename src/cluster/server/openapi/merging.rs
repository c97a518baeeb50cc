//! How lists and objects merge, told in the schemas in Kubernetes's words (`x-kubernetes-list-type` and its like), out of
//! the rules that apply and patch follow here.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::document::SCHEMAS;
use crate::diff::schema::{Entries, Field, Form, ListPatch, Type};

/// Marks what is below the schema `root`, whose objects merge as `rules` say.
pub fn mark(schemas: &mut Map<String, Value>, root: &str, rules: Type<'_>) {
    mark_below(schemas, root, rules, &mut BTreeSet::new());
}

fn mark_below(schemas: &mut Map<String, Value>, name: &str, rules: Type<'_>, seen: &mut BTreeSet<String>) {
    if !seen.insert(name.to_owned()) {
        return;
    }
    let properties = schemas.get_mut(name).and_then(|schema| schema.get_mut("properties")).map(Value::take);
    let Some(Value::Object(properties)) = properties else { return };
    let mut marked = Map::new();
    for (name, mut property) in properties {
        let field = rules.field(&name);
        for (mark, value) in marks(&field, &property) {
            property[mark] = value;
        }
        let inner = reference(&property).or_else(|| property.get("items").and_then(reference));
        // A type that one kind's rules do not describe is left to another's, which may.
        if let Some(inner) = inner.filter(|_| !field.inner.is_unknown()) {
            mark_below(schemas, inner, field.inner, seen);
        }
        marked.insert(name, property);
    }
    if let Some(schema) = schemas.get_mut(name) {
        schema["properties"] = Value::Object(marked);
    }
}

fn marks(field: &Field<'_>, property: &Value) -> Vec<(&'static str, Value)> {
    if property["type"] != "array" {
        let is_whole = field.inner.form() == Form::Whole;
        return is_whole.then(|| ("x-kubernetes-map-type", json!("atomic"))).into_iter().collect();
    }
    let mut marks = match field.entries {
        Entries::Whole => vec![("x-kubernetes-list-type", json!("atomic"))],
        Entries::Set => vec![("x-kubernetes-list-type", json!("set"))],
        Entries::Keyed(keys) => {
            let keys: Vec<&str> = keys.iter().map(|(name, _)| name).collect();
            vec![("x-kubernetes-list-type", json!("map")), ("x-kubernetes-list-map-keys", json!(keys))]
        }
    };
    match field.patch {
        ListPatch::Keyed(key) => marks
            .extend([("x-kubernetes-patch-merge-key", json!(key)), ("x-kubernetes-patch-strategy", json!("merge"))]),
        ListPatch::Union => marks.push(("x-kubernetes-patch-strategy", json!("merge"))),
        ListPatch::Replace | ListPatch::ReplaceObject => {}
    }
    marks
}

/// The schema that a property is of.
fn reference(property: &Value) -> Option<&str> {
    let target = property["$ref"].as_str().or_else(|| property["allOf"][0]["$ref"].as_str())?;
    target.strip_prefix(SCHEMAS)
}
