//! Kubernetes's strategic merge patch: a merge patch that knows by which key the entries of a list are told apart,
//! with directives for what a merge cannot say: `$patch`, `$retainKeys`, `$setElementOrder/LIST` and
//! `$deleteFromPrimitiveList/LIST`. (Kubernetes API conventions, "PATCH operations".)

use serde_json::{Map, Value};

use super::patch_error::{PatchError, go_print};
use super::schema::{self, Field, ListPatch, Type};
use crate::object::Kind;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

type Object = Map<String, Value>;

/// Merges a strategic merge patch into an object of a kind.
///
/// # Errors
/// When the patch does not fit the object or its directives contradict each other.
pub fn merge(kind: &'static Kind, current: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Value::Object(patch) = patch else {
        return Err(PatchError::Document { got: type_name(patch), want: "map[string]interface {}" });
    };
    let current = current.as_object().cloned().unwrap_or_default();
    merge_objects(schema::of(kind.into()), current, patch.clone()).map(Value::Object)
}

fn merge_objects(fields: Type<'_>, mut current: Object, mut patch: Object) -> Result<Object, PatchError> {
    if let Some(directive) = patch.get(PATCH) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(PATCH);
                Ok(patch)
            }
            Some("delete") => Ok(Object::new()),
            _ => Err(bad_directive(directive, &patch)),
        };
    }
    retain_keys(&mut current, &mut patch)?;
    order_lists(fields, &mut current, &mut patch)?;
    // Deletions first, so that what a patch both deletes and lists stays.
    for (name, values) in &patch {
        if let Some(list) = name.strip_prefix(DELETE_FROM)
            && let (Some(Value::Array(current)), Value::Array(values)) = (current.get_mut(list), values)
        {
            current.retain(|entry| !values.contains(entry));
        }
    }
    for (name, value) in patch.into_iter().filter(|(name, _)| !name.starts_with(DELETE_FROM)) {
        let merged = match (current.remove(&name), value) {
            (_, Value::Null) => continue,
            (Some(Value::Object(ours)), Value::Object(theirs)) => match fields.field(&name) {
                Field { patch: ListPatch::ReplaceObject, .. } => Value::Object(theirs),
                field => Value::Object(merge_objects(field.inner, ours, theirs)?),
            },
            (Some(Value::Array(ours)), Value::Array(theirs)) => {
                Value::Array(merge_lists(&fields.field(&name), ours, theirs)?)
            }
            (Some(Value::Object(_) | Value::Array(_)) | None, value) => without_directives(value).unwrap_or_default(),
            (Some(_), value) => value,
        };
        current.insert(name, merged);
    }
    Ok(current)
}

/// `$retainKeys` names the only fields that may stay; all that the patch sets must be among them.
fn retain_keys(current: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let keys = keys.as_array().ok_or(PatchError::RetainKeys)?;
    let kept = |name: &str| keys.iter().any(|key| key == name);
    let directive = |name: &str| name.starts_with(ORDER) || name.starts_with(DELETE_FROM);
    if patch.iter().any(|(name, value)| !value.is_null() && !directive(name) && !kept(name)) {
        return Err(PatchError::RetainKeys);
    }
    current.retain(|name, _| kept(name));
    Ok(())
}

/// Merges and orders each list that has a `$setElementOrder` directive, and takes both out of the patch.
fn order_lists(fields: Type<'_>, current: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
    let directives: Vec<String> = patch.keys().filter(|name| name.starts_with(ORDER)).cloned().collect();
    for directive in directives {
        let order = as_list(patch.remove(&directive).unwrap_or_default())?;
        let name = directive.trim_start_matches(ORDER).to_owned();
        let field = fields.field(&name);
        let ours = current.get(&name).cloned().map(as_list).transpose()?;
        let theirs = patch.get(&name).filter(|v| !v.is_null()).cloned().map(as_list).transpose()?;
        check_order(&field, theirs.as_deref().unwrap_or_default(), &order)?;
        let server = ours.clone().unwrap_or_default();
        let merged = match (ours, theirs) {
            (None, None) => continue,
            (Some(_), None) if patch.contains_key(&name) => continue,
            (Some(ours), None) => ours,
            (None, Some(theirs)) => theirs.into_iter().filter_map(without_directives).collect(),
            (Some(ours), Some(theirs)) => merge_lists(&field, ours, theirs)?,
        };
        patch.remove(&name);
        current.insert(name, Value::Array(in_order(key_of(&field), merged, &order, &server)?));
    }
    Ok(())
}

