//! The schemas inside a CustomResourceDefinition. They nest without end and hold documents of any form (defaults,
//! examples), so they are put in order here and not by their type.

use serde::de::Error;
use serde_json::{Map, Value};

use super::decode::Refusal;

/// What the value of a member must be.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Text,
    Flag,
    /// A flag that says something even when it is false.
    KeptFlag,
    Integer,
    Number,
    Texts,
    Anything,
    List,
    Schema,
    Schemas,
    SchemaMap,
    SchemaOrFlag,
}

const MEMBERS: &[(&str, Form)] = &[
    ("$ref", Form::Text),
    ("$schema", Form::Text),
    ("additionalItems", Form::SchemaOrFlag),
    ("additionalProperties", Form::SchemaOrFlag),
    ("allOf", Form::Schemas),
    ("anyOf", Form::Schemas),
    ("default", Form::Anything),
    ("definitions", Form::SchemaMap),
    ("dependencies", Form::Anything),
    ("description", Form::Text),
    ("enum", Form::List),
    ("example", Form::Anything),
    ("exclusiveMaximum", Form::Flag),
    ("exclusiveMinimum", Form::Flag),
    ("externalDocs", Form::Anything),
    ("format", Form::Text),
    ("id", Form::Text),
    ("items", Form::Schema),
    ("maxItems", Form::Integer),
    ("maxLength", Form::Integer),
    ("maxProperties", Form::Integer),
    ("maximum", Form::Number),
    ("minItems", Form::Integer),
    ("minLength", Form::Integer),
    ("minProperties", Form::Integer),
    ("minimum", Form::Number),
    ("multipleOf", Form::Number),
    ("not", Form::Schema),
    ("nullable", Form::Flag),
    ("oneOf", Form::Schemas),
    ("pattern", Form::Text),
    ("patternProperties", Form::SchemaMap),
    ("properties", Form::SchemaMap),
    ("required", Form::Texts),
    ("title", Form::Text),
    ("type", Form::Text),
    ("uniqueItems", Form::Flag),
    ("x-kubernetes-embedded-resource", Form::Flag),
    ("x-kubernetes-int-or-string", Form::Flag),
    ("x-kubernetes-list-map-keys", Form::Texts),
    ("x-kubernetes-list-type", Form::Text),
    ("x-kubernetes-map-type", Form::Text),
    ("x-kubernetes-preserve-unknown-fields", Form::KeptFlag),
    ("x-kubernetes-validations", Form::List),
];

/// Takes the schemas out of a definition, so that its type can read the rest.
pub fn take(crd: &mut Value) -> Vec<(usize, Value)> {
    let versions = crd.pointer_mut("/spec/versions").and_then(Value::as_array_mut);
    let schemas = versions.into_iter().flatten().enumerate().filter_map(|(index, version)| {
        let schema = version.get_mut("schema")?.as_object_mut()?.remove("openAPIV3Schema")?;
        schema.is_object().then_some((index, schema))
    });
    schemas.collect()
}

/// Puts the schemas back, in order; gives the paths of their unknown fields, which are dropped.
///
/// # Errors
/// When a member of a schema is of the wrong type.
pub fn put_back(crd: &mut Value, schemas: Vec<(usize, Value)>) -> Result<Vec<String>, Refusal> {
    let mut unknown = Vec::new();
    for (index, mut schema) in schemas {
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        order(&mut schema, &path, &mut unknown)?;
        if let Some(version) = crd.pointer_mut(&format!("/spec/versions/{index}")) {
            version["schema"]["openAPIV3Schema"] = schema;
        }
    }
    Ok(unknown)
}

