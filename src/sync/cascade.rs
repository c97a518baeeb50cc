//! The end of an Application that asks for it by finalizer: its objects are deleted, and only when they are gone
//! the Application goes. Without the finalizer, the objects stay.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::desired::{At, Desired};
use super::events::Note;
use super::settings::settings;
use super::waves::{self, POST_DELETE_FINALIZER, PRE_DELETE_FINALIZER, Phase};
use super::worker::Worker;
use super::{order, stage, status, tracking};
use crate::cluster::registry::{DeleteOptions, Patch, Propagation, Target, Transaction, WriteOptions};
use crate::object::application::Application;
use crate::object::{ApiError, ObjectKey, Reason};

/// Argo CD's finalizer; bare and with `/foreground`, dependents go first.
const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
/// Between two looks at what is left, should no change of it be heard of.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Worker {
    /// Deletes what is left of the Application's objects, or lets the Application go when nothing is.
    pub(super) async fn cascade(&mut self) {
        let Ok(application) = self.look() else { return };
        let finalizers = application.metadata.finalizers.clone().unwrap_or_default();
        let Some(ours) = finalizers.iter().find(|name| is_ours(name)) else { return };
        let propagation = if ours.ends_with("/background") { Propagation::Background } else { Propagation::Foreground };
        self.retry = Some(Instant::now() + LOOK_AGAIN);
        if let Err(why) = self.go_on_ending(&application, &finalizers, propagation).await {
            tracing::warn!(application = %self.key, why, "its objects cannot be deleted");
            self.failures = self.failures.saturating_add(1);
            let wait = super::settings::RetryPolicy::default().wait(self.failures).unwrap_or(LOOK_AGAIN);
            self.retry = Some(Instant::now() + wait);
            self.not_before = self.retry;
            if self.write_status(|old, now| status::undeletable(old, &why, now)).await {
                self.note(&[Note::warning("DeletionError", why.as_str())]).await;
            }
        }
    }

    async fn go_on_ending(
        &mut self,
        application: &Arc<Application>,
        finalizers: &[String],
        propagation: Propagation,
    ) -> Result<(), String> {
        let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
        if has(PRE_DELETE_FINALIZER) {
            if self.end_phase(application, Phase::PreDelete).await? {
                self.let_go(finalizers, |name| name == PRE_DELETE_FINALIZER).await;
            }
            return Ok(());
        }
        let kinds = self.shared.registry.snapshot().kinds().clone();
        let mut inventory = tracking::inventory(&kinds, &application.status);
        inventory.extend(waves::hooks_of(&kinds, &application.status));
        self.own(inventory.iter().cloned().collect());
        if !has(POST_DELETE_FINALIZER) || !waves::has_begun(&application.status, Phase::PostDelete) {
            let successors = self.successors(application, Arc::default(), &inventory).await;
            inventory.retain(|key| !successors.contains_key(key));
            let is_gone = self.delete_all(inventory, propagation).await.map_err(|error| error.to_string())?;
            if !is_gone {
                return Ok(());
            }
        }
        if has(POST_DELETE_FINALIZER) && !self.end_phase(application, Phase::PostDelete).await? {
            return Ok(());
        }
        if self.let_go(finalizers, |name| is_ours(name) || name == POST_DELETE_FINALIZER).await {
            self.retry = None;
            tracing::info!(application = %self.key, "deleted, with all its objects");
        }
        Ok(())
    }

    /// Takes finalizers off; `false` when it has to be tried again.
    async fn let_go(&self, finalizers: &[String], which: impl Fn(&str) -> bool) -> bool {
        let left: Vec<_> = finalizers.iter().filter(|name| !which(name)).collect();
        let patch = Patch::Merge(json!({"metadata": {"finalizers": left}}));
        let target = Target::from(self.key.clone());
        let author = stage::author(None);
        match self.shared.registry.patch(&author, &target, patch, WriteOptions::default()).await {
            Ok(_) => true,
            Err(error) => error.reason == Reason::NotFound,
        }
    }

    /// Runs the hooks of a phase; `true` when they have succeeded.
    async fn end_phase(&mut self, application: &Application, phase: Phase) -> Result<bool, String> {
        let desired = self.last_desired(application).await?;
        let keys = self.hook_keys(application, &desired, phase);
        let inventory = tracking::inventory(self.shared.registry.snapshot().kinds(), &application.status);
        self.own(inventory.into_iter().chain(keys).collect());
        self.run_ending(&desired, phase).await
    }

    /// What the sources declared when it was deployed; or when its end began, whoever began it.
    async fn last_desired(&mut self, application: &Application) -> Result<Desired, String> {
        let commits = waves::last_commits(&application.status);
        let is_known = |desired: &Desired| commits.first().is_none_or(|commit| *commit == desired.commit().id);
        if let Some(current) = self.current.as_ref().filter(|current| is_known(&current.desired)) {
            return Ok(current.desired.clone());
        }
        let settings = settings(&application.spec).map(Arc::new).map_err(|wrong| wrong.join("; "))?;
        if self.sources.is_empty() {
            self.subscribe(&settings);
        }
        let unreadable = |why: String| {
            format!("its hooks cannot be read: {why}; without its -delete-finalizer it goes without them")
        };
        match self.desired(&settings, At::Commits(commits)).await {
            Ok(Some(desired)) => Ok(desired),
            Ok(None) => Err(unreadable("the repository is empty".to_owned())),
            Err(error) => Err(unreadable(error.to_string())),
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
            waves::release(&mut transaction, &key, false)?;
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

/// Makes the Application's finalizers say which hooks its end has, in the transaction of a sync.
pub(super) fn declare_hooks(
    transaction: &mut Transaction,
    application: &Application,
    key: &ObjectKey,
    desired: &Desired,
) -> Result<(), ApiError> {
    let present = application.metadata.finalizers.clone().unwrap_or_default();
    if !present.iter().any(|name| is_ours(name)) {
        return Ok(());
    }
    let mut wanted = present.clone();
    for (phase, name) in [(Phase::PreDelete, PRE_DELETE_FINALIZER), (Phase::PostDelete, POST_DELETE_FINALIZER)] {
        wanted.retain(|present| present != name);
        if waves::has_hooks(&desired.rendered, phase) {
            wanted.push(name.to_owned());
        }
    }
    let is_same = wanted.len() == present.len() && wanted.iter().all(|name| present.contains(name));
    if is_same {
        return Ok(());
    }
    let patch = Patch::Merge(json!({"metadata": {"finalizers": wanted}}));
    transaction.patch(&Target::from(key.clone()), patch, WriteOptions::default())
}
