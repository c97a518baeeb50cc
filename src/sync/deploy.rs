//! Looks at the sources and makes the cluster as their newest commits say: read, stage, commit, in one transaction
//! that also holds the new status, so objects and inventory can never tell different stories. An Application that is
//! not synced by itself is compared only.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use git2::Oid;
use jiff::Timestamp;
use tokio::time::Instant;

use super::asked::{Asked, Whole};
use super::blocking::blocking;
use super::desired::{self, At, Desired, Followed};
use super::events::Note;
use super::guard::{self, Pruning, Wish};
use super::moves::Search;
use super::plan;
use super::render::{Document, Rendered};
use super::settings::Settings;
use super::stage::{self, Scope, Staged};
use super::status::{self, Refused};
use super::trigger::Trigger;
use super::upstream::OpenError;
use super::waves::{self, Advance, Work};
use super::worker::Worker;
use super::{outcome, tracking};
use crate::cluster::registry::Transaction;
use crate::diff::plan::SourceError;
use crate::object::application::{Application, ApplicationStatus};
use crate::object::{ApiError, ObjectKey, Reason};

/// How often a sync is computed anew at once because others wrote what it was computed from.
const RACES: u32 = 8;

/// What is staged of what is desired.
pub(super) struct Part {
    /// `None`: all that is declared.
    pub documents: Option<Vec<Document>>,
    /// What is deleted when it is not among the documents.
    pub inventory: Vec<ObjectKey>,
    pub pruning: Pruning,
    /// What asks to be deleted last stays for now.
    pub holds_last: bool,
}

/// A sync: of what, how, why, and since when.
#[derive(Clone)]
pub(super) struct SyncRun {
    pub desired: Desired,
    pub settings: Arc<Settings>,
    pub trigger: Trigger,
    pub started: Timestamp,
    /// Somebody asks for it.
    pub asked: Option<Arc<Asked>>,
}

pub(super) enum Attempt {
    Done(usize),
    Stepped,
    Waiting,
    Raced,
}

/// Why a sync did not happen.
pub(super) enum Failure {
    /// The commit is at fault; only another commit helps.
    Commit(&'static str, Vec<SourceError>),
    /// The cluster refuses; it may not do so later.
    Cluster(Vec<SourceError>),
    /// The store or the Application cannot be written.
    Store(ApiError),
    /// What was asked for cannot be done; nothing is wrong with the commit.
    Request(String),
}

impl Worker {
    /// Makes the cluster as the newest commits of the sources say, or as somebody asks for.
    pub(super) async fn read(&mut self, trigger: Trigger) {
        let Some(settings) = self.settings.clone() else { return };
        let started = self.shared.registry.clock().now();
        if self.current.is_none()
            && let Some(desired) = self.adopt(&settings, started).await
            && self.asked.is_none()
        {
            return self.follow(SyncRun { desired, settings, trigger, started, asked: None }).await;
        }
        let asked = self.asked.clone();
        let trigger = if asked.is_some() { Trigger::Request } else { trigger };
        let settings = asked.as_ref().map_or(settings, |asked| asked.settings.clone());
        let found = match &asked {
            Some(asked) if asked.has_own_sources => {
                let sources = desired::apart(&self.shared, &self.key, &settings);
                self.desired_of(&sources, &settings, At::Named(asked.revisions.clone())).await
            }
            Some(asked) => self.desired(&settings, At::Named(asked.revisions.clone())).await,
            None => {
                let unless = self.settled.clone().filter(|_| !trigger.is_forced());
                self.desired(&settings, At::Tips { unless }).await
            }
        };
        match (found, asked) {
            (Ok(None), _) => {}
            (Ok(Some(desired)), asked) => self.follow(SyncRun { desired, settings, trigger, started, asked }).await,
            // The copy is empty until then.
            (Err(_), _) if self.awaits_first_fetch() => {}
            (Err(error), Some(asked)) if asked.is_apart() => {
                self.refuse_request(&asked.operation, &[error.to_string()], started).await;
            }
            (Err(error), _) => {
                self.unreadable(&error.to_string()).await;
                self.retry_later(&settings);
            }
        }
    }

