//! The objects of hooks: made as git has them, held until their end was seen, let go.

use serde_json::{Value, json};

use super::hook::{FINALIZER, Hook};
use super::record::running_hooks;
use crate::cluster::registry::{DeleteOptions, Patch, Propagation, Target, Transaction, WriteOptions};
use crate::object::application::ApplicationStatus;
use crate::object::{ApiError, ObjectKey};
use crate::sync::render::Document;
use crate::sync::{stage, tracking};

/// Makes a hook's object. `false`: the one of an earlier sync has to go first, and is on its way.
pub(super) fn make(
    transaction: &mut Transaction,
    application: &str,
    hook: &Hook,
    document: &Document,
    key: &ObjectKey,
) -> Result<bool, ApiError> {
    let object = object(application, document, key);
    if let Some(live) = transaction.current(key) {
        if !tracking::is_tracked(application, key, &live) {
            return Err(ApiError::already_exists(key.kind, &key.name));
        }
        let is_leaving = !live["metadata"]["deletionTimestamp"].is_null();
        if !hook.delete.before_creation && !is_leaving {
            let options = WriteOptions { force: true, ..WriteOptions::default() };
            transaction.patch(&Target::from(key.clone()), Patch::Apply(object), options)?;
            return Ok(true);
        }
        release(transaction, key, true)?;
        if transaction.current(key).is_some() {
            return Ok(false);
        }
    }
    transaction.create(key.kind, &key.namespace, object, WriteOptions::default())?;
    Ok(true)
}

/// The hook as git has it, marked as the Application's, and kept until its end was seen.
fn object(application: &str, document: &Document, key: &ObjectKey) -> Value {
    let mut object = stage::desired(application, document, None);
    object["metadata"]["name"] = json!(key.name);
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("generateName");
    }
    object["metadata"]["annotations"][tracking::TRACKING_ANNOTATION] = json!(tracking::id(application, key));
    let finalizers = &mut object["metadata"]["finalizers"];
    if finalizers.is_null() {
        *finalizers = json!([]);
    }
    if let Some(finalizers) = finalizers.as_array_mut() {
        finalizers.push(json!(FINALIZER));
    }
    object
}

/// Lets the hooks go that a sync that did not end has left running: another takes its place.
pub(in crate::sync) fn release_running(
    transaction: &mut Transaction,
    status: &ApplicationStatus,
) -> Result<(), ApiError> {
    let running = running_hooks(transaction.kinds(), status);
    running.iter().try_for_each(|hook| release(transaction, hook, true))
}

/// Lets a hook's object go, as far as this program holds it; and deletes it, if it is to be.
pub(in crate::sync) fn release(transaction: &mut Transaction, key: &ObjectKey, deletes: bool) -> Result<(), ApiError> {
    let Some(live) = transaction.current(key) else { return Ok(()) };
    let finalizers = live["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    if finalizers.iter().any(|name| name == FINALIZER) {
        let left: Vec<&Value> = finalizers.iter().filter(|name| *name != FINALIZER).collect();
        let patch = Patch::Merge(json!({"metadata": {"finalizers": left}}));
        transaction.patch(&Target::from(key.clone()), patch, WriteOptions::default())?;
    }
    if deletes && transaction.current(key).is_some_and(|live| live["metadata"]["deletionTimestamp"].is_null()) {
        let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        transaction.delete(key, &options)?;
    }
    Ok(())
}
