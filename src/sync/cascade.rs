//! The end of an Application that asks for it by finalizer: its objects are deleted, and only when they are gone
//! the Application goes. Without the finalizer, the objects stay.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::events::Note;
use super::worker::Worker;
use super::{application, order, stage, status, tracking};
use crate::cluster::registry::{DeleteOptions, Patch, Propagation, Target, WriteOptions};
use crate::object::{ApiError, ObjectKey, Reason};

/// Argo CD's finalizer; bare and with `/foreground`, dependents go first.
const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
/// Between two looks at what is left, should no change of it be heard of.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Worker {
    /// Deletes what is left of the Application's objects, or lets the Application go when nothing is.
    pub(super) async fn cascade(&mut self) {
        let Ok(application) = application::read(&self.shared.registry, &self.key) else { return };
        let finalizers = application.metadata.finalizers.clone().unwrap_or_default();
        let Some(ours) = finalizers.iter().find(|name| is_ours(name)) else { return };
        let propagation = if ours.ends_with("/background") { Propagation::Background } else { Propagation::Foreground };
        let inventory = tracking::inventory(self.shared.registry.snapshot().kinds(), &application.status);
        self.own(inventory.iter().cloned().collect());
        match self.delete_all(inventory, propagation).await {
            Ok(true) => {
                let left: Vec<_> = finalizers.iter().filter(|name| !is_ours(name)).collect();
                let patch = Patch::Merge(json!({"metadata": {"finalizers": left}}));
                let target = Target::from(self.key.clone());
                let author = stage::author(None);
                match self.shared.registry.patch(&author, &target, patch, WriteOptions::default()).await {
                    Ok(_) => tracing::info!(application = %self.key, "deleted, with all its objects"),
                    Err(error) if error.reason == Reason::NotFound => {}
                    Err(_) => self.retry = Some(Instant::now() + LOOK_AGAIN),
                }
            }
            Ok(false) => self.retry = Some(Instant::now() + LOOK_AGAIN),
            Err(error) => {
                tracing::warn!(application = %self.key, %error, "its objects cannot be deleted");
                self.retry = Some(Instant::now() + LOOK_AGAIN);
                let why = error.to_string();
                if self.write_status(|old, now| status::undeletable(old, &why, now)).await {
                    self.note(&[Note::warning("DeletionError", why.as_str())]).await;
                }
            }
        }
    }

    /// Whether everything that is to go is gone; asks for the deletion of what is not being deleted yet.
    async fn delete_all(&self, mut inventory: Vec<ObjectKey>, propagation: Propagation) -> Result<bool, ApiError> {
        inventory.sort_by(|a, b| order::compare(b, a));
        let mut transaction = self.shared.registry.begin(&stage::author(None));
        let mut is_gone = true;
        for key in inventory {
            let Some(live) = transaction.current(&key) else { continue };
            if !tracking::is_tracked(&self.name, &key, &live) || tracking::delete_disabled(&live) {
                continue;
            }
            is_gone = false;
            if live["metadata"]["deletionTimestamp"].is_null() {
                let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
                transaction.delete(&key, &options)?;
            }
        }
        match transaction.commit().await {
            // Others wrote meanwhile: the next look sees it.
            Err(error) if error.reason == Reason::Conflict => Ok(false),
            done => done.map(|_| is_gone),
        }
    }
}

fn is_ours(finalizer: &str) -> bool {
    let rest = finalizer.strip_prefix(FINALIZER);
    matches!(rest, Some("" | "/foreground" | "/background"))
}
