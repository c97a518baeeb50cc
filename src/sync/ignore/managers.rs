//! `managedFieldsManagers`: the fields that other managers own are theirs. Pure.

use serde_json::Value;

/// Makes `desired` say what `live` says in every field that `manager` owns and `desired` has.
pub fn yield_to(manager: &str, live: &Value, desired: &mut Value) {
    let entries = live["metadata"]["managedFields"].as_array().into_iter().flatten();
    for entry in entries.filter(|entry| entry["manager"] == manager) {
        follow(&entry["fieldsV1"], live, desired);
    }
}

/// Walks a set of fields (`FieldsV1` of the Kubernetes API) over both objects.
fn follow(fields: &Value, live: &Value, desired: &mut Value) {
    for (name, below) in fields.as_object().into_iter().flatten() {
        let is_leaf = below.as_object().is_none_or(|below| below.keys().all(|key| key == "."));
        if let Some(field) = name.strip_prefix("f:") {
            let (Some(there), Some(place)) = (live.get(field), desired.get_mut(field)) else { continue };
            if is_leaf { *place = there.clone() } else { follow(below, there, place) }
        } else if let Some(keys) = name.strip_prefix("k:") {
            let Ok(keys) = serde_json::from_str::<Value>(keys) else { continue };
            let is_it =
                |item: &Value| keys.as_object().into_iter().flatten().all(|(key, value)| item.get(key) == Some(value));
            let there = live.as_array().into_iter().flatten().find(|item| is_it(item));
            let place = desired.as_array_mut().into_iter().flatten().find(|item| is_it(item));
            if let (Some(there), Some(place)) = (there, place) {
                follow(below, there, place);
            }
        }
    }
}
