//! Carries a sync of several steps on: each call stores one step at most, from what the cluster and the Application say
//! at that moment, so it may be called again at any time, by this process or the next.

use std::collections::HashSet;

use jiff::Timestamp;

use super::hook::{DeletePolicy, Hook, Phase, Verdict, judge};
use super::made::{make, release};
use super::record::Record;
use super::{Course, Facts, Failed, Next, Prunes, Step};
use crate::cluster::registry::{StepKind, Transaction};
use crate::diff::health::{Health, health};
use crate::diff::plan::SourceError;
use crate::object::application::Application;
use crate::object::{ApiError, ObjectKey, Reason};
use crate::sync::deploy::{Failure, Part, SyncRun};
use crate::sync::desired::Desired;
use crate::sync::guard::Pruning;
use crate::sync::render::Document;
use crate::sync::stage::{self, Staged};
use crate::sync::status::{self, Advanced};
use crate::sync::trigger::Trigger;
use crate::sync::worker::Worker;
use crate::sync::{application, outcome, tracking};

/// What a commit declares, for an Application as it is.
#[derive(Clone, Copy)]
pub(in crate::sync) struct Subject<'a> {
    pub desired: &'a Desired,
    pub application: &'a Application,
}

/// A sync, and what all of it at once would do now.
pub(in crate::sync) struct Work<'a> {
    pub of: Subject<'a>,
    pub run: &'a SyncRun,
    pub pruning: Pruning,
    pub inventory: &'a [ObjectKey],
    pub whole: &'a Transaction,
    pub staged: &'a Staged,
}

/// How far a call brought it.
pub(in crate::sync) enum Advance {
    /// One transaction does it all, and nothing is waited for.
    Simple,
    /// Something was stored; there may be more to do at once.
    Stepped,
    /// Others wrote meanwhile.
    Raced,
    /// The next step waits for something in the cluster.
    Waiting,
    /// All is done but to say so.
    Finished(Record),
}

/// Why a step was not stored.
enum Trouble {
    /// It cannot be; the sync has failed.
    Fails(String),
    Other(Failure),
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        Self::Other(Failure::Store(error))
    }
}

struct Known<'a> {
    work: &'a Work<'a>,
    record: &'a Record,
    gates: &'a HashSet<ObjectKey>,
}

impl<'a> Subject<'a> {
    pub fn hooks(self) -> &'a [(Hook, Document)] {
        &self.desired.rendered.hooks
    }

    pub fn record(self, started: Timestamp) -> Record {
        Record::of(&self.application.status, &self.commit(), &self.desired.revisions(), started)
    }

    fn commit(self) -> String {
        self.desired.commit().id.to_string()
    }

    pub fn key_of(self, document: &Document, phase: Phase, record: &Record) -> ObjectKey {
        let name = record.name_of(&document.object(), phase, &self.commit());
        ObjectKey::new(document.key.kind, document.key.namespace.as_str(), name)
    }

    /// The hook in words.
    pub fn name(self, place: usize) -> String {
        let (_, document) = &self.hooks()[place];
        format!("{} ({document})", document.key)
    }
}

impl Work<'_> {
    fn prunes_last(&self, key: &ObjectKey) -> bool {
        self.run.settings.options.prune_last
            || self.whole.stored(key).is_some_and(|live| tracking::prune_last(&live.value()))
    }

    /// Whether there is anything to do beside what heals drift: hooks are run for what is deployed, not for each look.
    fn has_reason(&self) -> bool {
        let status = &self.of.application.status;
        let state = status.operation_state.as_ref();
        let succeeded = state.is_some_and(|state| state.phase == "Succeeded");
        let unfinished = !succeeded
            && state.and_then(|state| state.sync_result.as_ref()).is_some_and(|result| !result.resources.is_empty());
        let commit = self.of.commit();
        let is_deployed = succeeded
            && (status.history.last().is_some_and(|last| last.revision == commit) || status.sync.revision == commit);
        let changes = self.whole.steps().any(|step| step.kind != StepKind::Keep);
        self.run.asked.is_some()
            || status.history.is_empty()
            || unfinished
            || changes && !(is_deployed && self.run.trigger == Trigger::Start)
    }
}

