//! Custom resources by the definitions that the recordings use.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Definition, Kinds, Version};
use crate::object::Cause;

fn kinds(schema: Value) -> Kinds {
    let crd = json!({"metadata": {"name": "wids.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
        "names": {"plural": "wids", "kind": "Wid", "singular": "wid", "listKind": "WidList"},
        "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": schema}}]}});
    let mut kinds = Kinds::default();
    kinds.declare(&crd).expect("there is room");
    kinds
}

fn definition(schema: Value) -> Arc<Definition> {
    kinds(schema).definitions().next().expect("one").clone()
}

fn spec(properties: Value) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}})
}

fn object(spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Wid", "metadata": {"name": "a"}, "spec": spec})
}

fn lines(causes: &[Cause]) -> Vec<String> {
    causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

fn judged(version: &Version, spec: Value) -> Vec<String> {
    lines(&version.validate(&object(spec), None))
}

#[test]
fn unknown_fields_are_dropped_and_named() {
    let schema = spec(
        json!({"items": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"n": {"type": "object"}}},
        "map": {"type": "object", "additionalProperties": {"type": "object"}}}),
    );
    let definition = definition(schema);
    let mut value = object(json!({"items": [{"k": "a", "z": 1}], "x": 1, "free": {"y": {"z": 1}, "n": {"q": 1}},
        "map": {"a": {"b": 1}}}));
    value["metadata"]["nope"] = json!(1);
    value["top"] = json!(1);
    let unknown = definition.storage().decode(&mut value).expect("it decodes");
    let want = ["metadata.nope", "spec.free.n.q", "spec.items[0].z", "spec.map.a.b", "spec.x", "top"];
    assert_eq!(unknown, want.map(|path| format!("unknown field \"{path}\"")));
    assert_eq!(value["spec"], json!({"items": [{"k": "a"}], "free": {"y": {"z": 1}, "n": {}}, "map": {"a": {}}}));
}

#[test]
fn metadata_of_the_wrong_type_is_refused() {
    let definition = definition(spec(json!({})));
    let mut value = object(json!({}));
    value["metadata"]["labels"] = json!({"a": 1});
    let refusal = definition.storage().decode(&mut value).expect_err("labels are strings");
    assert_eq!(
        refusal.to_string(),
        "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
    );
}

#[test]
fn defaults_fill_what_is_missing_and_what_may_not_be_null() {
    let schema =
        spec(json!({"a": {"type": "integer", "default": 7}, "b": {"type": "string", "nullable": true, "default": "x"},
        "c": {"type": "string"},
        "o": {"type": "object", "default": {}, "properties": {"deep": {"type": "boolean", "default": true}}},
        "l": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "integer", "default": 1}}}}}));
    let definition = definition(schema);
    let mut value = object(json!({"a": null, "b": null, "c": null, "l": [{}, {"p": 2}]}));
    definition.storage().decode(&mut value).expect("it decodes");
    definition.storage().default(&mut value);
    assert_eq!(value["spec"], json!({"a": 7, "b": null, "o": {"deep": true}, "l": [{"p": 1}, {"p": 2}]}));
}

#[test]
fn values_are_judged_in_the_words_of_kubernetes() {
    let cases = [
        (
            json!({"type": "integer", "maximum": 10, "minimum": 1}),
            json!(11),
            vec!["spec.v: Invalid value: 11: spec.v in body should be less than or equal to 10"],
        ),
        (
            json!({"type": "integer", "minimum": 1, "exclusiveMinimum": true}),
            json!(1),
            vec!["spec.v: Invalid value: 1: spec.v in body should be greater than 1"],
        ),
        (
            json!({"type": "integer"}),
            json!("3"),
            vec!["spec.v: Invalid value: \"string\": spec.v in body must be of type integer: \"string\""],
        ),
        (
            json!({"type": "integer", "maximum": 3}),
            json!(1.5),
            vec![
                "spec.v: Invalid value: \"number\": spec.v in body must be of type integer: \"number\"",
                "<nil>: Invalid value: \"\": Checked value must be of type integer (default format) in spec.v",
            ],
        ),
        (json!({"type": "integer"}), json!(3.0), vec![]),
        (
            json!({"type": "string", "maxLength": 2, "pattern": "^a$"}),
            json!("bbb"),
            vec!["spec.v: Too long: may not be more than 2 bytes"],
        ),
        (
            json!({"type": "string", "pattern": "^a$"}),
            json!("b"),
            vec!["spec.v: Invalid value: \"b\": spec.v in body should match '^a$'"],
        ),
        (
            json!({"type": "string", "minLength": 1}),
            json!(""),
            vec!["spec.v: Invalid value: \"\": spec.v in body should be at least 1 chars long"],
        ),
        (
            json!({"type": "string", "enum": ["A", "B"]}),
            json!("C"),
            vec!["spec.v: Unsupported value: \"C\": supported values: \"A\", \"B\""],
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("soon"),
            vec!["spec.v: Invalid value: \"soon\": spec.v in body must be of type date-time: \"soon\""],
        ),
        (
            json!({"type": "array", "maxItems": 1, "items": {"type": "string"}}),
            json!(["a", "b"]),
            vec!["spec.v: Too many: 2: must have at most 1 items"],
        ),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(true),
            vec!["spec.v: Invalid value: \"boolean\": spec.v in body must be of type integer,string: \"boolean\""],
        ),
        (
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}),
            json!({}),
            vec!["spec.v.a: Required value"],
        ),
        (
            json!({"type": "integer", "multipleOf": 5}),
            json!(7),
            vec!["spec.v: Invalid value: 7: spec.v in body should be a multiple of 5"],
        ),
        (
            json!({"type": "integer", "not": {"enum": [3]}}),
            json!(3),
            vec!["<nil>: Invalid value: \"\": \"spec.v\" must not validate the schema (not)"],
        ),
        (
            json!({"type": "integer", "oneOf": [{"minimum": 1}, {"minimum": 2}]}),
            json!(3),
            vec![
                "<nil>: Invalid value: \"\": \"spec.v\" must validate one and only one schema (oneOf). Found 2 valid alternatives",
            ],
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}),
            json!(["a", "a"]),
            vec!["spec.v[1]: Duplicate value: \"a\""],
        ),
        (json!({"type": "string", "nullable": true}), json!(null), vec![]),
        (
            json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}),
            json!({"kind": "Pod"}),
            vec!["spec.v.apiVersion: Required value: must not be empty"],
        ),
    ];
    for (schema, value, want) in cases {
        let definition = definition(spec(json!({"v": schema})));
        assert_eq!(judged(definition.storage(), json!({"v": value})), want, "{schema} {value}");
    }
}

