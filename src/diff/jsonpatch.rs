//! JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386), bounded in operations and in what they make an object
//! grow to. Refusals are worded as Kubernetes words them.

use serde_json::Value;

use super::patch_error::PatchError;

/// Operations that one JSON Patch may have.
const MAX_OPERATIONS: usize = 10_000;
/// Bytes that the object may have as JSON after a patch: twice what the store takes from a client.
const MAX_BYTES: usize = 6 * 1024 * 1024;

/// Applies a JSON Patch document.
///
/// # Errors
/// When the document is not one, an operation does not fit the object or a test fails, or a bound is passed.
pub fn apply(current: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Value::Array(operations) = patch else {
        return Err(PatchError::Document { got: json_type(patch), want: "[]handlers.jsonPatchOp" });
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations { max: MAX_OPERATIONS, got: operations.len() });
    }
    let mut object = current.clone();
    let mut size = bytes(&object);
    for operation in operations {
        size = size.saturating_add(operate(&mut object, operation).ok_or(PatchError::Rejected)?);
        if size > MAX_BYTES {
            return Err(PatchError::TooLarge { max: MAX_BYTES });
        }
    }
    Ok(object)
}

/// Does one operation and says how many bytes it may have added; `None` when it does not fit.
///
/// Where Kubernetes's library is laxer than the RFC, so is this: what is not there reads as null, a `replace` may add
/// a member, indexes may count from the end, and whatever is before the first `/` of a path is not looked at.
fn operate(object: &mut Value, operation: &Value) -> Option<usize> {
    let text = |name: &str| operation.get(name)?.as_str();
    let value = || operation.get("value").cloned().unwrap_or_default();
    let path = text("path")?;
    let added = |value: &Value| bytes(value) + path.len();
    match text("op")? {
        "add" => {
            let value = value();
            let growth = added(&value);
            add(object, path, value)?;
            Some(growth)
        }
        "replace" => {
            let value = value();
            let growth = added(&value);
            if path.is_empty() {
                *object = Some(value).filter(|value| value.is_object() || value.is_array())?;
                return Some(growth);
            }
            match find(object, path)? {
                (Value::Array(items), place) => {
                    let index = index(&place, items.len())?;
                    *items.get_mut(index)? = value;
                }
                (container, place) => drop(container.as_object_mut()?.insert(place, value)),
            }
            Some(growth)
        }
        "remove" => take(object, path).map(|_| 0),
        "move" => {
            let value = take(object, text("from")?)?;
            add(object, path, value)?;
            Some(path.len())
        }
        "copy" => {
            let value = read(object, text("from")?)?;
            let growth = added(&value);
            add(object, path, value)?;
            Some(growth)
        }
        "test" if path.is_empty() => (*object == value()).then_some(0),
        "test" => (read(object, path)? == value()).then_some(0),
        _ => None,
    }
}

/// The object or list that a path ends in, and the place there that it means.
fn find<'a>(object: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (_, below) = path.split_once('/')?;
    let (parents, last) = below.rsplit_once('/').map_or((None, below), |(parents, last)| (Some(parents), last));
    let mut container = object;
    for part in parents.into_iter().flat_map(|parents| parents.split('/')) {
        container = match container {
            Value::Array(items) => {
                let index = index(&unescaped(part), items.len())?;
                items.get_mut(index)?
            }
            other => other.as_object_mut()?.get_mut(&unescaped(part))?,
        };
    }
    (container.is_object() || container.is_array()).then(|| (container, unescaped(last)))
}

/// A part of a path as the name that it stands for (RFC 6901, section 4).
fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// A place in a list of this length; negative ones count from its end.
fn index(place: &str, length: usize) -> Option<usize> {
    let number: i64 = place.parse().ok()?;
    let index = if number < 0 { number + i64::try_from(length).ok()? } else { number };
    usize::try_from(index).ok().filter(|index| *index < length)
}

fn add(object: &mut Value, path: &str, value: Value) -> Option<()> {
    match find(object, path)? {
        (Value::Array(items), place) if place == "-" => items.push(value),
        (Value::Array(items), place) => items.insert(index(&place, items.len() + 1)?, value),
        (container, place) => drop(container.as_object_mut()?.insert(place, value)),
    }
    Some(())
}

/// What is there; null for a member that is not.
fn read(object: &mut Value, path: &str) -> Option<Value> {
    match find(object, path)? {
        (Value::Array(items), place) => items.get(index(&place, items.len())?).cloned(),
        (container, place) => Some(container.get(&place).cloned().unwrap_or_default()),
    }
}

