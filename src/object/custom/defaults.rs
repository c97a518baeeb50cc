//! Fills in the defaults of a schema.

use serde_json::Value;

use super::definition::Version;
use super::schema::Schema;

impl Version {
    /// Fills in what the object leaves out and the schema has a default for. What is filled in is part of what is
    /// stored, and so counts as written.
    pub fn default(&self, object: &mut Value) {
        fill(self.schema(), object);
    }
}

/// A default may itself leave out what deeper defaults fill in.
pub fn fill(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, below) in &schema.properties {
                if let Some(default) = &below.default
                    && map.get(name).is_none_or(|value| is_refused_null(below, value))
                {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in map {
                if let Some(below) = schema.member(name) {
                    fill_one(below, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(below) = schema.items.as_deref() {
                items.iter_mut().for_each(|item| fill_one(below, item));
            }
        }
        _ => {}
    }
}

fn fill_one(schema: &Schema, value: &mut Value) {
    if let Some(default) = &schema.default
        && is_refused_null(schema, value)
    {
        *value = default.clone();
    }
    fill(schema, value);
}

fn is_refused_null(schema: &Schema, value: &Value) -> bool {
    value.is_null() && !schema.nullable
}