    /// Nobody knows what should be, so everything stays.
    pub(super) async fn unreadable(&mut self, why: &str) {
        tracing::warn!(application = %self.key, why, "the repository cannot be read; what is deployed stays");
        self.settle(None);
        self.tell(None, vec![why.to_owned()]);
        if self.write_status(|old, now| status::unreadable(old, why, now)).await {
            self.note(&[Note::warning("RepositoryUnreadable", why)]).await;
        }
    }

    pub(super) async fn desired(&self, settings: &Arc<Settings>, at: At) -> Result<Option<Desired>, OpenError> {
        self.desired_of(&self.sources, settings, at).await
    }

    async fn desired_of(
        &self,
        sources: &[Followed],
        settings: &Arc<Settings>,
        at: At,
    ) -> Result<Option<Desired>, OpenError> {
        let shared = self.shared.clone();
        let slot = shared.slots.acquire().await;
        let (followed, asked) = (sources.to_vec(), settings.clone());
        let begun = blocking(move || desired::begin(&followed, &asked, &at)).await?;
        let Some(begun) = begun else { return Ok(None) };
        // A tool may take its time; it takes no place from those that need none.
        drop(slot);
        let _tool = if begun.needs_tools() { Some(shared.tool_slots.acquire().await) } else { None };
        let (sources, settings, tools) = (sources.to_vec(), settings.clone(), shared.tools.clone());
        let mut desired = blocking(move || begun.finish(&sources, &settings, &tools)).await?;
        desired.resolve(self.shared.registry.snapshot().kinds());
        Ok(Some(desired))
    }

    /// Deploys what is desired, as far as that goes now, and tells of it.
    pub(super) async fn follow(&mut self, run: SyncRun) {
        self.under_way = None;
        let outcome = self.deploy(&run).await;
        let apart = run.asked.clone().filter(|asked| asked.is_apart());
        if let Some(asked) = apart {
            return self.told_apart(run, &asked, outcome).await;
        }
        let SyncRun { desired, settings, trigger, started, .. } = &run;
        let commit = desired.commit().clone();
        match outcome {
            Ok(Some(changed)) => {
                if changed > 0 {
                    self.count(true, *started);
                }
                self.settle(Some(desired));
                (self.retry, self.failures) = (None, 0);
                tracing::info!(
                    application = %self.key, commit = %commit.short(), subject = commit.subject, %trigger, changed, "synced"
                );
                self.note_synced(desired, changed).await;
                self.tell(Some(commit.id), Vec::new());
            }
            Ok(None) => {
                self.settle(Some(desired));
                self.retry = None;
                self.under_way = Some(run);
                self.tell(Some(commit.id), Vec::new());
            }
            Err(Failure::Commit(condition, errors)) => {
                self.settle(Some(desired));
                (self.retry, self.failures) = (None, 0);
                self.refuse(&run, condition, &errors).await;
            }
            Err(Failure::Request(message)) => {
                if let Some(asked) = &run.asked {
                    self.refuse_request(&asked.operation, &[message], *started).await;
                }
            }
            Err(Failure::Cluster(errors)) => {
                self.settle(Some(desired));
                // Another commit may help even if it changes nothing: one that is signed, for example.
                self.sources.iter().for_each(|source| source.follower.settle(None));
                self.retry_later(settings);
                self.refuse(&run, status::SYNC_ERROR, &errors).await;
            }
            Err(Failure::Store(error)) => {
                tracing::error!(application = %self.key, %error, commit = %commit.short(), "the sync could not be stored");
                self.settle(None);
                self.retry_later(settings);
                self.tell(Some(commit.id), vec![error.to_string()]);
            }
        }
    }

    pub(super) async fn note_synced(&self, desired: &Desired, changed: usize) {
        if changed > 0 {
            let (short, subject) = (desired.commit().short(), &desired.commit().subject);
            let changed = if changed == 1 { "1 object".to_owned() } else { format!("{changed} objects") };
            let what = format!("commit {short} {subject:?} is deployed, {changed} changed");
            self.note(&[Note::normal("Synced", what)]).await;
        }
    }

