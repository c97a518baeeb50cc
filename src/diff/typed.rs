//! Whether a configuration that is applied has the fields and types of its kind, in the words of Kubernetes's
//! structured merge, which refuses what a plain write would drop or would refuse in other words.

use serde_json::Value;

use super::patch_error::go_print;
use super::structure;
use crate::diff::schema as rules;
use crate::object::{Kind, schema};

/// What is wrong with the first value that does not fit, with its path: `.spec.replicas: expected numeric ...`.
pub fn problem(kind: &'static Kind, config: &Value) -> Option<String> {
    match schema::decode(kind, &mut config.clone()) {
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
fn keyed_path(kind: &'static Kind, config: &Value, path: &str) -> String {
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
            assert_eq!(problem(kinds::DEPLOYMENT, &config).as_deref(), want, "{config}");
        }
        let list = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": ["a"]});
        assert_eq!(problem(kinds::CONFIG_MAP, &list).as_deref(), Some(".data: expected map, got &{[a]}"));
    }
}