#[test]
fn rules_compare_with_the_state_before() {
    let schema = spec(json!({"frozen": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]},
        "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "n": {"type": "integer",
                "x-kubernetes-validations": [{"rule": "self >= oldSelf", "messageExpression":
                    "'was ' + string(oldSelf)"}]}}}},
        "max-size": {"type": "integer"}, "at": {"type": "string", "format": "date-time"},
        "once": {"type": "integer", "x-kubernetes-validations": [
            {"rule": "!oldSelf.hasValue() || self > oldSelf.value()", "optionalOldSelf": true, "message": "must grow"}]}}));
    let mut schema = schema;
    schema["properties"]["spec"]["x-kubernetes-validations"] = json!([
        {"rule": "!has(self.max__dash__size) || self.max__dash__size < 10", "reason": "FieldValueForbidden",
            "fieldPath": ".max-size", "message": "too large"},
        {"rule": "!has(self.at) || self.at > timestamp('2020-01-01T00:00:00Z')", "message": "too early"}]);
    let definition = definition(schema);
    let version = definition.storage();
    let changed = |new: Value, old: Value| lines(&version.validate(&object(new), Some(&object(old))));
    assert_eq!(judged(version, json!({"frozen": "a"})), Vec::<String>::new());
    assert_eq!(
        changed(json!({"frozen": "b"}), json!({"frozen": "a"})),
        ["spec.frozen: Invalid value: \"b\": failed rule: self == oldSelf"]
    );
    assert_eq!(
        changed(json!({"list": [{"k": "new", "n": 0}, {"k": "a", "n": 1}]}), json!({"list": [{"k": "a", "n": 2}]})),
        ["spec.list[1].n: Invalid value: 1: was 2"]
    );
    assert_eq!(judged(version, json!({"max-size": 11})), ["spec.max-size: Forbidden: too large"]);
    assert_eq!(judged(version, json!({"at": "2019-01-01T00:00:00Z"})), ["spec: Invalid value: too early"]);
    assert_eq!(changed(json!({"once": 1}), json!({"once": 2})), ["spec.once: Invalid value: 1: must grow"]);
    assert_eq!(judged(version, json!({"once": 1})), Vec::<String>::new());
}

#[test]
fn what_was_wrong_before_and_did_not_change_is_let_be() {
    let definition = definition(spec(json!({"a": {"type": "integer", "maximum": 3}, "b": {"type": "integer"}})));
    let (old, new) = (object(json!({"a": 9, "b": 1})), object(json!({"a": 9, "b": 2})));
    assert_eq!(definition.storage().validate(&new, Some(&old)), []);
}

#[test]
fn a_definition_adds_its_kinds_to_those_of_the_table() {
    let mut kinds = kinds(spec(json!({})));
    let kind = kinds.by_manifest("example.com/v1", "Wid").expect("it is known");
    assert_eq!(kinds.by_plural("example.com", "v1", "wids"), Some(kind));
    assert_eq!(kinds.by_resource("example.com", "wids"), Some(kind));
    assert!(kinds.all().any(|known| known == kind) && kinds.all().any(|known| known.kind == "Pod"));
    kinds.remove("wids.example.com");
    assert_eq!(kinds.by_manifest("example.com/v1", "Wid"), None);
    assert!(kinds.by_manifest("v1", "Pod").is_some());
}
