//! Looks at the branch and makes the cluster as its newest commit says: read, stage, commit, in one transaction
//! that also holds the new status, so objects and inventory can never tell different stories.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use git2::Oid;
use jiff::Timestamp;
use tokio::time::Instant;

use super::events::Note;
use super::mirror::MirrorError;
use super::reader::{Reader, Reading};
use super::stage::{self, Scope, Staged};
use super::status::{self, Deployed, Refused};
use super::trigger::Trigger;
use super::worker::{Current, Worker};
use super::{application, tracking};
use crate::cluster::registry::{StepKind, Transaction};
use crate::diff::plan::SourceError;
use crate::object::application::{Application, ApplicationStatus, ResourceResult};
use crate::object::{ApiError, ObjectKey, Reason, Revision};

/// How often a sync is computed anew at once because others wrote what it was computed from.
const RACES: u32 = 8;
/// First wait before a refused sync is tried again; doubled up to the longest.
const RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(180);

/// Why a sync did not happen.
enum Failure {
    /// The commit is at fault; only another commit helps.
    Commit(&'static str, Vec<SourceError>),
    /// The cluster refuses; it may not do so later.
    Cluster(Vec<SourceError>),
    /// The store or the Application cannot be written.
    Store(ApiError),
}

impl Worker {
    /// Makes the cluster as the newest commit of the branch says.
    pub(super) async fn read(&mut self, trigger: Trigger) {
        let started = self.shared.registry.clock().now();
        if matches!(trigger, Trigger::Start) && self.current.is_none() {
            self.adopt(started).await;
        }
        let branch = self.shared.branch.clone();
        let settled = self.settled.filter(|_| !trigger.is_forced());
        let read = self.with_reader(move |reader| {
            let tip = reader.mirror.tip(&branch)?;
            if settled == Some(tip) { Ok(None) } else { reader.read(tip).map(Some) }
        });
        match read.await {
            Ok(None) => {}
            Ok(Some(reading)) => self.follow(reading, &trigger, started).await,
            Err(error) => self.unreadable(&error.to_string()).await,
        }
    }

    /// Nobody knows what should be, so everything stays.
    pub(super) async fn unreadable(&mut self, why: &str) {
        tracing::warn!(why, "the repository cannot be read; what is deployed stays");
        self.settled = None;
        // What cannot be read now may be readable soon: a file system or a server has its moments.
        self.retry_later();
        self.tell(None, vec![why.to_owned()]);
        if self.write_status(|old, now| status::unreadable(old, why, now)).await {
            self.note(&[Note::warning("RepositoryUnreadable", why)]).await;
        }
    }