impl Facts for Known<'_> {
    fn is_due(&self, key: &ObjectKey) -> bool {
        let step = self.work.whole.step(key);
        // What differs again after it was applied is drift, which heals by itself.
        step.is_some_and(|step| step.kind != StepKind::Keep) && !self.record.has(key)
    }

    fn prunes(&self, prunes: Prunes) -> bool {
        self.work.staged.pruned.iter().any(|key| {
            let is_meant = match prunes {
                Prunes::Nothing => false,
                Prunes::Most => !self.work.prunes_last(key),
                Prunes::All => true,
            };
            is_meant && !self.record.has_pruned(key)
        })
    }

    fn health(&self, key: &ObjectKey) -> Option<Health> {
        let live = || self.work.whole.stored(key).map(|live| health(key.kind, &live.value()));
        self.gates.contains(key).then(|| live().unwrap_or_else(Health::missing))
    }

    fn hook(&self, phase: Phase, place: usize) -> Option<Verdict> {
        let (_, document) = &self.work.of.hooks()[place];
        self.record.hook(phase, &self.work.of.key_of(document, phase, self.record))
    }

    fn name(&self, place: usize) -> String {
        self.work.of.name(place)
    }
}

impl Worker {
    /// Does what comes next.
    pub(in crate::sync) async fn advance(&mut self, work: &Work<'_>) -> Result<Advance, Failure> {
        let pruned = &work.staged.pruned;
        let last = pruned.iter().any(|key| work.prunes_last(key));
        let runs_hooks = work.run.asked.as_ref().is_none_or(|asked| asked.runs_hooks());
        let hooks = if runs_hooks { work.of.hooks() } else { &[] };
        let course = Course::of(&work.of.desired.rendered.documents, hooks, !pruned.is_empty(), last);
        let mut record = work.of.record(work.run.started);
        if !record.is_begun && (course.is_simple() || !work.has_reason()) {
            return Ok(Advance::Simple);
        }
        self.own(self.concerned(work, &record));
        match self.end_hooks(work.of, &mut record).await {
            Ok(None) => {}
            Ok(Some(advance)) => return Ok(advance),
            Err(error) => return Err(Failure::Store(error)),
        }
        let gates = self.gates.clone();
        let known = Known { work, record: &record, gates: &gates };
        self.may_heal = false;
        let (next, failure) = match &record.failure {
            Some(failure) => (course.next_of_failure(&known), Some(failure.clone())),
            None => match course.next(&known) {
                Next::Fail(Failed { why, may_heal }) => {
                    self.may_heal = may_heal;
                    (course.next_of_failure(&known), Some(why))
                }
                next => (next, None),
            },
        };
        match (next, failure) {
            (Next::Begin(step), failure) => {
                match self.begin(work, &course, step, record.clone(), failure.as_deref()).await {
                    Ok(advance) => Ok(advance),
                    Err(Trouble::Other(failure)) => Err(failure),
                    Err(Trouble::Fails(why)) => self.fail(work, &course, record, failure.is_some(), why).await,
                }
            }
            (Next::Wait(step, message), failure) => {
                let pruned: Vec<_> = work.inventory.iter().filter(|key| record.has_pruned(key)).cloned().collect();
                self.take_up_part(work.of.desired, &course.up_to(step), &pruned);
                self.tell_progress(work.of, &record, &failure.unwrap_or(message)).await;
                Ok(Advance::Waiting)
            }
            (_, Some(why)) => Err(self.failed(why)),
            (_, None) => Ok(Advance::Finished(record)),
        }
    }

    /// A step cannot be stored: what the commit has for that case is begun, once.
    async fn fail(
        &mut self,
        work: &Work<'_>,
        course: &Course,
        record: Record,
        fails_already: bool,
        why: String,
    ) -> Result<Advance, Failure> {
        let gates = self.gates.clone();
        let next = course.next_of_failure(&Known { work, record: &record, gates: &gates });
        let Next::Begin(step) = next else { return Err(self.failed(why)) };
        if fails_already {
            return Err(self.failed(why));
        }
        match self.begin(work, course, step, record.clone(), Some(&why)).await {
            Ok(advance) => Ok(advance),
            Err(Trouble::Other(failure)) => Err(failure),
            Err(Trouble::Fails(also)) => Err(self.failed(format!("{why}; {also}"))),
        }
    }

