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
        if tests_for_absence(&object, operation) {
            continue;
        }
        let operation: json_patch::PatchOperation =
            serde_json::from_value(operation.clone()).map_err(|_| PatchError::Rejected)?;
        size = size.saturating_add(growth(&object, &operation));
        if size > MAX_BYTES {
            return Err(PatchError::TooLarge { max: MAX_BYTES });
        }
        json_patch::patch_unsafe(&mut object, &[operation]).map_err(|_| PatchError::Rejected)?;
    }
    Ok(object)
}

/// Bytes that an operation can add. Only a copy multiplies what is there already.
fn growth(object: &Value, operation: &json_patch::PatchOperation) -> usize {
    use json_patch::PatchOperation as Op;
    match operation {
        Op::Add(add) => bytes(&add.value) + add.path.as_str().len(),
        Op::Replace(replace) => bytes(&replace.value),
        Op::Copy(copy) => object.pointer(copy.from.as_str()).map_or(0, bytes) + copy.path.as_str().len(),
        Op::Remove(_) | Op::Move(_) | Op::Test(_) => 0,
    }
}

/// `test` with a null value holds where nothing is.
fn tests_for_absence(object: &Value, operation: &Value) -> bool {
    let path = operation["path"].as_str().unwrap_or_default();
    let wants_null = operation.get("value").is_some_and(Value::is_null);
    operation["op"] == "test" && wants_null && object.pointer(path).is_none() && has_parent(object, path)
}

fn has_parent(object: &Value, path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(parent, _)| object.pointer(parent).is_some_and(Value::is_object))
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
        let object = json!({"a": "x".repeat(1000)});
        let double = |n: usize| json!({"op": "copy", "from": "", "path": format!("/c{n}")});
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
