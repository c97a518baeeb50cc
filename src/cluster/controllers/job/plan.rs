//! Decides what one run does to a Job: which pods are made, deleted or counted, and what its status says afterwards.
//! Pure; all of a plan is stored at one revision. The order of the rules is Kubernetes's own, because what a Job
//! fails of depends on it.

mod judging;
#[cfg(test)]
mod simulation;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::backoff::{self, Backoff, finished_at};
use super::conditions::{self, COMPLETE, FAILED, FAILURE_TARGET, SUCCESS_CRITERIA_MET, SUSPENDED};
use super::indexes::Indexes;
use super::removal;
use super::terms::{Terms, index_failures, index_of, is_tracked};
use crate::cluster::controllers::decode::whole_seconds;
use crate::cluster::controllers::engine::Next;
use crate::cluster::controllers::events::Note;
use crate::cluster::controllers::pods;

/// Pods that one run makes, deletes because there are too many, or counts; the next run does the rest.
const BURST: usize = 500;

/// What a plan is computed from.
#[derive(Clone, Debug)]
pub struct View {
    pub job: Arc<Job>,
    /// The pods that the Job controls.
    pub pods: Vec<Arc<Pod>>,
    /// The failures that are counted already.
    pub backoff: Backoff,
    pub now: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPod {
    pub index: Option<i32>,
    /// Earlier failures of the index: those that counted and those that did not. For a limit per index only.
    pub failures: Option<(u32, u32)>,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub create: Vec<NewPod>,
    pub delete: Vec<Arc<Pod>>,
    /// Pods that lose the finalizer: they are counted by this plan, or are not to be counted.
    pub release: Vec<Arc<Pod>>,
    /// `None`: it stays as it is.
    pub status: Option<JobStatus>,
    pub backoff: Backoff,
    pub notes: Vec<Note>,
    pub next: Next,
}

pub fn plan(view: &View) -> Plan {
    let spec = view.job.spec.clone().unwrap_or_default();
    let mut work = Work::new(view, &spec);
    work.judge();
    work.act();
    work.count();
    work.conclude()
}

/// How the Job ends.
#[derive(Clone, Debug)]
struct End {
    well: bool,
    reason: String,
    message: String,
}

impl End {
    fn new(well: bool, reason: &str, message: impl Into<String>) -> Self {
        Self { well, reason: reason.to_owned(), message: message.into() }
    }
}

struct Work<'a> {
    view: &'a View,
    terms: Terms<'a>,
    status: JobStatus,
    /// In whole seconds.
    now: Timestamp,
    active_pods: Vec<Arc<Pod>>,
    active: i32,
    ready: i32,
    terminating: i32,
    succeeded: i32,
    end: Option<End>,
    /// Indexes that had succeeded before this run, and those that have now.
    before: Indexes,
    indexes: Indexes,
    failed_indexes: Option<Indexes>,
    /// The last failed pod of each index that waits for a new one: the new pod inherits its count of failures.
    predecessors: BTreeMap<i32, Arc<Pod>>,
    /// New pods wait for the end of a pause.
    held: bool,
    overflow: bool,
    wake: Option<Duration>,
    create: Vec<NewPod>,
    delete: Vec<Arc<Pod>>,
    release: Vec<Arc<Pod>>,
    released: HashSet<String>,
    backoff: Backoff,
    notes: Vec<Note>,
}

impl<'a> Work<'a> {
    fn new(view: &'a View, spec: &'a JobSpec) -> Self {
        let terms = Terms::of(spec);
        let now = whole_seconds(view.now);
        let mut status = view.job.status.clone().unwrap_or_default();
        status.uncounted_terminated_pods = Some(UncountedTerminatedPods::default());
        if status.start_time.is_none() && !terms.suspended {
            status.start_time = Some(Time(now));
        }
        let active_pods: Vec<_> = view.pods.iter().filter(|pod| pods::is_active(pod)).cloned().collect();
        let terminating = view.pods.iter().filter(|pod| pods::is_deleting(pod) && !pods::has_ended(pod)).count();
        let fresh = |pod: &&Pod| is_tracked(pod) && terms.is_valid(pod);
        let succeeded = || view.pods.iter().map(|p| &**p).filter(fresh).filter(|pod| pods::phase(pod) == "Succeeded");
        let failed = view.pods.iter().map(|p| &**p).filter(fresh).filter(|pod| terms.is_failed(pod));
        Self {
            terms,
            now,
            active: number(active_pods.len()),
            ready: number(active_pods.iter().filter(|pod| pods::is_ready(pod)).count()),
            terminating: number(terminating),
            succeeded: status.succeeded.unwrap_or(0) + number(succeeded().count()),
            backoff: view.backoff.with(succeeded(), failed),
            view,
            status,
            active_pods,
            end: None,
            before: Indexes::default(),
            indexes: Indexes::default(),
            failed_indexes: None,
            predecessors: BTreeMap::new(),
            held: false,
            overflow: false,
            wake: None,
            create: Vec::new(),
            delete: Vec::new(),
            release: Vec::new(),
            released: HashSet::new(),
            notes: Vec::new(),
        }
    }

