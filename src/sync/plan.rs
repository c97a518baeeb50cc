//! What a sync would change, out of a staged transaction: the same steps that a sync would commit. Pure.

use serde_json::Value;

use crate::diff::plan::FieldChange;

/// The fields that differ, by path.
pub fn changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if below != "metadata.managedFields" && below != "metadata.resourceVersion" {
                    compare(&below, a.get(name), b.get(name), found);
                }
            }
        }
        _ => found.push(FieldChange { path: path.to_owned(), from: before.cloned(), to: after.cloned() }),
    }
}