    async fn refuse(&mut self, run: &SyncRun, condition: &'static str, errors: &[SourceError]) {
        let (commit, started) = (run.desired.commit(), run.started);
        let operation = run.asked.as_ref().map(|asked| &asked.operation);
        tracing::warn!(
            application = %self.key, commit = %commit.short(), errors = errors.len(), first = %errors[0], "not deployed"
        );
        let retries = i64::from(self.failures.saturating_sub(1));
        let next = |old: &ApplicationStatus, now| {
            status::refused(old, &Refused { commit, condition, errors, operation, started, now, retries })
        };
        if self.write_status(next).await {
            self.count(false, started);
            let what = |error: &SourceError| format!("commit {} is not deployed: {error}", commit.short());
            let told = errors.iter().take(status::LISTED);
            let notes: Vec<_> = told.map(|error| Note::warning("SyncFailed", what(error))).collect();
            self.note(&notes).await;
        }
        self.tell(Some(commit.id), errors.iter().map(ToString::to_string).collect());
    }

    fn count(&self, succeeded: bool, started: Timestamp) {
        let took = self.shared.registry.clock().now().duration_since(started);
        self.shared.metrics.count(&self.key, succeeded, took.as_secs_f64());
    }

    /// Carries a sync that waits on, now that something has changed.
    pub(super) async fn go_on(&mut self) {
        if let Some(run) = self.under_way.take() {
            self.follow(run).await;
        }
    }

    /// Stages what is desired and stores it. Gives the number of objects that changed; `None` while a step waits.
    pub(super) async fn deploy(&mut self, run: &SyncRun) -> Result<Option<usize>, Failure> {
        let desired = &run.desired;
        if !desired.rendered.errors.is_empty() {
            return Err(Failure::Commit(status::COMPARISON_ERROR, self.errors_of(desired).await));
        }
        let mut races = 0;
        while races < RACES {
            match self.attempt(run, races == 0).await? {
                Attempt::Done(changed) => return Ok(Some(changed)),
                Attempt::Waiting => return Ok(None),
                Attempt::Stepped => {}
                Attempt::Raced => {
                    races += 1;
                    tokio::time::sleep(Duration::from_millis(u64::from(races) * 5)).await;
                }
            }
        }
        Err(Failure::Store(ApiError::conflict(self.key.kind, &self.key.name, "others keep writing the same objects")))
    }

    /// Everything that is wrong with what was read.
    async fn errors_of(&self, desired: &Desired) -> Vec<SourceError> {
        let rendered = &desired.rendered;
        // What an object of a whole file needs may stand in a broken one, so only its own fields are looked at.
        let live = self.shared.registry.snapshot();
        let unknown = rendered.documents.iter().flat_map(|document| stage::unknown_fields(live.kinds(), document));
        let unknown = self.placed(desired, unknown.collect()).await;
        let mut errors: Vec<_> = rendered.errors.iter().cloned().chain(unknown).collect();
        errors.sort();
        errors
    }