    fn failed(&self, message: String) -> Failure {
        Failure::Cluster(vec![SourceError { file: self.key.to_string(), line: 0, message }])
    }

    /// Everything whose change may bring the sync on.
    fn concerned(&self, work: &Work<'_>, record: &Record) -> HashSet<ObjectKey> {
        let mut keys = outcome::keys(work.of.desired, work.staged);
        keys.extend(work.inventory.iter().cloned());
        keys.extend(self.current.iter().flat_map(|current| current.places.keys().cloned()));
        for (hook, document) in work.of.hooks() {
            keys.extend(hook.phases.iter().map(|phase| work.of.key_of(document, *phase, record)));
        }
        keys
    }

    /// Writes down which hooks have ended, and lets their objects go.
    pub(in crate::sync) async fn end_hooks(
        &mut self,
        of: Subject<'_>,
        record: &mut Record,
    ) -> Result<Option<Advance>, ApiError> {
        let mut transaction = self.shared.registry.begin(&stage::author(Some(of.desired.commit())));
        let mut has_ended = false;
        for (hook, document) in of.hooks() {
            for phase in &hook.phases {
                let key = of.key_of(document, *phase, record);
                if !matches!(record.hook(*phase, &key), Some(Verdict::Running(_))) {
                    continue;
                }
                let live = transaction.stored(&key).map(|live| judge(key.kind, &live.value()));
                let verdict = live.unwrap_or_else(|| Verdict::Failed("it is gone".to_owned()));
                let DeletePolicy { on_success, on_failure, .. } = hook.delete;
                match verdict {
                    Verdict::Running(_) => continue,
                    Verdict::Succeeded(_) => release(&mut transaction, &key, on_success)?,
                    Verdict::Failed(_) => release(&mut transaction, &key, on_failure)?,
                }
                record.set_hook(*phase, &key, &verdict);
                has_ended = true;
            }
        }
        if !has_ended {
            return Ok(None);
        }
        let message = of.application.status.operation_state.as_ref().map(|state| state.message.clone());
        let message = message.unwrap_or_default();
        let next = status::advanced(&of.application.status, &self.advanced(of, record, &message));
        application::set_status(&mut transaction, &self.key, &next)?;
        match transaction.commit().await {
            Ok(written) => {
                self.wrote(&written);
                self.keep_status(&next);
                Ok(Some(Advance::Stepped))
            }
            Err(error) if is_race(&error) => Ok(Some(Advance::Raced)),
            Err(error) => Err(error),
        }
    }

