//! Brings a custom resource in order: metadata as every object's, unknown fields taken out and named, nulls that a
//! field may not hold taken out.

use serde_json::{Map, Value};

use super::definition::Version;
use super::schema::Schema;
use crate::object::schema::{self, Refusal};

/// What every object has beside the fields of its schema.
const ENVELOPE: [&str; 3] = ["apiVersion", "kind", "metadata"];

impl Version {
    /// Puts the object in order; unknown fields are removed, and returned as `unknown field "PATH"`.
    ///
    /// # Errors
    /// When its metadata cannot be read.
    pub fn decode(&self, object: &mut Value) -> Result<Vec<String>, Refusal> {
        let mut unknown = Vec::new();
        resource(self.schema(), object, "", &mut unknown)?;
        drop_nulls(self.schema(), object);
        unknown.sort();
        Ok(unknown.into_iter().map(|path| format!("unknown field \"{path}\"")).collect())
    }

    /// Takes out what the schema does not know.
    pub fn prune(&self, object: &mut Value) {
        // What was stored had its metadata read when it was written.
        let _ = self.decode(object);
    }
}

/// An object with metadata: the custom resource itself, or one that is embedded in it.
fn resource(schema: &Schema, object: &mut Value, path: &str, unknown: &mut Vec<String>) -> Result<(), Refusal> {
    if let Some(metadata) = object.get_mut("metadata").filter(|metadata| !metadata.is_null()) {
        for field in schema::metadata(metadata)? {
            unknown.push(joined(path, &format!("metadata.{field}")));
        }
    }
    members(schema, object, path, true, unknown)
}

fn members(
    schema: &Schema,
    object: &mut Value,
    path: &str,
    has_envelope: bool,
    unknown: &mut Vec<String>,
) -> Result<(), Refusal> {
    let Some(map) = object.as_object_mut() else { return Ok(()) };
    let mut gone = Vec::new();
    for (name, value) in map.iter_mut() {
        if has_envelope && ENVELOPE.contains(&name.as_str()) {
            continue;
        }
        match schema.member(name) {
            Some(below) => node(below, value, &joined(path, name), unknown)?,
            None if schema.preserve_unknown => {}
            None => gone.push(name.clone()),
        }
    }
    for name in gone {
        map.remove(&name);
        unknown.push(joined(path, &name));
    }
    Ok(())
}

fn node(schema: &Schema, value: &mut Value, path: &str, unknown: &mut Vec<String>) -> Result<(), Refusal> {
    match value {
        Value::Object(_) if schema.embedded_resource => resource(schema, value, path, unknown),
        Value::Object(_) => members(schema, value, path, false, unknown),
        Value::Array(items) => {
            let Some(below) = schema.items.as_deref() else { return Ok(()) };
            let mut each = items.iter_mut().enumerate();
            each.try_for_each(|(index, item)| node(below, item, &format!("{path}[{index}]"), unknown))
        }
        _ => Ok(()),
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A null where the schema allows none, and gives no default, is the same as nothing.
fn drop_nulls(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => drop_null_members(schema, map),
        Value::Array(items) => {
            if let Some(below) = schema.items.as_deref() {
                items.iter_mut().for_each(|item| drop_nulls(below, item));
            }
        }
        _ => {}
    }
}

fn drop_null_members(schema: &Schema, map: &mut Map<String, Value>) {
    map.retain(|name, value| {
        let wrong = |schema: &Schema| !schema.nullable && schema.default.is_none() && !schema.type_.is_empty();
        !value.is_null() || !schema.properties.get(name).is_some_and(wrong)
    });
    for (name, value) in map {
        if let Some(below) = schema.member(name) {
            drop_nulls(below, value);
        }
    }
}