    async fn attempt(&mut self, run: &SyncRun, is_first: bool) -> Result<Attempt, Failure> {
        let SyncRun { desired, settings, asked, .. } = run;
        let documents = &desired.rendered.documents;
        let application = self.application().await.map_err(Failure::Store)?;
        let mut inventory = tracking::inventory(self.shared.registry.snapshot().kinds(), &application.status);
        let mut wish =
            Wish::of(&application, asked.as_deref().map(|asked| &asked.sync), &desired.commit().id.to_string());
        if let Wish::Sync { pruning } = &mut wish
            && *pruning != Pruning::Off
        {
            if let Some(message) = guard::refuses_emptiness(&application, documents.len(), inventory.len()) {
                let file = application.spec.all_sources()[0].path.clone();
                return Err(Failure::Commit(status::SYNC_ERROR, vec![SourceError { file, line: 0, message }]));
            }
            let wanted: HashSet<&ObjectKey> = documents.iter().map(|document| &document.key).collect();
            if inventory.iter().any(|key| !wanted.contains(key)) {
                if self.is_unrelated(&application, desired).await {
                    pruning.distrust();
                }
                let successors = self.successors(&application, desired.rendered.clone(), &inventory).await;
                inventory.retain(|key| !successors.contains_key(key));
            }
        }
        if settings.options.fail_on_shared_resource {
            let keys = documents.iter().map(|document| document.key.clone()).collect();
            let shared: Vec<_> = self.shared_with(&keys).into_iter().map(|message| self.fault(message)).collect();
            if !shared.is_empty() {
                return Err(Failure::Cluster(shared));
            }
        }
        if is_first {
            self.check_signatures(&application, desired).await.map_err(Failure::Cluster)?;
        }
        let pruning = match wish {
            Wish::Sync { pruning } => pruning,
            Wish::Compare => Pruning::Off,
        };
        let part = Part { documents: None, inventory: inventory.clone(), pruning, holds_last: false };
        let (transaction, mut staged) = self.stage(desired, settings, part).await;
        if let Some(asked) = asked.as_ref().filter(|asked| asked.is_selective()) {
            let (inventory, staged) = (&inventory, &staged);
            let whole = Whole { application: &application, inventory, pruning, transaction: &transaction, staged };
            return self.sync_selected(run, asked, whole).await;
        }
        let hooks = desired.rendered.hooks.iter();
        staged.errors.extend(hooks.flat_map(|(_, hook)| stage::unknown_fields(transaction.kinds(), hook)));
        if !staged.errors.is_empty() {
            return Err(Failure::Cluster(self.placed(desired, staged.errors).await));
        }
        let operation = application.status.operation_state.as_ref();
        let is_begun = operation.is_some_and(|operation| operation.phase == "Running");
        if let Some(asked) = asked.as_deref().and_then(Asked::plan).filter(|_| !is_begun) {
            let id = plan::id(&self.name, &transaction, &staged.pruned, &desired.rendered, &self.shared.fingerprints);
            if id != asked {
                let message = format!(
                    "plan {asked} is not what a sync of {} does now: that is plan {id}; look at it (windlass diff) \
                     and ask for that one",
                    desired.commit().short()
                );
                return Err(Failure::Request(message));
            }
        }
        if let Some(asked) = asked.as_ref().filter(|asked| asked.is_trial()) {
            let results = outcome::results(&transaction, &staged);
            return self.tell_trial(run, asked, results).await;
        }
        if wish == Wish::Compare {
            self.compare(desired, &transaction, &staged).await;
            return Ok(Attempt::Done(0));
        }
        let work = Work {
            of: waves::Subject { desired, application: &application },
            run,
            pruning,
            inventory: &inventory,
            whole: &transaction,
            staged: &staged,
        };
        let (began, earlier) = match self.advance(&work).await? {
            Advance::Stepped => return Ok(Attempt::Stepped),
            Advance::Raced => return Ok(Attempt::Raced),
            Advance::Waiting => return Ok(Attempt::Waiting),
            Advance::Simple => (run.started, Vec::new()),
            Advance::Finished(record) => (record.started, record.results),
        };
        match self.store(run, &application, began, transaction, &staged, earlier).await {
            Err(error) if waves::is_race(&error) => Ok(Attempt::Raced),
            Err(error) => Err(Failure::Store(error)),
            Ok(changed) => Ok(Attempt::Done(changed)),
        }
    }

