//! Defaults of kinds with few of them: Namespace, Secret, Event, Lease.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::fill;

/// Every namespace has its name as a label, so that selectors can name it.
pub fn namespace(namespace: &mut Value) {
    let name = namespace["metadata"]["name"].clone();
    if name.as_str().is_some_and(|name| !name.is_empty()) {
        fill(&mut namespace["metadata"]["labels"], "kubernetes.io/metadata.name", || name);
    }
    fill(namespace, "spec", || json!({}));
    fill(namespace, "status", || json!({}));
}

/// `stringData` is for writing only: its entries go over those of `data`.
pub fn secret(secret: &mut Value) {
    fill(secret, "type", || "Opaque");
    let Some(Value::Object(plain)) = secret.as_object_mut().and_then(|secret| secret.remove("stringData")) else {
        return;
    };
    for (key, text) in plain {
        secret["data"][key] = json!(STANDARD.encode(text.as_str().unwrap_or_default()));
    }
}

/// Fields of an event that are always written, with nothing in them if need be.
pub fn event(event: &mut Value) {
    fill(event, "involvedObject", || json!({}));
    fill(event, "source", || json!({}));
    for time in ["firstTimestamp", "lastTimestamp", "eventTime"] {
        fill(event, time, || Value::Null);
    }
    for text in ["reportingComponent", "reportingInstance"] {
        fill(event, text, || "");
    }
}

pub fn lease(lease: &mut Value) {
    fill(lease, "spec", || json!({}));
}