/// The entries of the patch must come in the order that its directive gives.
fn check_order(field: &Field, theirs: &[Value], order: &[Value]) -> Result<(), PatchError> {
    let key = key_of(field);
    let mut left = order.iter();
    let deletes = |entry: &Value| entry.get(PATCH).is_some_and(|d| d == "delete");
    for entry in theirs.iter().filter(|entry| !deletes(entry)) {
        if !left.any(|ordered| same_entry(key, entry, ordered)) {
            let print = |list: &[Value]| go_print(&Value::Array(list.to_vec()));
            return Err(PatchError::Order { patch: print(theirs), order: print(order) });
        }
    }
    Ok(())
}

fn merge_lists(field: &Field, ours: Vec<Value>, theirs: Vec<Value>) -> Result<Vec<Value>, PatchError> {
    if !matches!(field.patch, ListPatch::Keyed(_) | ListPatch::Union) || ours.is_empty() && theirs.is_empty() {
        return Ok(theirs);
    }
    let objects = ours.iter().chain(&theirs).filter(|entry| entry.is_object()).count();
    if objects != 0 && objects != ours.len() + theirs.len() {
        let print = |list: &[Value]| go_print(&Value::Array(list.to_vec()));
        return Err(PatchError::MixedList { current: print(&ours), patch: print(&theirs) });
    }
    let (server, order) = (ours.clone(), theirs.clone());
    let key = key_of(field);
    let merged = match key {
        Some(key) => merge_keyed(field, key, ours, theirs)?,
        None => union(ours, theirs),
    };
    in_order(key, merged, &order, &server)
}

fn union(ours: Vec<Value>, theirs: Vec<Value>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::with_capacity(ours.len() + theirs.len());
    for entry in ours.into_iter().chain(theirs) {
        if !out.contains(&entry) {
            out.push(entry);
        }
    }
    out
}

fn merge_keyed(
    field: &Field,
    key: &'static str,
    mut ours: Vec<Value>,
    theirs: Vec<Value>,
) -> Result<Vec<Value>, PatchError> {
    let no_key = |entry: &Value| PatchError::NoMergeKey { map: go_print(entry), key };
    let mut replace = false;
    let mut merging = Vec::new();
    for entry in theirs {
        match entry.get(PATCH) {
            None => merging.push(entry),
            Some(directive) => match directive.as_str() {
                Some("delete") => {
                    let value = entry.get(key).ok_or_else(|| no_key(&entry))?;
                    ours.retain(|own| own.get(key) != Some(value));
                }
                Some("replace") => replace = true,
                Some("merge") => return Err(PatchError::MergeDirectiveInList),
                _ => return Err(bad_directive(directive, entry.as_object().unwrap_or(&Object::new()))),
            },
        }
    }
    if replace {
        return Ok(merging);
    }
    for entry in merging {
        let value = entry.get(key).ok_or_else(|| no_key(&entry))?;
        let place = ours.iter_mut().find(|own| own.get(key) == Some(value));
        match (place, entry) {
            (Some(place), Value::Object(theirs)) => {
                let own = place.as_object().cloned().unwrap_or_default();
                *place = Value::Object(merge_objects(field.inner, own, theirs)?);
            }
            (_, entry) => ours.extend(without_directives(entry)),
        }
    }
    Ok(ours)
}

/// The entries that `order` names in its order; the others, in the server's order, stand before the first entry
/// that they preceded on the server.
fn in_order(
    key: Option<&'static str>,
    merged: Vec<Value>,
    order: &[Value],
    server: &[Value],
) -> Result<Vec<Value>, PatchError> {
    let place = |list: &[Value], entry: &Value| list.iter().position(|other| same_entry(key, entry, other));
    if let Some(key) = key
        && let Some(entry) = merged.iter().find(|entry| entry.get(key).is_none())
    {
        return Err(PatchError::NoMergeKey { map: go_print(entry), key });
    }
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|entry| place(order, entry).is_some());
    named.sort_by_key(|entry| place(order, entry));
    others.sort_by_key(|entry| place(server, entry).unwrap_or(usize::MAX));
    let mut out = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(next), Some(other)) = (named.peek(), others.peek()) {
        let precedes = match (place(server, other), place(server, next)) {
            (Some(other), Some(next)) => other < next,
            _ => false,
        };
        out.extend(if precedes { others.next() } else { named.next() });
    }
    out.extend(named.chain(others));
    Ok(out)
}

