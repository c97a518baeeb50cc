//! How refusals quote a patch or what it made of an object: in the words and the order of Kubernetes's libraries. Pure.

use serde_json::Value;

use super::options::Patch;
use crate::diff::patch_error::go_print;

/// The fields of metadata in the order of Kubernetes's type.
const METADATA: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// The fields of one of its `managedFields`.
const MANAGED: [&str; 7] = ["manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource"];

/// A strategic merge patch is quoted itself, as Go prints a map; of the others, what they made of the object.
pub fn patch(before: &Value, after: &Value, patch: &Patch) -> String {
    match patch {
        Patch::Strategic(document) => go_print(document),
        _ => result(before, after),
    }
}

/// The result as JSON. What a patch touched has its members in the order of their names; metadata that it left alone is
/// in the order of its type.
fn result(before: &Value, after: &Value) -> String {
    let Some(members) = after.as_object() else { return after.to_string() };
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| {
            let written = match name.as_str() {
                "metadata" => metadata(&before["metadata"], value),
                _ => value.to_string(),
            };
            format!("{}:{written}", Value::from(name.as_str()))
        })
        .collect();
    format!("{{{}}}", members.join(","))
}

fn metadata(before: &Value, after: &Value) -> String {
    let in_order = |value: &Value, order: &[&str], part: &dyn Fn(&str, &Value) -> String| -> String {
        let Some(members) = value.as_object() else { return value.to_string() };
        let mut names: Vec<&String> = members.keys().collect();
        names.sort_by_key(|name| order.iter().position(|known| known == name).unwrap_or(order.len()));
        let members: Vec<String> = names
            .iter()
            .map(|name| format!("{}:{}", Value::from(name.as_str()), part(name, &value[name.as_str()])))
            .collect();
        format!("{{{}}}", members.join(","))
    };
    let plain = |_: &str, value: &Value| value.to_string();
    let part = |name: &str, value: &Value| match (name, value) {
        ("managedFields", Value::Array(items)) if before[name] == *value => {
            let items: Vec<String> = items.iter().map(|item| in_order(item, &MANAGED, &plain)).collect();
            format!("[{}]", items.join(","))
        }
        _ => value.to_string(),
    };
    let order: &[&str] = if before == after { &METADATA } else { &[] };
    in_order(after, order, &part)
}

/// Why the result of a strategic merge patch, which is never written as JSON, cannot become an object of its type: said of
/// the Go types, where plain decoding would speak of JSON.
pub fn unconvertible(decoding: &str) -> Option<String> {
    let (given, wanted) = decoding.strip_prefix("json: cannot unmarshal ")?.split_once(" into Go ")?;
    let (_, wanted) = wanted.rsplit_once(" of type ")?;
    let (given, fraction) =
        given.split_once(' ').map_or((given, false), |(given, number)| (given, number.contains('.')));
    let given = match given {
        "number" if fraction => "float64",
        "number" => "int64",
        "array" => "slice",
        "object" => "map",
        other => other,
    };
    let number = |name: &str| matches!(name, "int64" | "float64" | "int32");
    Some(match wanted {
        wanted if wanted.starts_with("map[") => format!("cannot restore map from {given}"),
        wanted if wanted.starts_with("[]") => format!("cannot restore slice from {given}"),
        "string" if given == "int64" => format!("cannot convert {given} to {wanted}"),
        wanted if number(wanted) && number(given) => format!("cannot convert {given} to {wanted}"),
        "string" | "bool" | "int32" | "int64" | "float64" => format!("unrecognized type: {wanted}"),
        _ => format!("cannot restore struct from: {given}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_that_a_patch_left_alone_is_in_the_order_of_its_type() {
        let managed = json!([{"apiVersion": "v1", "manager": "m", "operation": "Update"}]);
        let before =
            json!({"data": {}, "metadata": {"labels": {"a": "b"}, "managedFields": managed, "name": "n", "uid": "u"}});
        let mut after = before.clone();
        after["data"] = json!(5);
        assert_eq!(
            result(&before, &after),
            r#"{"data":5,"metadata":{"name":"n","uid":"u","labels":{"a":"b"},"managedFields":[{"manager":"m","operation":"Update","apiVersion":"v1"}]}}"#
        );
        after["metadata"]["labels"] = json!(1);
        assert_eq!(
            result(&before, &after),
            r#"{"data":5,"metadata":{"labels":1,"managedFields":[{"manager":"m","operation":"Update","apiVersion":"v1"}],"name":"n","uid":"u"}}"#
        );
    }

    #[test]
    fn what_a_merge_cannot_convert_is_said_of_go_types() {
        let said = |given: &str, wanted: &str| {
            unconvertible(&format!("json: cannot unmarshal {given} into Go struct field A.b of type {wanted}"))
        };
        for (given, wanted, want) in [
            ("number", "string", "cannot convert int64 to string"),
            ("number 1.5", "int32", "cannot convert float64 to int32"),
            ("string", "int32", "unrecognized type: int32"),
            ("object", "[]v1.Container", "cannot restore slice from map"),
            ("array", "map[string]string", "cannot restore map from slice"),
            ("string", "v1.PodSpec", "cannot restore struct from: string"),
        ] {
            assert_eq!(said(given, wanted).as_deref(), Some(want));
        }
        assert_eq!(unconvertible("quantities must match the regular expression"), None);
    }
}
