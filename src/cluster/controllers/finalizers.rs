//! Changes the finalizers of an object. An object that is being deleted goes with its last one.

use serde::Deserialize;
use serde_json::{Value, json};

use super::engine::Failure;
use crate::cluster::registry::{Patch, Target, Transaction, WriteOptions};
use crate::object::ObjectKey;

/// The list is replaced whole, under the resource version that it was read at. What does not exist has none.
pub fn change_finalizers(
    transaction: &mut Transaction,
    key: &ObjectKey,
    change: impl FnOnce(&mut Vec<String>),
) -> Result<(), Failure> {
    let Some(object) = transaction.current(key) else { return Ok(()) };
    let mut finalizers: Vec<String> = Vec::deserialize(&object["metadata"]["finalizers"]).unwrap_or_default();
    change(&mut finalizers);
    let finalizers = if finalizers.is_empty() { Value::Null } else { json!(finalizers) };
    let patch = json!({"metadata": {"finalizers": finalizers, "uid": object["metadata"]["uid"],
        "resourceVersion": object["metadata"]["resourceVersion"]}});
    Ok(transaction.patch(&Target::from(key.clone()), Patch::Merge(patch), WriteOptions::default())?)
}