    /// After a start: takes up the commit that the Application says is deployed, which need not be the newest.
    async fn adopt(&mut self, started: Timestamp) {
        let Ok(application) = application::read(&self.shared.registry, &self.shared.application) else { return };
        self.status = application.status.clone();
        let Some(id) = application.status.history.last().and_then(|last| last.revision.parse::<Oid>().ok()) else {
            return;
        };
        let branch = self.shared.branch.clone();
        let read = self.with_reader(move |reader| {
            // The usual case: nothing was pushed meanwhile, and the look at the tip does it all.
            if reader.mirror.tip(&branch).is_ok_and(|tip| tip == id) { Ok(None) } else { reader.read(id).map(Some) }
        });
        match read.await {
            Ok(Some(reading)) if reading.rendered.errors.is_empty() => {
                if let Err(failure) = self.deploy(&reading, &Trigger::Start, started).await {
                    tracing::warn!(commit = %id, reason = failure.summary(), "the deployed commit cannot be verified");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the deployed commit is not in the repository any more"),
        }
    }

    async fn follow(&mut self, reading: Reading, trigger: &Trigger, started: Timestamp) {
        let commit = reading.commit.clone();
        match self.deploy(&reading, trigger, started).await {
            Ok(changed) => {
                self.settled = Some(commit.id);
                self.retry = None;
                tracing::info!(commit = %commit.short(), subject = commit.subject, %trigger, changed, "synced");
                if changed > 0 {
                    let what = format!(
                        "commit {} {:?} is deployed, {changed} objects changed",
                        commit.short(),
                        commit.subject
                    );
                    self.note(&[Note::normal("Synced", what)]).await;
                }
                self.tell(Some(commit.id), Vec::new());
            }
            Err(Failure::Commit(condition, errors)) => {
                self.settled = Some(commit.id);
                self.retry = None;
                self.refuse(&reading, condition, &errors, started).await;
            }
            Err(Failure::Cluster(errors)) => {
                self.settled = Some(commit.id);
                self.retry_later();
                self.refuse(&reading, status::SYNC_ERROR, &errors, started).await;
            }
            Err(Failure::Store(error)) => {
                tracing::error!(%error, commit = %commit.short(), "the sync could not be stored");
                self.settled = None;
                self.retry_later();
                self.tell(Some(commit.id), vec![error.to_string()]);
            }
        }
    }

    async fn refuse(&mut self, reading: &Reading, condition: &'static str, errors: &[SourceError], started: Timestamp) {
        let commit = &reading.commit;
        tracing::warn!(commit = %commit.short(), errors = errors.len(), first = %errors[0], "not deployed");
        let next =
            |old: &ApplicationStatus, now| status::refused(old, &Refused { commit, condition, errors, started, now });
        if self.write_status(next).await {
            let what = |error: &SourceError| format!("commit {} is not deployed: {error}", commit.short());
            let told = errors.iter().take(status::LISTED);
            let notes: Vec<_> = told.map(|error| Note::warning("SyncFailed", what(error))).collect();
            self.note(&notes).await;
        }
        self.tell(Some(commit.id), errors.iter().map(ToString::to_string).collect());
    }

    /// Stages the commit and stores it. Gives the number of objects that changed.
    async fn deploy(&mut self, reading: &Reading, trigger: &Trigger, started: Timestamp) -> Result<usize, Failure> {
        let rendered = &reading.rendered;
        if !rendered.errors.is_empty() {
            // What an object of a whole file needs may stand in a broken one, so only its own fields are looked at.
            let unknown =
                self.placed(reading, rendered.documents.iter().flat_map(stage::unknown_fields).collect()).await;
            let mut errors: Vec<_> = rendered.errors.iter().cloned().chain(unknown).collect();
            errors.sort();
            return Err(Failure::Commit(status::COMPARISON_ERROR, errors));
        }
        for race in 0..RACES {
            if race > 0 {
                tokio::time::sleep(Duration::from_millis(u64::from(race) * 5)).await;
            }
            let application = self.application().await.map_err(Failure::Store)?;
            let inventory = tracking::inventory(&application.status);
            guard(&application, reading, &inventory)?;
            let (transaction, staged) = self.stage(reading, inventory.clone()).await;
            if !staged.errors.is_empty() {
                return Err(Failure::Cluster(self.placed(reading, staged.errors).await));
            }
            match self.store(reading, &application, trigger, started, transaction, &staged).await {
                Err(error) if matches!(error.reason, Reason::Conflict | Reason::AlreadyExists) => {}
                Err(error) => return Err(Failure::Store(error)),
                Ok(changed) => return Ok(changed),
            }
        }
        Err(Failure::Store(ApiError::conflict(
            self.shared.application.kind,
            &self.shared.application.name,
            "others keep writing the same objects",
        )))
    }

    async fn stage(&mut self, reading: &Reading, inventory: Vec<ObjectKey>) -> (Transaction, Staged) {
        let verified = std::mem::take(&mut self.verified);
        let (registry, reading) = (self.shared.registry.clone(), reading.clone());
        let name = self.shared.application.name.clone();
        let work = move || {
            let live = registry.snapshot();
            let mut transaction = registry.begin(&stage::author(Some(&reading.commit)));
            let scope = Scope {
                application: &name,
                commit: Some(&reading.commit),
                documents: &reading.rendered.documents,
                inventory: &inventory,
                verified: Some(&verified),
            };
            let staged = stage::stage(&mut transaction, &live, scope);
            (transaction, staged, verified)
        };
        let (transaction, staged, verified) = blocking(work).await;
        self.verified = verified;
        (transaction, staged)
    }

    async fn store(
        &mut self,
        reading: &Reading,
        application: &Application,
        trigger: &Trigger,
        started: Timestamp,
        mut transaction: Transaction,
        staged: &Staged,
    ) -> Result<usize, ApiError> {
        let documents = &reading.rendered.documents;
        let results = results(&transaction, staged);
        let changed = results.len();
        let mut keys: Vec<ObjectKey> = documents.iter().map(|document| document.key.clone()).collect();
        keys.extend(staged.left.iter().cloned());
        self.own(&keys, &application.status);
        let mut warnings = reading.rendered.warnings.clone();
        warnings.extend(staged.warnings.iter().cloned());
        let next = status::deployed(
            &application.status,
            |key| transaction.current(key),
            |key| transaction.step(key).is_some(),
            Deployed {
                commit: &reading.commit,
                source: &application.spec.source,
                trigger,
                started,
                finished: self.shared.registry.clock().now(),
                keys: keys.clone(),
                results,
                warnings: &warnings,
                history_limit: application.spec.revision_history_limit,
            },
        );
        application::set_status(&mut transaction, &self.shared.application, &next)?;
        let places: std::collections::HashMap<_, _> =
            documents.iter().enumerate().map(|(place, document)| (document.key.clone(), place)).collect();
        // The revisions at which the objects are as this commit says.
        let kept: Vec<(ObjectKey, Revision)> = transaction
            .steps()
            .filter(|step| step.kind == StepKind::Keep)
            .filter_map(|step| Some((step.key.clone(), step.before.as_ref()?.meta.revision)))
            .collect();
        let written = transaction.commit().await?;
        let written = written.iter().map(|object| (object.key.clone(), object.meta.revision));
        for (key, revision) in written.chain(kept) {
            if let Some(place) = places.get(&key) {
                self.verified.insert(&documents[*place], revision);
            }
        }
        self.status = next;
        self.current = Some(Current { reading: reading.clone(), places: Arc::new(places) });
        self.own(&keys, &ApplicationStatus::default());
        Ok(changed)
    }

    /// The objects whose changes are followed: those of the commit, and those of the one before.
    fn own(&mut self, keys: &[ObjectKey], before: &ApplicationStatus) {
        let mut owned: HashSet<ObjectKey> = keys.iter().cloned().collect();
        owned.extend(tracking::inventory(before));
        owned.insert(self.shared.application.clone());
        self.watching.own(owned);
    }

    /// The Application; made anew, with what is known of it, when somebody deleted it.
    pub(super) async fn application(&mut self) -> Result<Arc<Application>, ApiError> {
        let shared = &self.shared;
        match application::read(&shared.registry, &shared.application) {
            Err(error) if error.reason == Reason::NotFound => self.restore_application().await?,
            found => return found,
        }
        application::read(&self.shared.registry, &self.shared.application)
    }

    /// Errors of the registry stand at their object; this moves them to their field.
    async fn placed(&self, reading: &Reading, mut errors: Vec<SourceError>) -> Vec<SourceError> {
        let id = reading.commit.id;
        self.with_reader(move |reader| {
            reader.place(id, &mut errors);
            Ok(errors)
        })
        .await
        .unwrap_or_default()
    }

    async fn with_reader<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Reader) -> Result<T, MirrorError> + Send + 'static,
    ) -> Result<T, MirrorError> {
        let shared = self.shared.clone();
        blocking(move || work(&mut shared.reader.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    fn retry_later(&mut self) {
        let failures = self.retry.map_or(0, |(_, failures)| failures) + 1;
        let wait = RETRY.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST_RETRY);
        self.retry = Some((Instant::now() + wait, failures));
    }

    fn tell(&self, seen: Option<Oid>, errors: Vec<String>) {
        let deployed = self.current.as_ref().map(|current| current.reading.commit.id.to_string());
        self.shared.progress.send_modify(|progress| {
            progress.seen = seen.map(|id| id.to_string()).or(progress.seen.take());
            progress.deployed = deployed;
            progress.errors = errors;
        });
    }
}

/// Work that computes or reads for longer than a task should, on a thread for such work.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// A commit that declares nothing is far more often a mistake than a wish.
fn guard(application: &Application, reading: &Reading, inventory: &[ObjectKey]) -> Result<(), Failure> {
    let allowed = application.spec.sync_policy.automated.as_ref().is_some_and(|automated| automated.allow_empty);
    if allowed || inventory.is_empty() || !reading.rendered.documents.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the commit declares no objects, and {} are deployed; nothing is pruned (syncPolicy.automated.allowEmpty allows it)",
        inventory.len()
    );
    let file = application.spec.source.path.clone();
    Err(Failure::Commit(status::SYNC_ERROR, vec![SourceError { file, line: 0, message }]))
}

fn results(transaction: &Transaction, staged: &Staged) -> Vec<ResourceResult> {
    let pruned: HashSet<&ObjectKey> = staged.pruned.iter().collect();
    let entry = |key: &ObjectKey, status: &str, message: &str| ResourceResult {
        group: key.kind.group.to_owned(),
        version: key.kind.version.to_owned(),
        kind: key.kind.kind.to_owned(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        status: status.to_owned(),
        message: message.to_owned(),
    };
    let steps = transaction.steps().filter_map(|step| match step.kind {
        StepKind::Keep => None,
        _ if pruned.contains(&step.key) => Some(entry(&step.key, "Pruned", "pruned")),
        StepKind::Create => Some(entry(&step.key, "Synced", "created")),
        StepKind::Replace => Some(entry(&step.key, "Synced", "replaced")),
        StepKind::Update => Some(entry(&step.key, "Synced", "configured")),
        StepKind::Delete => None,
    });
    let left = staged.left.iter().map(|key| entry(key, "PruneSkipped", "asks not to be pruned"));
    steps.chain(left).collect()
}

impl Failure {
    fn summary(&self) -> String {
        match self {
            Self::Commit(_, errors) | Self::Cluster(errors) => {
                errors.first().map(ToString::to_string).unwrap_or_default()
            }
            Self::Store(error) => error.to_string(),
        }
    }
}
