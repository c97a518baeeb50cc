//! The status of a Deployment: counts, and the conditions Available, Progressing and ReplicaFailure, with
//! Kubernetes's reasons and words. Pure: `now` is an argument.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::fenceposts::Bounds;
use super::sets::Set;

pub const AVAILABLE: &str = "Available";
pub const PROGRESSING: &str = "Progressing";
pub const REPLICA_FAILURE: &str = "ReplicaFailure";

pub const NEW_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
pub const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

/// What the status says of the past: it is carried forward.
pub struct Before<'a> {
    pub deployment: &'a Deployment,
    pub status: &'a DeploymentStatus,
    pub generation: i64,
    pub now: Timestamp,
}

/// `progressDeadlineSeconds`, unless there is none; the largest number means that, too.
pub fn deadline(deployment: &Deployment) -> Option<i32> {
    let seconds = deployment.spec.as_ref().and_then(|s| s.progress_deadline_seconds).unwrap_or(600);
    (seconds != i32::MAX).then_some(seconds)
}

pub fn condition<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().flatten().find(|c| c.type_ == kind)
}

impl Before<'_> {
    /// The counts, with the condition Available.
    pub fn count(&self, sets: &[Set], new: Option<usize>) -> DeploymentStatus {
        let sum = |of: fn(&Set) -> i32| sets.iter().map(of).sum::<i32>();
        let available = sum(Set::available);
        let bounds = Bounds::of(self.deployment);
        let terminating = sets.iter().filter_map(|s| s.status.terminating_replicas);
        let mut status = DeploymentStatus {
            observed_generation: Some(self.generation).filter(|g| *g != 0),
            replicas: nonzero(sum(|s| s.status.replicas)),
            updated_replicas: nonzero(new.map_or(0, |i| sets[i].status.replicas)),
            ready_replicas: nonzero(sum(|s| s.status.ready_replicas.unwrap_or(0))),
            available_replicas: nonzero(available),
            unavailable_replicas: nonzero((sum(|s| s.replicas) - available).max(0)),
            terminating_replicas: terminating.reduce(|a, b| a + b).or(Some(0)),
            collision_count: self.status.collision_count,
            conditions: self.status.conditions.clone(),
        };
        let enough = available >= bounds.least();
        let (value, reason, message) = if enough {
            ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        self.set(&mut status, AVAILABLE, value, reason, message.to_owned());
        status
    }

    /// The status of a Deployment that is rolled out: with what is said of its progress and of failures.
    pub fn roll(&self, sets: &[Set], new: Option<usize>) -> DeploymentStatus {
        let mut status = self.count(sets, new);
        match deadline(self.deployment) {
            None => remove(&mut status, PROGRESSING),
            Some(deadline) => {
                let name = new.map(|i| sets[i].name.as_str());
                self.judge(&mut status, name, deadline);
            }
        }
        self.report_failures(&mut status, sets, new);
        status
    }

    fn judge(&self, status: &mut DeploymentStatus, set: Option<&str>, deadline: i32) {
        let subject = match set {
            Some(name) => format!("ReplicaSet \"{name}\""),
            None => format!("Deployment \"{}\"", self.deployment.metadata.name.as_deref().unwrap_or_default()),
        };
        let current = condition(self.status, PROGRESSING).cloned();
        let settled = current.as_ref().is_some_and(|c| c.reason.as_deref() == Some(NEW_SET_AVAILABLE));
        if status.replicas == status.updated_replicas && settled {
            return;
        }
        if is_complete(self.deployment, status, self.generation) {
            let message = format!("{subject} has successfully progressed.");
            self.set(status, PROGRESSING, "True", NEW_SET_AVAILABLE, message);
        } else if self.has_progressed(status) {
            let message = format!("{subject} is progressing.");
            let mut fresh = self.condition(PROGRESSING, "True", "ReplicaSetUpdated", message);
            // Written again although its reason is the same: its time of update is what the deadline counts from.
            if let Some(current) = current.filter(|c| c.status == "True") {
                fresh.last_transition_time = current.last_transition_time;
            }
            remove(status, PROGRESSING);
            status.conditions.get_or_insert_default().push(fresh);
        } else if self.has_timed_out(status, deadline) {
            let message = format!("{subject} has timed out progressing.");
            self.set(status, PROGRESSING, "False", TIMED_OUT, message);
        }
    }

    fn has_progressed(&self, status: &DeploymentStatus) -> bool {
        let old = |s: &DeploymentStatus| s.replicas.unwrap_or(0) - s.updated_replicas.unwrap_or(0);
        let more = |of: fn(&DeploymentStatus) -> Option<i32>| of(status).unwrap_or(0) > of(self.status).unwrap_or(0);
        more(|s| s.updated_replicas)
            || old(status) < old(self.status)
            || more(|s| s.ready_replicas)
            || more(|s| s.available_replicas)
    }

    fn has_timed_out(&self, status: &DeploymentStatus, deadline: i32) -> bool {
        let Some(current) = condition(status, PROGRESSING) else { return false };
        match current.reason.as_deref() {
            Some(NEW_SET_AVAILABLE) => false,
            Some(TIMED_OUT) => true,
            _ => updated(current).is_some_and(|at| self.now.duration_since(at) > seconds(deadline)),
        }
    }

    fn report_failures(&self, status: &mut DeploymentStatus, sets: &[Set], new: Option<usize>) {
        let failure = |set: &Set| set.status.conditions.iter().flatten().find(|c| c.type_ == REPLICA_FAILURE).cloned();
        let found = new.and_then(|i| failure(&sets[i])).or_else(|| sets.iter().find_map(failure));
        match found {
            None => remove(status, REPLICA_FAILURE),
            Some(found) => {
                let reason = found.reason.unwrap_or_default();
                self.set(status, REPLICA_FAILURE, &found.status, &reason, found.message.unwrap_or_default());
            }
        }
    }

    /// Says that a Deployment was paused or resumed, so that time spent paused does not count towards the deadline.
    pub fn note_pause(&self, status: &mut DeploymentStatus) -> bool {
        let current = condition(status, PROGRESSING).and_then(|c| c.reason.as_deref());
        if deadline(self.deployment).is_none() || current == Some(TIMED_OUT) {
            return false;
        }
        let paused = self.deployment.spec.as_ref().and_then(|s| s.paused).unwrap_or(false);
        let (reason, message) = match (paused, current == Some(PAUSED)) {
            (true, false) => (PAUSED, "Deployment is paused"),
            (false, true) => ("DeploymentResumed", "Deployment is resumed"),
            _ => return false,
        };
        self.set(status, PROGRESSING, "Unknown", reason, message.to_owned());
        true
    }

    /// Sets a condition, unless it says that already. The transition time is kept while the status stays.
    pub fn set(&self, status: &mut DeploymentStatus, kind: &str, value: &str, reason: &str, message: String) {
        let mut fresh = self.condition(kind, value, reason, message);
        if let Some(current) = condition(status, kind) {
            if current.status == value && current.reason.as_deref() == Some(reason) {
                return;
            }
            if current.status == value {
                fresh.last_transition_time = current.last_transition_time.clone();
            }
        }
        remove(status, kind);
        status.conditions.get_or_insert_default().push(fresh);
    }

    fn condition(&self, kind: &str, value: &str, reason: &str, message: String) -> DeploymentCondition {
        DeploymentCondition {
            type_: kind.to_owned(),
            status: value.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: Some(Time(self.now)),
            last_update_time: Some(Time(self.now)),
        }
    }

    /// When a rollout that stands still is to be looked at again, to see whether its deadline has passed.
    pub fn next_look(&self, status: &DeploymentStatus) -> Option<Duration> {
        let deadline = deadline(self.deployment)?;
        let current = condition(status, PROGRESSING)?;
        let over = current.reason.as_deref() == Some(TIMED_OUT);
        if over || is_complete(self.deployment, status, self.generation) {
            return None;
        }
        // A second more than the deadline, because times in conditions are whole seconds.
        let at = updated(current)?.saturating_add(seconds(deadline.saturating_add(1))).ok()?;
        let left = at.duration_since(self.now).max(SignedDuration::from_secs(1));
        Duration::try_from(left).ok()
    }
}

/// All pods are of the new template, available, and no others exist.
pub fn is_complete(deployment: &Deployment, status: &DeploymentStatus, generation: i64) -> bool {
    let wanted = Bounds::of(deployment).wanted;
    let is = |count: Option<i32>| count.unwrap_or(0) == wanted;
    is(status.updated_replicas)
        && is(status.replicas)
        && is(status.available_replicas)
        && status.observed_generation.unwrap_or(0) >= generation
}

fn remove(status: &mut DeploymentStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|c| c.type_ != kind);
    }
    status.conditions.take_if(|c| c.is_empty());
}

fn updated(condition: &DeploymentCondition) -> Option<Timestamp> {
    condition.last_update_time.as_ref().map(|t| t.0)
}

fn seconds(seconds: i32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(seconds))
}

/// Counts of zero are left out of a status, as Kubernetes does.
fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