fn key_of(field: &Field) -> Option<&'static str> {
    match field.patch {
        ListPatch::Keyed(key) => Some(key),
        _ => None,
    }
}

fn same_entry(key: Option<&str>, a: &Value, b: &Value) -> bool {
    match key {
        Some(key) => a.get(key).is_some_and(|value| b.get(key) == Some(value)),
        None => a == b,
    }
}

/// A value that takes a free place: its directives have nothing to work on. `None` when it only deletes.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) => {
            if map.get(PATCH).is_some_and(|directive| directive == "delete") {
                return None;
            }
            let directive = |name: &str| name.starts_with(ORDER) || name.starts_with(DELETE_FROM);
            let kept = map
                .into_iter()
                .filter(|(name, value)| !directive(name) && name != PATCH && name != RETAIN_KEYS && !value.is_null());
            Some(Value::Object(kept.filter_map(|(name, value)| Some((name, without_directives(value)?))).collect()))
        }
        Value::Array(list) => Some(Value::Array(list.into_iter().filter_map(without_directives).collect())),
        scalar => Some(scalar),
    }
}

fn as_list(value: Value) -> Result<Vec<Value>, PatchError> {
    match value {
        Value::Array(list) => Ok(list),
        other => Err(PatchError::NotAList { got: type_name(&other) }),
    }
}

fn bad_directive(directive: &Value, map: &Object) -> PatchError {
    PatchError::Directive { directive: go_print(directive), map: go_print(&Value::Object(map.clone())) }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::kinds;

    fn containers(entries: Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": entries}}}})
    }

    fn merged(current: Value, patch: Value) -> Value {
        merge(kinds::DEPLOYMENT, &current, &patch).unwrap()
    }

    #[test]
    fn entries_merge_by_their_key_and_keep_their_places() {
        let current = containers(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1", "args": ["x"]}]));
        let patch = containers(json!([{"name": "b", "image": "2"}, {"name": "c", "image": "3"}]));
        let want = json!([{"name": "a", "image": "1"}, {"name": "b", "image": "2", "args": ["x"]},
            {"name": "c", "image": "3"}]);
        assert_eq!(merged(current, patch), containers(want));
    }

    #[test]
    fn directives_delete_replace_and_order() {
        let current = containers(json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]));
        let cases = [
            (json!([{"name": "b", "$patch": "delete"}]), json!([{"name": "a"}, {"name": "c"}])),
            (json!([{"$patch": "replace"}, {"name": "z"}]), json!([{"name": "z"}])),
        ];
        for (patch, want) in cases {
            assert_eq!(merged(current.clone(), containers(patch)), containers(want));
        }
        let order =
            json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}]}}}});
        assert_eq!(merged(current, order), containers(json!([{"name": "b"}, {"name": "c"}, {"name": "a"}])));
    }

    #[test]
    fn retained_keys_are_all_that_stays() {
        let strategy = |value: Value| json!({"spec": {"strategy": value}});
        let current = strategy(json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}));
        let patch = strategy(json!({"type": "Recreate", "$retainKeys": ["type"]}));
        assert_eq!(merged(current.clone(), patch), strategy(json!({"type": "Recreate"})));
        let bad = strategy(json!({"type": "Recreate", "$retainKeys": ["rollingUpdate"]}));
        assert_eq!(merge(kinds::DEPLOYMENT, &current, &bad), Err(PatchError::RetainKeys));
    }

    #[test]
    fn scalars_are_added_once_and_deleted_by_name() {
        let finalizers = |names: &[&str]| json!({"metadata": {"finalizers": names}});
        assert_eq!(merged(finalizers(&["a", "b"]), finalizers(&["b", "c"])), finalizers(&["a", "b", "c"]));
        let delete = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "zz"]}});
        assert_eq!(merged(finalizers(&["a", "b"]), delete), finalizers(&["b"]));
    }
}