    pub(in crate::sync) fn advanced<'a>(&self, of: Subject<'a>, record: &'a Record, message: &'a str) -> Advanced<'a> {
        Advanced {
            commit: of.desired.commit(),
            revisions: of.desired.revisions(),
            spec: &of.application.spec,
            operation: self.asked.as_ref().map(|asked| asked.operation.clone()),
            record,
            message,
            retries: i64::from(self.failures),
            now: self.shared.registry.clock().now(),
        }
    }

    pub(in crate::sync) async fn tell_progress(&mut self, of: Subject<'_>, record: &Record, message: &str) {
        let advanced = self.advanced(of, record, message);
        self.write_status(|old, now| status::advanced(old, &Advanced { now, ..advanced.clone() })).await;
    }

    /// Stores a step: its objects, what it prunes and its hooks, with the status that says so.
    async fn begin(
        &mut self,
        work: &Work<'_>,
        course: &Course,
        step: &Step,
        mut record: Record,
        failure: Option<&str>,
    ) -> Result<Advance, Trouble> {
        let desired = work.of.desired;
        let reached = course.up_to(step);
        let documents = desired.rendered.documents.iter().filter(|document| reached.contains(&document.key));
        let prunes = step.prunes != Prunes::Nothing;
        let part = Part {
            documents: Some(documents.cloned().collect()),
            inventory: if prunes { work.inventory.to_vec() } else { Vec::new() },
            pruning: if prunes { work.pruning } else { Pruning::Off },
            holds_last: step.prunes == Prunes::Most,
        };
        let (mut transaction, staged) = self.stage(desired, &work.run.settings, part).await;
        if let Some(first) = staged.errors.first() {
            let more = staged.errors.len() - 1;
            return Err(Trouble::Fails(match more {
                0 => first.to_string(),
                more => format!("{first}, and {more} more errors"),
            }));
        }
        let mut results = outcome::results(&transaction, &staged);
        results.iter_mut().for_each(|result| result.sync_phase = step.phase.to_string());
        record.results.retain(|known| !known.hook_type.is_empty() || !results.iter().any(|new| is_same(known, new)));
        record.results.extend(results);
        let applied = transaction.steps().filter(|step| !matches!(step.kind, StepKind::Keep | StepKind::Delete));
        let applied: Vec<ObjectKey> =
            applied.filter(|step| reached.contains(&step.key)).map(|step| step.key.clone()).collect();
        if !record.is_begun {
            super::release_running(&mut transaction, &work.of.application.status)?;
        }
        let mut waits = Vec::new();
        for place in &step.hooks {
            let (hook, document) = &work.of.hooks()[*place];
            let key = work.of.key_of(document, step.phase, &record);
            if record.hook(step.phase, &key).is_some() {
                continue;
            }
            match make(&mut transaction, &self.name, hook, document, &key) {
                Ok(true) => record.set_hook(step.phase, &key, &Verdict::Running(String::new())),
                Ok(false) => waits.push(key.to_string()),
                Err(error) => return Err(Trouble::Fails(format!("{document}: the hook {key} is refused: {error}"))),
            }
        }
        let is_idle = transaction.steps().all(|step| step.kind == StepKind::Keep);
        let message = match (failure, waits.is_empty()) {
            (Some(failure), _) => failure.to_owned(),
            (None, true) => format!("{} of wave {} is under way", step.phase, step.wave),
            (None, false) => format!("waiting for the hooks of an earlier sync to go: {}", waits.join(", ")),
        };
        if is_idle && !waits.is_empty() {
            self.tell_progress(work.of, &record, &message).await;
            return Ok(Advance::Waiting);
        }
        let next = self.status_of_step(work, &transaction, &record, &message);
        application::set_status(&mut transaction, &self.key, &next)?;
        let kept = kept(&transaction);
        match transaction.commit().await {
            Ok(written) => {
                self.wrote(&written);
                self.keep_status(&next);
                self.gates.extend(applied);
                self.take_up_part(desired, &reached, &staged.pruned);
                self.remember(&written, kept);
                Ok(Advance::Stepped)
            }
            Err(error) if is_race(&error) => Ok(Advance::Raced),
            Err(error) => Err(error.into()),
        }
    }

    fn status_of_step(
        &self,
        work: &Work<'_>,
        transaction: &Transaction,
        record: &Record,
        message: &str,
    ) -> crate::object::application::ApplicationStatus {
        let documents = &work.of.desired.rendered.documents;
        let differs = |key: &ObjectKey| {
            outcome::would_change(work.whole, key) && transaction.step(key).is_none() && !record.has(key)
        };
        let mut entries = outcome::entries(documents, work.staged, differs);
        // What a later step prunes is still owned.
        let left: Vec<_> = work.staged.pruned.iter().filter(|key| !record.has_pruned(key)).collect();
        entries.extend(left.into_iter().map(|key| outcome::Entry::extraneous(key, false)));
        let Subject { desired, application } = work.of;
        let next = self.status_of_part(desired, application, work.staged, &entries, transaction);
        status::advanced(&next, &self.advanced(work.of, record, message))
    }
}

/// The objects that are as the transaction wants them already, and since when.
pub(in crate::sync) fn kept(transaction: &Transaction) -> Vec<(ObjectKey, crate::object::Revision)> {
    let kept = transaction.steps().filter(|step| step.kind == StepKind::Keep);
    kept.filter_map(|step| Some((step.key.clone(), step.before.as_ref()?.meta.revision))).collect()
}

pub(in crate::sync) fn is_race(error: &ApiError) -> bool {
    matches!(error.reason, Reason::Conflict | Reason::AlreadyExists)
}

fn is_same(a: &crate::object::application::ResourceResult, b: &crate::object::application::ResourceResult) -> bool {
    (&a.group, &a.kind, &a.namespace, &a.name) == (&b.group, &b.kind, &b.namespace, &b.name)
}
