//! Defaults of Endpoints and EndpointSlices.

use serde_json::{Value, json};

use super::{fill, items};

pub fn endpoints(endpoints: &mut Value) {
    for subset in items(endpoints, "subsets") {
        for port in items(subset, "ports") {
            drop_empty_name(port);
            fill(port, "protocol", || "TCP");
        }
    }
}

/// Of a port of the core group, no name and an empty one are the same.
fn drop_empty_name(port: &mut Value) {
    if let Some(members) = port.as_object_mut().filter(|port| port.get("name").is_some_and(|name| name == "")) {
        members.remove("name");
    }
}

pub fn endpoint_slice(slice: &mut Value) {
    for endpoint in items(slice, "endpoints") {
        fill(endpoint, "conditions", || json!({}));
    }
    for port in items(slice, "ports") {
        fill(port, "name", || "");
        fill(port, "protocol", || "TCP");
    }
    // Both lists are always there, and written as null when they are empty.
    for list in ["endpoints", "ports"] {
        if slice[list].as_array().is_none_or(Vec::is_empty) {
            slice[list] = Value::Null;
        }
    }
}
