//! Whether a configuration that is applied has the fields and types of its kind, in the words of Kubernetes's
//! structured merge, which refuses what a plain write would drop or would refuse in other words.

use serde_json::Value;

use super::patch_error::go_print;
use super::structure;
use crate::diff::schema as rules;
use crate::object::custom::{Described, Schema};
use crate::object::schema;

/// What is wrong with the first value that does not fit, with its path: `.spec.replicas: expected numeric ...`.
pub fn problem(kind: Described<'_>, config: &Value) -> Option<String> {
    let mut copy = config.clone();
    let decoded = match kind.version() {
        Some(version) => version.decode(&mut copy),
        None => schema::decode(kind.row, &mut copy),
    };
    match decoded {
        Ok(unknown) if unknown.is_empty() => unfit(kind.version()?.schema(), config, ""),
        Ok(unknown) => {
            let mut paths: Vec<&str> = unknown.iter().filter_map(|text| quoted(text)).collect();
            paths.sort_unstable();
            Some(format!("{}: field not declared in schema", keyed_path(kind, config, paths.first()?)))
        }
        Err(refusal) => mistyped(config, &refusal.to_string()),
    }
}

fn quoted(text: &str) -> Option<&str> {
    text.split('"').nth(1)
}

/// `spec.containers[0].foo` with the entries of lists named by their keys.
fn keyed_path(kind: Described<'_>, config: &Value, path: &str) -> String {
    let mut out = String::new();
    let mut field = structure::root(rules::of(kind));
    let mut value = config;
    for step in path.split('.') {
        let (name, indices) = step.split_once('[').unwrap_or((step, ""));
        field = field.inner.field(name);
        value = &value[name];
        out.push_str(&format!(".{name}"));
        for index in indices.split(['[', ']']).filter_map(|index| index.parse::<usize>().ok()) {
            let entry = &value[index];
            match field.entries {
                rules::Entries::Whole => out.push_str(&format!("[{index}]")),
                _ => out.push_str(&structure::identify(&field, entry).to_string()),
            }
            field = structure::entry_field(&field);
            value = entry;
        }
    }
    out
}

/// Reads the decoder's refusal, `json: cannot unmarshal GIVEN into Go struct field TYPE.PATH of type WANTED`.
fn mistyped(config: &Value, refusal: &str) -> Option<String> {
    let (given, rest) = refusal.strip_prefix("json: cannot unmarshal ")?.split_once(" into Go struct field ")?;
    let (place, wanted) = rest.split_once(" of type ")?;
    let (_, path) = place.split_once('.')?;
    let value = config.pointer(&format!("/{}", path.replace('.', "/")));
    let plain = value.map_or_else(|| given.to_owned(), |value| format!("&{{{}}}", go_print(value)));
    let told = match wanted {
        "int32" | "int64" | "float64" => format!("numeric (int or float), got {given}"),
        "string" => {
            format!("string, got &value.valueUnstructured{{Value:{}}}", value.map_or_else(String::new, go_print))
        }
        "bool" => format!("boolean, got {plain}"),
        list if list.starts_with("[]") => format!("list, got {plain}"),
        _ => format!("map, got {plain}"),
    };
    Some(format!(".{path}: expected {told}"))
}

/// The first value of a custom resource that is not of the type that its schema gives it.
fn unfit(schema: &Schema, value: &Value, path: &str) -> Option<String> {
    let plain = || format!("&{{{}}}", go_print(value));
    let wanted = match (schema.type_.as_str(), value) {
        (_, Value::Null) => return None,
        _ if schema.int_or_string => return None,
        ("object", Value::Object(_)) | ("array", Value::Array(_)) | ("string", Value::String(_)) => None,
        ("integer" | "number", Value::Number(_)) | ("boolean", Value::Bool(_)) | ("", _) => None,
        ("object", _) => Some(format!("map, got {}", plain())),
        ("array", _) => Some(format!("list, got {}", plain())),
        ("string", _) => Some(format!("string, got &value.valueUnstructured{{Value:{}}}", go_print(value))),
        ("boolean", _) => Some(format!("boolean, got {}", plain())),
        _ => Some(format!("numeric (int or float), got {}", go_type(value))),
    };
    if let Some(wanted) = wanted {
        return Some(format!("{path}: expected {wanted}"));
    }
    match value {
        Value::Object(map) => map.iter().find_map(|(name, value)| {
            let below = schema.member(name)?;
            unfit(below, value, &format!("{path}.{name}"))
        }),
        Value::Array(items) => {
            let below = schema.items.as_deref()?;
            items.iter().enumerate().find_map(|(index, item)| unfit(below, item, &format!("{path}[{index}]")))
        }
        _ => None,
    }
}

/// The Go type that the value has there.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "map[string]interface {}",
        Value::Array(_) => "[]interface {}",
        Value::Bool(_) => "bool",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::kinds;

    #[test]
    fn what_does_not_fit_is_named_by_its_path() {
        let spec = |spec: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec});
        let container = |container: Value| spec(json!({"template": {"spec": {"containers": [container]}}}));
        let cases = [
            (spec(json!({"replicas": "x"})), Some(".spec.replicas: expected numeric (int or float), got string")),
            (spec(json!({"zz": 1, "foo": 2})), Some(".spec.foo: field not declared in schema")),
            (
                container(json!({"name": "c", "nope": 1})),
                Some(".spec.template.spec.containers[name=\"c\"].nope: field not declared in schema"),
            ),
            (container(json!({"name": "c", "image": "i"})), None),
        ];
        for (config, want) in cases {
            assert_eq!(problem(kinds::DEPLOYMENT.into(), &config).as_deref(), want, "{config}");
        }
        let list = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": ["a"]});
        assert_eq!(problem(kinds::CONFIG_MAP.into(), &list).as_deref(), Some(".data: expected map, got &{[a]}"));
    }
}
