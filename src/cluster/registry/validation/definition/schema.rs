//! What a schema says must be something that can be checked: patterns compile, keys of lists are fields of their
//! entries, defaults are valid, rules are CEL.

use serde_json::{Map, Value};

use super::super::field::{Findings, Path, list, text};
use crate::object::custom::{RuleError, Schema, compile_pattern, compile_rule, valid_default};

const DEEPEST: usize = 128;
/// Parts of JSON Schema that Kubernetes does not take.
const UNSUPPORTED: [(&str, &str); 6] = [
    ("$ref", "$ref is not supported"),
    ("additionalItems", "additionalItems is not supported"),
    ("definitions", "definitions is not supported"),
    ("dependencies", "dependencies is not supported"),
    ("id", "id is not supported"),
    ("patternProperties", "patternProperties is not supported"),
];
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

pub fn check(schema: &Value, read: &Schema, at: Path<'_>, found: &mut Findings) {
    if schema["nullable"] == true {
        found.forbidden(at.child("nullable"), "nullable cannot be true at the root");
    }
    node(schema, Some(read), at, found, 0);
}

fn node(schema: &Value, read: Option<&Schema>, at: Path<'_>, found: &mut Findings, depth: usize) {
    if depth > DEEPEST {
        return;
    }
    for (name, why) in UNSUPPORTED.iter().filter(|(name, _)| !schema[*name].is_null()) {
        found.forbidden(at.child(name), why);
    }
    if schema["uniqueItems"] == true {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        found.forbidden(at.child("uniqueItems"), why);
    }
    match &schema["additionalProperties"] {
        Value::Null => {}
        Value::Bool(false) => {
            found.forbidden(at.child("additionalProperties"), "additionalProperties cannot be set to false");
        }
        _ if schema["properties"].as_object().is_some_and(|map| !map.is_empty()) => {
            let why = "additionalProperties and properties are mutual exclusive";
            found.forbidden(at.child("additionalProperties"), why);
        }
        _ => {}
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == false {
        let path = at.child("x-kubernetes-preserve-unknown-fields");
        found.invalid(path, &Value::Bool(false), "must be true or undefined");
    }
    let pattern = text(schema, "pattern");
    if let Err(error) = compile_pattern(pattern) {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().to_owned();
        found.invalid_text(
            at.child("pattern"),
            pattern,
            format_args!("must be a valid regular expression, but isn't: {why}"),
        );
    }
    lists(schema, at, found);
    if let Some(read) = read
        && !schema["default"].is_null()
    {
        for cause in valid_default(read, &schema["default"], &at.child("default").to_string()) {
            found.push(cause);
        }
    }
    rules(schema, at, found);
    below(schema, read, at, found, depth + 1);
}

fn below(schema: &Value, read: Option<&Schema>, at: Path<'_>, found: &mut Findings, depth: usize) {
    let properties = at.child("properties");
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let read = read.and_then(|read| read.properties.get(name));
        node(inner, read, properties.key(name), found, depth);
    }
    for (name, read) in [
        ("additionalProperties", read.and_then(|read| read.additional.as_deref())),
        ("items", read.and_then(|read| read.items.as_deref())),
        ("not", None),
    ] {
        if schema[name].is_object() {
            node(&schema[name], read, at.child(name), found, depth);
        }
    }
    for name in ["allOf", "anyOf", "oneOf"] {
        let path = at.child(name);
        for (index, inner) in list(schema, name).iter().enumerate() {
            node(inner, None, path.index(index), found, depth);
        }
    }
}

