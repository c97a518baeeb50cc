//! Whether a schema is structural: every field has a type, and combinations of schemas only narrow values down.
//! (Kubernetes API, "Specifying a structural schema".)

use serde_json::{Map, Value};

use super::super::field::{Findings, Path, text};

/// Nesting of a schema that is followed; the reader of JSON lets none pass that nests much deeper.
const DEEPEST: usize = 128;
const LOGICAL: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// What a schema inside a combination must leave to the outer one.
const OUTER_ONLY: [&str; 6] = ["default", "description", "nullable", "title", "type", "additionalProperties"];

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

pub fn check(schema: &Value, at: Path<'_>, found: &mut Findings) {
    let mut untyped = Vec::new();
    node(schema, Level::Root, at, found, &mut untyped, 0);
    // Kubernetes names types that it does not know behind all else.
    for (path, type_) in untyped {
        found.unsupported_at(path, &Value::from(type_), &["array", "boolean", "integer", "number", "object", "string"]);
    }
}

fn node(
    schema: &Value,
    level: Level,
    at: Path<'_>,
    found: &mut Findings,
    unknown: &mut Vec<(String, String)>,
    depth: usize,
) {
    if depth > DEEPEST {
        return found.forbidden(at, format_args!("schemas may not be nested deeper than {DEEPEST} levels"));
    }
    let is = |name: &str| schema[name] == true;
    let type_ = text(schema, "type");
    if schema["items"].is_object() {
        node(&schema["items"], Level::Item, at.child("items"), found, unknown, depth + 1);
    }
    let properties = at.child("properties");
    for (name, below) in members(&schema["properties"]) {
        node(below, Level::Field, properties.key(name), found, unknown, depth + 1);
    }
    let additional = &schema["additionalProperties"];
    if !additional.is_null() {
        if level == Level::Root {
            found.forbidden(at.child("additionalProperties"), "must not be used at the root");
        }
        if additional.is_object() {
            node(additional, Level::Field, at.child("additionalProperties"), found, unknown, depth + 1);
        }
    }
    if type_ == "array" && schema["items"].is_null() {
        found.required(at.child("items"), "must be specified");
    }
    let int_or_string = is("x-kubernetes-int-or-string");
    if int_or_string && !type_.is_empty() {
        found.invalid_text(at.child("type"), type_, "must be empty if x-kubernetes-int-or-string is true");
    }
    combinations(schema, int_or_string, at, found, depth);
    embedded_and_typed(schema, level, at, found);
    if !type_.is_empty() && !matches!(type_, "array" | "boolean" | "integer" | "number" | "object" | "string") {
        unknown.push((at.child("type").to_string(), type_.to_owned()));
    }
}

fn embedded_and_typed(schema: &Value, level: Level, at: Path<'_>, found: &mut Findings) {
    let is = |name: &str| schema[name] == true;
    let type_ = text(schema, "type");
    let embedded = is("x-kubernetes-embedded-resource");
    let preserves = is("x-kubernetes-preserve-unknown-fields");
    let object = "must be object if x-kubernetes-embedded-resource is true";
    if embedded && type_.is_empty() {
        found.required(at.child("type"), object);
    } else if embedded && type_ != "object" {
        found.invalid_text(at.child("type"), type_, object);
    } else if type_.is_empty() && !is("x-kubernetes-int-or-string") && !preserves {
        let why = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        found.required(at.child("type"), why);
    }
    if embedded && !schema["additionalProperties"].is_null() {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        found.forbidden(at.child("additionalProperties"), why);
    }
    if level == Level::Root && !type_.is_empty() && type_ != "object" {
        found.invalid_text(at.child("type"), type_, "must be object at the root");
    }
    if level == Level::Root || embedded {
        let properties = at.child("properties");
        for name in ["apiVersion", "kind"] {
            let declared = &schema["properties"][name];
            if !declared.is_null() && text(declared, "type") != "string" {
                let path = properties.key(name);
                found.invalid_text(path.child("type"), text(declared, "type"), "must be string");
            }
        }
        metadata(&schema["properties"]["metadata"], properties.key("metadata"), found);
    }
    if embedded && !preserves && members(&schema["properties"]).next().is_none() {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without \
                   x-kubernetes-preserve-unknown-fields";
        found.required(at.child("properties"), why);
    }
}

/// Metadata is the same for all kinds; only its names may be narrowed down.
fn metadata(metadata: &Value, at: Path<'_>, found: &mut Findings) {
    if metadata.is_null() {
        return;
    }
    if text(metadata, "type") != "object" {
        found.invalid_text(at.child("type"), text(metadata, "type"), "must be object");
    }
    let properties = at.child("properties");
    for (name, _) in
        members(&metadata["properties"]).filter(|(name, _)| !matches!(name.as_str(), "name" | "generateName"))
    {
        let why = "must not be specified in a nested metadata schema beside name and generateName";
        found.forbidden(properties.key(name), why);
    }
}

/// `allOf` and the like may not say what the schema around them must say.
fn combinations(schema: &Value, int_or_string: bool, at: Path<'_>, found: &mut Findings, depth: usize) {
    for name in LOGICAL {
        let path = at.child(name);
        for (index, inner) in schema[name].as_array().into_iter().flatten().enumerate() {
            nested(inner, schema, int_or_string && name != "oneOf", path.index(index), found, depth + 1);
        }
    }
    if schema["not"].is_object() {
        nested(&schema["not"], schema, false, at.child("not"), found, depth + 1);
    }
}

fn nested(inner: &Value, outer: &Value, may_be_typed: bool, at: Path<'_>, found: &mut Findings, depth: usize) {
    if depth > DEEPEST {
        return;
    }
    for name in OUTER_ONLY.into_iter().filter(|name| !(may_be_typed && *name == "type")) {
        if !matches!(&inner[name], Value::Null | Value::Bool(false)) {
            found.forbidden(at.child(name), "must be empty to be structural");
        }
    }
    let extensions = inner.as_object().into_iter().flat_map(Map::keys).filter(|name| name.starts_with("x-kubernetes-"));
    for name in extensions.filter(|name| *name != "x-kubernetes-validations") {
        found.forbidden(at.child(name), "must be empty to be structural");
    }
    let properties = at.child("properties");
    for (name, below) in members(&inner["properties"]) {
        let declared = &outer["properties"][name];
        if declared.is_null() && outer["x-kubernetes-preserve-unknown-fields"] != true {
            let why = "must be specified in the schema around the combination too";
            found.required(properties.key(name), why);
        }
        nested(below, declared, false, properties.key(name), found, depth + 1);
    }
    if inner["items"].is_object() {
        nested(&inner["items"], &outer["items"], false, at.child("items"), found, depth + 1);
    }
    combinations(inner, may_be_typed, at, found, depth);
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
