//! Lists whose entries must be distinct: sets, and maps with their key fields.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::schema::{ListType, Schema};
use super::validate::Findings;

/// Names each entry that is there before.
pub fn check(schema: &Schema, value: &Value, path: &str, found: &mut Findings) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if let Some(below) = schema.member(name) {
                    check(below, value, &super::validate::joined(path, name), found);
                }
            }
        }
        Value::Array(items) => {
            match &schema.list_type {
                ListType::Atomic => {}
                ListType::Set => distinct(items.iter().map(|item| Some(item.clone())), path, found),
                ListType::Map(keys) => {
                    let key_of = |item: &Value| {
                        let item = item.as_object()?;
                        let given = keys.iter().filter_map(|(key, _)| Some((key.clone(), item.get(key)?.clone())));
                        Some(Value::Object(given.collect::<Map<_, _>>()))
                    };
                    distinct(items.iter().map(key_of), path, found);
                }
            }
            if let Some(below) = schema.items.as_deref() {
                for (index, item) in items.iter().enumerate() {
                    check(below, item, &format!("{path}[{index}]"), found);
                }
            }
        }
        _ => {}
    }
}

fn distinct(entries: impl Iterator<Item = Option<Value>>, path: &str, found: &mut Findings) {
    let mut seen = HashSet::new();
    for (index, entry) in entries.enumerate() {
        let Some(entry) = entry else { continue };
        // The text of a value orders members, so equal values have equal texts.
        let text = entry.to_string();
        if seen.contains(&text) {
            found.duplicate(&format!("{path}[{index}]"), &entry);
        } else {
            seen.insert(text);
        }
    }
}