    /// Puts what is desired, or a part of it, into a transaction.
    pub(super) async fn stage(
        &mut self,
        desired: &Desired,
        settings: &Arc<Settings>,
        part: Part,
    ) -> (Transaction, Staged) {
        let shared = self.shared.clone();
        let _slot = shared.slots.acquire().await;
        let verified = std::mem::take(&mut self.verified);
        let (registry, desired, settings) = (self.shared.registry.clone(), desired.clone(), settings.clone());
        let (name, fingerprints) = (self.name.clone(), self.shared.fingerprints.clone());
        let work = move || {
            let live = registry.snapshot();
            let mut transaction = registry.begin(&stage::author(Some(desired.commit())));
            let scope = Scope {
                application: &name,
                commit: Some(desired.commit()),
                documents: part.documents.as_deref().unwrap_or(&desired.rendered.documents),
                inventory: &part.inventory,
                verified: Some(&verified),
                settings: Some(&settings),
                pruning: part.pruning,
                fingerprints: Some(&fingerprints),
                holds_last: part.holds_last,
                is_healing: false,
            };
            let staged = stage::stage(&mut transaction, &live, scope);
            (transaction, staged, verified)
        };
        let (transaction, staged, verified) = blocking(work).await;
        self.verified = verified;
        (transaction, staged)
    }

    /// The Application; the repository's own is made anew, with what is known of it, when somebody deleted it.
    pub(super) async fn application(&mut self) -> Result<Arc<Application>, ApiError> {
        match self.look() {
            Err(error) if error.reason == Reason::NotFound && self.is_root() => self.restore_application().await?,
            found => return found,
        }
        self.look()
    }

    /// Whether the commit shares no history with the one that is deployed: somebody replaced the branch by another.
    async fn is_unrelated(&self, application: &Arc<Application>, desired: &Desired) -> bool {
        let (sources, application, commit) = (self.sources.clone(), application.clone(), desired.commit().id);
        blocking(move || desired::replaces_history(&sources, &application, commit)).await
    }

    /// Those of the inventory that another Application declares by now, and this one no longer.
    pub(super) async fn successors(
        &self,
        application: &Arc<Application>,
        declared: Arc<Rendered>,
        inventory: &[ObjectKey],
    ) -> BTreeMap<ObjectKey, String> {
        let (shared, from, application) = (self.shared.clone(), self.key.clone(), application.clone());
        let inventory = inventory.to_vec();
        let search = move || {
            let (spec, documents) = (&application.spec, &declared.documents);
            Search { shared: &shared, from: &from, spec, documents, revision: None }.successors(&inventory)
        };
        let found = blocking(search).await;
        for (key, to) in &found {
            tracing::info!(application = %self.key, object = %key, to, "the object goes to another Application");
        }
        found
    }

    /// Errors of the registry stand at their object; this moves them to their field.
    pub(super) async fn placed(&self, desired: &Desired, mut errors: Vec<SourceError>) -> Vec<SourceError> {
        let (sources, positions) = (self.sources.clone(), desired.positions.clone());
        blocking(move || {
            desired::place(&sources, &positions, &mut errors);
            errors
        })
        .await
    }

    /// What was looked at and needs no second look; `None` when it does.
    pub(super) fn settle(&mut self, desired: Option<&Desired>) {
        self.settled = desired.map(|desired| desired.positions.clone());
        for (index, source) in self.sources.iter().enumerate() {
            let position = self.settled.as_ref().and_then(|positions| positions.get(index));
            source.follower.settle(position.map(|position| position.content));
        }
    }

    pub(super) fn retry_later(&mut self, settings: &Settings) {
        self.failures = self.failures.saturating_add(1);
        self.retry = settings.retry.wait(self.failures).map(|wait| Instant::now() + wait);
    }

    fn tell(&self, seen: Option<Oid>, errors: Vec<String>) {
        if !self.is_root() {
            return;
        }
        let deployed = self.current.as_ref().map(|current| current.desired.commit().id.to_string());
        self.shared.progress.send_modify(|progress| {
            progress.seen = seen.map(|id| id.to_string()).or(progress.seen.take());
            progress.deployed = deployed;
            progress.errors = errors;
        });
    }
}

impl Failure {
    pub(super) fn messages(&self) -> Vec<String> {
        match self {
            Self::Commit(_, errors) | Self::Cluster(errors) => errors.iter().map(ToString::to_string).collect(),
            Self::Store(error) => vec![error.to_string()],
            Self::Request(message) => vec![message.clone()],
        }
    }

    pub(super) fn summary(&self) -> String {
        self.messages().into_iter().next().unwrap_or_default()
    }
}
