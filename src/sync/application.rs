//! Application objects: reads them, writes their status, and makes sure that the one of the repository that `windlass
//! up` follows exists. A status is the syncer's memory, so it is only ever written together with what it tells of.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::settings::{DESTINATION, THIS_SERVER};
use super::stage;
use super::syncer::SyncConfig;
use crate::cluster::registry::{Patch, Registry, Target, Transaction, WriteOptions};
use crate::object::application::{Application, ApplicationStatus, Operation, REFRESH_ANNOTATION};
use crate::object::{ApiError, ObjectKey, Reason, SYSTEM_NAMESPACE, kinds};

/// Creates the Application or brings its spec up to date; `status` is given back to one that was deleted.
///
/// # Errors
/// When the registry refuses.
pub async fn ensure(
    registry: &Registry,
    config: &SyncConfig,
    branch: &str,
    status: Option<&ApplicationStatus>,
) -> Result<ObjectKey, ApiError> {
    let key = ObjectKey::new(kinds::APPLICATION, SYSTEM_NAMESPACE, config.application.as_str());
    let mut transaction = registry.begin(&stage::author(None));
    let options = WriteOptions { force: true, ..WriteOptions::default() };
    let namespace = ObjectKey::new(kinds::NAMESPACE, "", SYSTEM_NAMESPACE);
    if transaction.current(&namespace).is_none() {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}});
        transaction.create(kinds::NAMESPACE, "", object, options)?;
    }
    let is_new = transaction.current(&key).is_none();
    let object = json!({
        "apiVersion": kinds::APPLICATION.api_version(), "kind": "Application",
        "metadata": {"name": key.name, "namespace": key.namespace},
        "spec": {
            "project": "default",
            "source": {
                "repoURL": config.repo.to_string(),
                "path": if config.path.is_empty() { "." } else { &config.path },
                "targetRevision": branch,
                "directory": {"recurse": true},
            },
            "destination": {"server": THIS_SERVER, "namespace": DESTINATION},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
    });
    transaction.patch(&Target::from(key.clone()), Patch::Apply(object), options)?;
    if let Some(status) = status.filter(|_| is_new) {
        set_status(&mut transaction, &key, status)?;
    }
    transaction.commit().await?;
    Ok(key)
}

/// The Application as the registry has it.
///
/// # Errors
/// `NotFound`, or when it does not decode.
pub fn read(registry: &Registry, key: &ObjectKey) -> Result<Arc<Application>, ApiError> {
    registry.get(key)?.decode().map(Arc::new).map_err(ApiError::internal)
}

/// Adds the new status to the transaction; nothing is written when it is the old one.
///
/// # Errors
/// When the Application is gone or the registry refuses.
pub fn set_status(transaction: &mut Transaction, key: &ObjectKey, status: &ApplicationStatus) -> Result<(), ApiError> {
    // Names no version: the transaction is bound to the state that it was computed from.
    transaction.set_status(key, serde_json::to_value(status).map_err(ApiError::internal)?)
}

/// Takes the request for a sync off, in the transaction that answers it; another one that came since stays.
///
/// # Errors
/// When the registry refuses.
pub fn end_operation(transaction: &mut Transaction, key: &ObjectKey, answered: &Operation) -> Result<(), ApiError> {
    let asked = transaction.peek(key).and_then(|object| object.get("operation").map(Operation::deserialize));
    if !asked.is_some_and(|asked| asked.is_ok_and(|asked| asked == *answered)) {
        return Ok(());
    }
    let patch = Patch::Json(json!([{"op": "remove", "path": "/operation"}]));
    transaction.patch(&Target::from(key.clone()), patch, WriteOptions::default())
}

/// As [`end_operation`], when nothing else is stored.
///
/// # Errors
/// When the registry refuses, or others keep writing the Application.
pub async fn clear_operation(registry: &Registry, key: &ObjectKey, answered: &Operation) -> Result<(), ApiError> {
    let mut tries = 5;
    loop {
        tries -= 1;
        let mut transaction = registry.begin(&stage::author(None));
        end_operation(&mut transaction, key, answered)?;
        match transaction.commit().await {
            Err(error) if error.reason == Reason::Conflict && tries > 0 => {}
            done => return done.map(drop),
        }
    }
}

/// Whether somebody asked for a sync by annotation.
pub fn wants_refresh(application: &Application) -> bool {
    application.annotation(REFRESH_ANNOTATION).is_some()
}

/// Takes the request back, as Argo CD does once it has seen it.
///
/// # Errors
/// When the registry refuses.
pub async fn clear_refresh(registry: &Registry, key: &ObjectKey) -> Result<(), ApiError> {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {REFRESH_ANNOTATION: null}}}));
    registry.patch(&stage::author(None), &Target::from(key.clone()), patch, WriteOptions::default()).await?;
    Ok(())
}