/// How lists and maps merge.
fn lists(schema: &Value, at: Path<'_>, found: &mut Findings) {
    let (type_, list_type) = (text(schema, "type"), text(schema, "x-kubernetes-list-type"));
    let keys = list(schema, "x-kubernetes-list-map-keys");
    let keys_at = at.child("x-kubernetes-list-map-keys");
    if !matches!(list_type, "" | "atomic" | "set" | "map") {
        let path = at.child("x-kubernetes-list-type");
        found.one_of(path, &Value::from(list_type), &["atomic", "map", "set"]);
    }
    let needs = "must be array if x-kubernetes-list-type is specified";
    match type_ {
        _ if list_type.is_empty() => {}
        "array" => {}
        "" => found.required(at.child("type"), needs),
        other => found.invalid_text(at.child("type"), other, needs),
    }
    if !keys.is_empty() && list_type != "map" {
        let why = "must be map if x-kubernetes-list-map-keys is non-empty";
        match list_type {
            "" => found.required(at.child("x-kubernetes-list-type"), why),
            other => found.invalid_text(at.child("x-kubernetes-list-type"), other, why),
        }
    }
    if list_type == "map" {
        if keys.is_empty() {
            found.required(keys_at, "must not be empty if x-kubernetes-list-type is map");
        }
        map_keys(&schema["items"], keys, keys_at, at.child("items"), found);
    }
    if list_type == "set" {
        let items = at.child("items");
        let atomic = text(&schema["items"], "x-kubernetes-map-type") == "atomic";
        if text(&schema["items"], "type") == "object" && !atomic {
            let why = "must be set to atomic if x-kubernetes-list-type of the array is set";
            found.required(items.child("x-kubernetes-map-type"), why);
        }
        if text(&schema["items"], "type") == "array" && text(&schema["items"], "x-kubernetes-list-type") != "atomic" {
            let why = "must be set to atomic if x-kubernetes-list-type of the array is set";
            found.required(items.child("x-kubernetes-list-type"), why);
        }
    }
    let map_type = text(schema, "x-kubernetes-map-type");
    if !matches!(map_type, "" | "atomic" | "granular") {
        found.one_of(at.child("x-kubernetes-map-type"), &Value::from(map_type), &["atomic", "granular"]);
    }
    if !map_type.is_empty() && type_ != "object" {
        let why = "must be object if x-kubernetes-map-type is specified";
        match type_ {
            "" => found.required(at.child("type"), why),
            other => found.invalid_text(at.child("type"), other, why),
        }
    }
}

fn map_keys(items: &Value, keys: &[Value], keys_at: Path<'_>, items_at: Path<'_>, found: &mut Findings) {
    if items.is_null() {
        return found.required(items_at, "must have a schema if x-kubernetes-list-type is map");
    }
    if text(items, "type") != "object" {
        let why = "must be object if parent array's x-kubernetes-list-type is map";
        found.invalid_text(items_at.child("type"), text(items, "type"), why);
    }
    let properties = items_at.child("properties");
    let mut seen: Map<String, Value> = Map::new();
    for (index, key) in keys.iter().enumerate() {
        let name = key.as_str().unwrap_or_default();
        let declared = &items["properties"][name];
        if seen.insert(name.to_owned(), Value::Null).is_some() {
            found.duplicate(keys_at.index(index), key);
        }
        if declared.is_null() {
            found.invalid_text(keys_at.index(index), name, "entries must all be names of item properties");
            continue;
        }
        let path = properties.key(name);
        if matches!(text(declared, "type"), "object" | "array") {
            let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            found.invalid_text(path.child("type"), text(declared, "type"), why);
        }
        if declared["default"].is_null() && !list(items, "required").contains(key) {
            let why =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            found.required(path.child("default"), why);
        }
    }
}

fn rules(schema: &Value, at: Path<'_>, found: &mut Findings) {
    let path = at.child("x-kubernetes-validations");
    for (index, rule) in list(schema, "x-kubernetes-validations").iter().enumerate() {
        let here = path.index(index);
        let source = text(rule, "rule");
        if source.trim().is_empty() {
            found.required(here.child("rule"), "rule is not specified");
        } else if let Err(error) = compile_rule(source) {
            found.invalid_text(here.child("rule"), source, error);
        }
        let message = text(rule, "message");
        if !rule["message"].is_null() && message.trim().is_empty() {
            found.invalid_text(here.child("message"), message, "message must be non-empty if specified");
        } else if message.trim().contains('\n') {
            found.invalid_text(here.child("message"), message, "message must not contain line breaks");
        } else if source.contains('\n') && message.is_empty() {
            let why = "message must be specified if rule contains line breaks";
            found.required(here.child("message"), why);
        }
        if let Some(source) = rule["messageExpression"].as_str() {
            let refused: Result<(), RuleError> = compile_rule(source);
            if let Err(error) = refused {
                found.invalid_text(here.child("messageExpression"), source, error);
            }
        }
        let reason = text(rule, "reason");
        if !reason.is_empty() {
            found.one_of(here.child("reason"), &rule["reason"], &REASONS);
        }
        let field = text(rule, "fieldPath");
        if !field.is_empty() && !field.starts_with(['.', '[']) {
            found.invalid_text(here.child("fieldPath"), field, "fieldPath must be a valid path");
        }
    }
}