fn order(schema: &mut Value, path: &str, unknown: &mut Vec<String>) -> Result<(), Refusal> {
    let Some(members) = schema.as_object_mut() else { return Err(mistyped(path, schema, "v1.JSONSchemaProps")) };
    let mut gone = Vec::new();
    for (name, value) in members.iter_mut() {
        let below = format!("{path}.{name}");
        match MEMBERS.iter().find(|(known, _)| known == name) {
            None => {
                unknown.push(below);
                gone.push(name.clone());
            }
            Some((_, form)) => {
                if member(*form, value, &below, unknown)? {
                    gone.push(name.clone());
                }
            }
        }
    }
    for name in gone {
        members.remove(&name);
    }
    Ok(())
}

/// Puts one member in order; whether it says no more than an absent one.
fn member(form: Form, value: &mut Value, path: &str, unknown: &mut Vec<String>) -> Result<bool, Refusal> {
    if value.is_null() {
        return Ok(true);
    }
    let fits = match form {
        Form::Text => value.is_string(),
        Form::Flag | Form::KeptFlag => value.is_boolean(),
        Form::Integer => value.is_i64(),
        Form::Number => value.is_number(),
        Form::Texts => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        Form::List | Form::Schemas => value.is_array(),
        Form::Schema | Form::SchemaMap => value.is_object(),
        Form::SchemaOrFlag => value.is_object() || value.is_boolean(),
        Form::Anything => true,
    };
    if !fits {
        let wanted = match form {
            Form::Text => "string",
            Form::Flag | Form::KeptFlag => "bool",
            Form::Integer => "int64",
            Form::Number => "float64",
            Form::Texts => "[]string",
            Form::List => "[]v1.JSON",
            Form::Schemas => "[]v1.JSONSchemaProps",
            Form::SchemaMap => "map[string]v1.JSONSchemaProps",
            _ => "v1.JSONSchemaProps",
        };
        return Err(mistyped(path, value, wanted));
    }
    match value {
        Value::Object(_) if matches!(form, Form::Schema | Form::SchemaOrFlag) => order(value, path, unknown)?,
        Value::Object(map) if form == Form::SchemaMap => order_all(map, path, unknown)?,
        Value::Array(items) if form == Form::Schemas => {
            for (index, item) in items.iter_mut().enumerate() {
                order(item, &format!("{path}[{index}]"), unknown)?;
            }
        }
        _ => {}
    }
    Ok(match value {
        Value::Bool(flag) => form == Form::Flag && !*flag,
        Value::String(text) => form == Form::Text && text.is_empty(),
        Value::Array(items) => form != Form::Anything && items.is_empty(),
        Value::Object(map) => form == Form::SchemaMap && map.is_empty(),
        _ => false,
    })
}

fn order_all(map: &mut Map<String, Value>, path: &str, unknown: &mut Vec<String>) -> Result<(), Refusal> {
    map.iter_mut().try_for_each(|(name, schema)| order(schema, &format!("{path}.{name}"), unknown))
}

fn mistyped(path: &str, value: &Value, wanted: &str) -> Refusal {
    let given = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    Refusal::custom(format!(
        "json: cannot unmarshal {given} into Go struct field JSONSchemaProps.{path} of type {wanted}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_keeps_what_it_says_and_names_what_it_cannot_say() {
        let schema = json!({"type": "object", "nullable": false, "nope": 1, "properties": {
            "type": {"type": "string", "default": "", "description": ""},
            "l": {"type": "array", "items": {"foo": 1, "x-kubernetes-preserve-unknown-fields": false}}}});
        let mut crd = json!({"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]}});
        let schemas = take(&mut crd);
        let unknown = put_back(&mut crd, schemas).expect("its types are right");
        let at = "spec.versions[0].schema.openAPIV3Schema";
        assert_eq!(unknown, [format!("{at}.nope"), format!("{at}.properties.l.items.foo")]);
        let want = json!({"type": "object", "properties": {"type": {"type": "string", "default": ""},
            "l": {"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": false}}}});
        assert_eq!(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], want);
        let mut wrong = json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {"maxLength": "x"}}}]}});
        let schemas = take(&mut wrong);
        assert!(put_back(&mut wrong, schemas).is_err());
    }
}