    fn is_deleting(&self) -> bool {
        self.view.job.metadata.deletion_timestamp.is_some()
    }

    /// Makes and deletes pods.
    fn act(&mut self) {
        if self.end.is_some() {
            // They are counted as failed, or as not needed, with all others.
            self.give_up(self.active_pods.clone());
            return;
        }
        let manages = !self.is_deleting();
        if manages {
            self.manage();
        }
        let complete = self.active == 0
            && match self.terms.completions {
                None => self.succeeded > 0,
                Some(completions) => self.succeeded >= completions,
            };
        if complete {
            self.end = Some(End::new(true, "CompletionsReached", "Reached expected number of succeeded pods"));
        } else if manages {
            self.note_suspension();
        }
    }

    fn manage(&mut self) {
        if self.terms.suspended {
            return self.remove(self.active_pods.clone());
        }
        let wanted = match self.terms.completions {
            None if self.succeeded > 0 => self.active,
            None => self.terms.parallelism,
            Some(completions) => self.terms.parallelism.min((completions - self.succeeded).max(0)),
        };
        let too_many = usize::try_from(self.active - wanted).unwrap_or(0);
        let mut superfluous = removal::choose(&self.active_pods, self.terms.end(), too_many);
        superfluous.truncate(BURST);
        if !superfluous.is_empty() {
            return self.remove(superfluous);
        }
        let leaving = if self.terms.replaces_failed_only { self.terminating } else { 0 };
        let missing = usize::try_from(wanted - leaving - self.active).unwrap_or(0).min(BURST);
        if missing > 0 {
            self.make(missing);
        }
    }

    fn make(&mut self, missing: usize) {
        let limits_indexes = self.terms.indexed && self.terms.spec.backoff_limit_per_index.is_some();
        let pause = if limits_indexes { None } else { self.backoff.left(self.view.now) };
        if let Some(pause) = pause {
            return self.hold(pause);
        }
        let Some(end) = self.terms.end() else {
            self.create = vec![NewPod { index: None, failures: None }; missing];
            self.active += number(missing);
            return;
        };
        let mut waiting = Vec::new();
        for index in self.free_indexes(missing, end) {
            let predecessor = self.predecessors.get(&index);
            let left =
                predecessor.and_then(|pod| backoff::left(failures_before(pod) + 1, finished_at(pod), self.view.now));
            match left {
                Some(left) => waiting.push(left),
                None => {
                    let failures = limits_indexes.then(|| predecessor.map_or((0, 0), |pod| self.inherited(pod)));
                    self.create.push(NewPod { index: Some(index), failures });
                }
            }
        }
        self.active += number(self.create.len());
        match waiting.into_iter().min() {
            Some(pause) if self.create.is_empty() => self.hold(pause),
            Some(pause) => self.wake_after(pause),
            None => {}
        }
    }

    /// While new pods wait, Kubernetes takes none to be active.
    fn hold(&mut self, pause: Duration) {
        self.held = true;
        self.active = 0;
        self.wake_after(pause);
    }

    fn free_indexes(&self, count: usize, end: i32) -> Vec<i32> {
        let leaves = |pod: &&Arc<Pod>| pods::is_deleting(pod) && !pods::has_ended(pod);
        let leaving = self.view.pods.iter().filter(|pod| self.terms.replaces_failed_only && leaves(pod));
        let present = self.active_pods.iter().chain(leaving).filter_map(|pod| index_of(pod));
        let mut taken = self.indexes.union(&Indexes::of(present));
        if let Some(failed) = &self.failed_indexes {
            taken = taken.union(failed);
        }
        taken.missing(count, end)
    }

    /// The failures of its index that a new pod carries on.
    fn inherited(&self, predecessor: &Pod) -> (u32, u32) {
        let (counted, ignored) = index_failures(predecessor);
        if self.terms.judge(predecessor).counts() { (counted + 1, ignored) } else { (counted, ignored + 1) }
    }

    /// Deletes pods that nobody is to count.
    fn remove(&mut self, superfluous: Vec<Arc<Pod>>) {
        for pod in superfluous.iter().filter(|pod| is_tracked(pod)) {
            self.let_go(pod);
        }
        self.give_up(superfluous);
    }

    fn give_up(&mut self, given_up: Vec<Arc<Pod>>) {
        let count = number(given_up.len());
        self.active -= count;
        self.ready -= number(given_up.iter().filter(|pod| pods::is_ready(pod)).count());
        // A pod that no node runs is gone at once, but is seen to go only by the next run, as in Kubernetes.
        self.terminating += count;
        for pod in &given_up {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            self.notes.push(Note::normal("SuccessfulDelete", format!("Deleted pod: {name}")));
        }
        self.delete.extend(given_up);
    }