/// Removes what is there, which has to be.
fn take(object: &mut Value, path: &str) -> Option<Value> {
    match find(object, path)? {
        (Value::Array(items), place) => Some(items.remove(index(&place, items.len())?)),
        (container, place) => container.as_object_mut()?.remove(&place),
    }
}

/// Applies a JSON Merge Patch document.
///
/// # Errors
/// When the document is not an object, or the result is too large.
pub fn merge(current: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Document { got: json_type(patch), want: "map[string]interface {}" });
    }
    if bytes(current).saturating_add(bytes(patch)) > MAX_BYTES {
        return Err(PatchError::TooLarge { max: MAX_BYTES });
    }
    let mut object = current.clone();
    json_patch::merge(&mut object, patch);
    Ok(object)
}

fn bytes(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
            self.0 += part.len();
            Ok(part.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail; a value that does not serialise would count as what was written of it.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_apply_in_order() {
        let object = json!({"a": {"b": [1, 2, 3]}, "x": "y"});
        let patch = json!([{"op": "test", "path": "/x", "value": "y"}, {"op": "test", "path": "/a/none", "value": null},
            {"op": "move", "from": "/a/b/2", "path": "/a/b/0"}, {"op": "add", "path": "/a/b/-", "value": 9},
            {"op": "copy", "from": "/x", "path": "/z~1"}, {"op": "remove", "path": "/x"}]);
        assert_eq!(apply(&object, &patch).unwrap(), json!({"a": {"b": [3, 1, 2, 9]}, "z/": "y"}));
    }

    #[test]
    fn operations_that_the_rfc_refuses_are_taken_as_kubernetes_takes_them() {
        let object = json!({"a": {"b": [1, 2]}});
        for (operation, want) in [
            (json!({"op": "replace", "path": "/a/c", "value": 1}), json!({"a": {"b": [1, 2], "c": 1}})),
            (json!({"op": "add", "path": "/a/c"}), json!({"a": {"b": [1, 2], "c": null}})),
            (json!({"op": "copy", "from": "/a/x", "path": "/a/c"}), json!({"a": {"b": [1, 2], "c": null}})),
            (json!({"op": "add", "path": "a/c", "value": 1}), json!({"a": {"b": [1, 2]}, "c": 1})),
            (json!({"op": "add", "path": "/a/b/-1", "value": 3}), json!({"a": {"b": [1, 2, 3]}})),
            (json!({"op": "remove", "path": "/a/b/-2"}), json!({"a": {"b": [2]}})),
            (json!({"op": "test", "path": "/a/x"}), object.clone()),
        ] {
            assert_eq!(apply(&object, &json!([operation])), Ok(want), "{operation}");
        }
        for operation in [
            json!({"op": "add", "path": "", "value": {}}),
            json!({"op": "add", "path": "/a/b/4", "value": 1}),
            json!({"op": "replace", "path": "/a/b/2", "value": 1}),
            json!({"op": "replace", "path": "/x/y", "value": 1}),
            json!({"op": "remove", "path": "/a/b/-3"}),
            json!({"op": "copy", "from": "/x/y", "path": "/a/c"}),
        ] {
            assert_eq!(apply(&object, &json!([operation])), Err(PatchError::Rejected), "{operation}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let object = json!({"a": 1});
        for patch in [
            json!([{"op": "remove", "path": "/b"}]),
            json!([{"op": "add", "value": 1}]),
            json!([{"op": "fly", "path": "/a"}]),
            json!([{"op": "test", "path": "/a", "value": 2}]),
            json!([1]),
        ] {
            assert_eq!(apply(&object, &patch), Err(PatchError::Rejected), "{patch}");
        }
        assert!(matches!(apply(&object, &json!({})), Err(PatchError::Document { .. })));
        assert!(matches!(merge(&object, &json!([])), Err(PatchError::Document { .. })));
    }

    #[test]
    fn a_patch_that_doubles_the_object_again_and_again_is_stopped() {
        let object = json!({"a": "x".repeat(200_000)});
        let double = |n: usize| json!({"op": "copy", "from": "/a", "path": format!("/c{n}")});
        let patch = Value::Array((0..64).map(double).collect());
        assert!(matches!(apply(&object, &patch), Err(PatchError::TooLarge { .. })));
        let patch = Value::Array(vec![json!({"op": "test", "path": "/a", "value": 1}); MAX_OPERATIONS + 1]);
        assert!(matches!(apply(&object, &patch), Err(PatchError::TooManyOperations { .. })));
    }

    #[test]
    fn a_merge_patch_removes_by_null() {
        let merged = merge(&json!({"a": {"b": 1, "c": 2}}), &json!({"a": {"b": null, "d": {"e": null}}}));
        assert_eq!(merged.unwrap(), json!({"a": {"c": 2, "d": {}}}));
    }
}
