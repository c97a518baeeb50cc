//! Small conversions between what is stored and what controllers compute with.

use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::engine::Failure;
use crate::object::{Object, Reason};

/// The typed view of an object.
pub fn decode<T: DeserializeOwned + Send + Sync + 'static>(object: &Object) -> Result<Arc<T>, Failure> {
    object.typed::<T>().map_err(|source| Failure::Decode { key: object.key.clone(), source })
}

/// Times in conditions and metadata are whole seconds; compared with those, `now` must be, too.
pub fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// An object for an update of the status subresource, which takes nothing but the status from it.
pub fn with_status(object: &Object, status: Value) -> Value {
    let kind = object.key.kind;
    let mut metadata = json!({"name": object.key.name, "uid": object.meta.uid});
    if kind.namespaced {
        metadata["namespace"] = json!(object.key.namespace);
    }
    json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata, "status": status})
}

/// A create was refused because its namespace is going away: there is nothing to try again.
pub fn is_namespace_terminating(failure: &Failure) -> bool {
    let Failure::Refused(error) = failure else { return false };
    error.reason == Reason::Forbidden
        && (error.causes.iter().any(|c| c.reason == "NamespaceTerminating")
            || error.message.ends_with("because it is being terminated"))
}