    fn let_go(&mut self, pod: &Arc<Pod>) -> bool {
        let first = self.released.insert(pod.metadata.uid.clone().unwrap_or_default());
        if first {
            self.release.push(pod.clone());
        }
        first
    }

    fn note_suspension(&mut self) {
        let (holds, reason, note, message) = match self.terms.suspended {
            true => (true, "JobSuspended", "Suspended", "Job suspended"),
            false => (false, "JobResumed", "Resumed", "Job resumed"),
        };
        if conditions::set(&mut self.status, SUSPENDED, holds, (reason, message), self.now) {
            self.notes.push(Note::normal(note, message));
            // The deadline counts from when the Job runs without a break.
            self.status.start_time = (!holds).then_some(Time(self.now));
        }
    }

    /// Counts the pods that have ended, and lets go of them.
    fn count(&mut self) {
        let fails = self.end.as_ref().is_some_and(|end| !end.well);
        for pod in &self.view.pods {
            let failed = self.terms.is_failed(pod);
            if !is_tracked(pod) || !self.may_let_go(pod, failed) || !self.let_go(pod) {
                continue;
            }
            if pods::phase(pod) == "Succeeded" {
                if !self.terms.indexed {
                    *self.status.succeeded.get_or_insert_default() += 1;
                }
            } else if (failed || fails) && self.terms.is_valid(pod) && self.terms.judge(pod).counts() {
                *self.status.failed.get_or_insert_default() += 1;
            }
            if self.release.len() >= BURST {
                self.overflow = true;
                break;
            }
        }
        if self.terms.indexed {
            let text = self.indexes.to_string();
            self.status.succeeded = nonzero(self.indexes.len());
            self.status.completed_indexes = Some(text).filter(|text| !text.is_empty());
            self.status.failed_indexes = self.failed_indexes.as_ref().map(Indexes::to_string);
        }
    }

    fn may_let_go(&self, pod: &Pod, failed: bool) -> bool {
        if self.is_deleting() || self.end.is_some() || pods::phase(pod) == "Succeeded" {
            return true;
        }
        let predecessor = index_of(pod).and_then(|index| self.predecessors.get(&index));
        failed && predecessor.is_none_or(|predecessor| predecessor.metadata.uid != pod.metadata.uid)
    }

    fn conclude(mut self) -> Plan {
        let next = self.wake.map_or(Next::Done, Next::After);
        if self.held && self.ready > 0 {
            // A status with more ready pods than active ones is refused by Kubernetes's API, so that none of this is
            // seen before the pause is over.
            return Plan {
                create: Vec::new(),
                delete: Vec::new(),
                release: Vec::new(),
                status: None,
                backoff: self.view.backoff,
                notes: Vec::new(),
                next,
            };
        }
        if let Some(end) = self.end.take() {
            self.write_end(&end);
        }
        self.status.active = nonzero(self.active);
        self.status.ready = Some(self.ready);
        self.status.terminating = Some(self.terminating);
        let status = Some(self.status).filter(|status| self.view.job.status.as_ref() != Some(status));
        let Self { create, delete, release, backoff, notes, .. } = self;
        Plan { create, delete, release, status, backoff, notes, next }
    }

    /// First how it is going to end; that it has ended only when no pod is left.
    fn write_end(&mut self, end: &End) {
        let why = (end.reason.as_str(), end.message.as_str());
        let (interim, last) = if end.well { (SUCCESS_CRITERIA_MET, COMPLETE) } else { (FAILURE_TARGET, FAILED) };
        conditions::set(&mut self.status, interim, true, why, self.now);
        if self.overflow || self.terminating > 0 {
            return;
        }
        conditions::set(&mut self.status, last, true, why, self.now);
        if !end.well {
            // Reasons are few and come from this file or from a stored condition of its making.
            self.notes.push(Note { message: end.message.clone(), ..Note::warning(known_reason(&end.reason), "") });
            return;
        }
        self.status.completion_time = Some(Time(self.now));
        if self.terms.completions.is_some_and(|wanted| self.status.succeeded.unwrap_or(0) > wanted) {
            let message = "Too many succeeded pods running after completion count reached";
            self.notes.push(Note::warning("TooManySucceededPods", message));
        }
        self.notes.push(Note::normal("Completed", "Job completed"));
    }

    fn wake_after(&mut self, pause: Duration) {
        self.wake = Some(self.wake.map_or(pause, |wake| wake.min(pause)));
    }
}

fn known_reason(reason: &str) -> &'static str {
    let known = ["BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy", "MaxFailedIndexesExceeded"];
    known.into_iter().find(|known| *known == reason).unwrap_or("FailedIndexes")
}

fn failures_before(pod: &Pod) -> u32 {
    let (counted, ignored) = index_failures(pod);
    counted.saturating_add(ignored)
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
