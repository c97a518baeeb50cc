//! Whether a Job ends, and of what: limits, policies, and the indexes that are through. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Pod;

use super::{End, Work, failures_before, number};
use crate::cluster::controllers::job::backoff::finished_at;
use crate::cluster::controllers::job::conditions::{self, FAILURE_TARGET, SUCCESS_CRITERIA_MET};
use crate::cluster::controllers::job::failure::Failure;
use crate::cluster::controllers::job::indexes::Indexes;
use crate::cluster::controllers::job::success;
use crate::cluster::controllers::job::terms::{index_failures, index_of, is_tracked};
use crate::cluster::controllers::pods;

impl Work<'_> {
    /// Whether the Job ends, and of what.
    pub(super) fn judge(&mut self) {
        self.end = self.known_end().or_else(|| self.failed_by_policy()).or_else(|| self.past_limits());
        let Some(end) = self.terms.end() else { return };
        self.judge_indexes(end);
        if self.end.is_none()
            && let Some(message) = success::met(self.terms.spec.success_policy.as_ref(), end, &self.indexes)
        {
            self.end = Some(End::new(true, "SuccessPolicy", message));
        }
    }

    /// An earlier run has decided it.
    fn known_end(&self) -> Option<End> {
        let of = |kind: &str, well| {
            let condition = conditions::is_true(&self.status, kind)?;
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            Some(End { well, reason: text(&condition.reason), message: text(&condition.message) })
        };
        of(SUCCESS_CRITERIA_MET, true).or_else(|| of(FAILURE_TARGET, false))
    }

    fn failed_by_policy(&self) -> Option<End> {
        self.terms.policy()?;
        let failed = self.view.pods.iter().filter(|pod| self.terms.is_failed(pod));
        let message = failed.map(|pod| self.terms.judge(pod)).find_map(|failure| match failure {
            Failure::FailsJob { message } => Some(message),
            _ => None,
        })?;
        Some(End::new(false, "PodFailurePolicy", message))
    }

    fn past_limits(&mut self) -> Option<End> {
        let failed = self.view.pods.iter().filter(|pod| is_tracked(pod) && self.terms.is_valid(pod));
        let failed = failed.filter(|pod| self.terms.is_failed(pod) && self.terms.judge(pod).counts()).count();
        if self.status.failed.unwrap_or(0) + number(failed) > self.terms.backoff_limit || self.restarts_too_often() {
            let message = "Job has reached the specified backoff limit";
            return Some(End::new(false, "BackoffLimitExceeded", message));
        }
        let seconds = self.terms.spec.active_deadline_seconds.filter(|_| !self.terms.suspended)?;
        let started = self.status.start_time.as_ref()?.0;
        let left = SignedDuration::from_secs(seconds) - self.view.now.duration_since(started);
        if !left.is_positive() {
            return Some(End::new(false, "DeadlineExceeded", "Job was active longer than specified deadline"));
        }
        self.wake_after(left.unsigned_abs());
        None
    }

    /// Pods that are restarted in place fail that way.
    fn restarts_too_often(&self) -> bool {
        let policy = self.terms.spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
        if policy != Some("OnFailure") {
            return false;
        }
        let alive = self.view.pods.iter().filter(|pod| matches!(pods::phase(pod), "Running" | "Pending"));
        let statuses = alive
            .filter_map(|pod| pod.status.as_ref())
            .flat_map(|status| status.init_container_statuses.iter().chain(&status.container_statuses).flatten());
        let restarts: i32 = statuses.map(|status| status.restart_count).sum();
        restarts > 0 && restarts >= self.terms.backoff_limit
    }

    fn judge_indexes(&mut self, end: i32) {
        let tracked = || self.view.pods.iter().filter(|pod| is_tracked(pod));
        let indexes = |holds: &dyn Fn(&Pod) -> bool| {
            Indexes::of(tracked().filter(|pod| holds(pod)).filter_map(|pod| self.terms.index(pod)))
        };
        self.before = Indexes::parse(self.status.completed_indexes.as_deref().unwrap_or_default(), end);
        self.indexes = self.before.union(&indexes(&|pod| pods::phase(pod) == "Succeeded"));
        self.succeeded = self.indexes.len();
        let Some(limit) = self.terms.spec.backoff_limit_per_index else { return };
        let before = Indexes::parse(self.status.failed_indexes.as_deref().unwrap_or_default(), end);
        let limit = u32::try_from(limit).unwrap_or(0);
        let failed = before.union(&indexes(&|pod| self.fails_index(pod, limit)));
        if self.end.is_none() {
            let most = self.terms.spec.max_failed_indexes;
            if most.is_some_and(|most| failed.len() > most) {
                let message = "Job has exceeded the specified maximal number of failed indexes";
                self.end = Some(End::new(false, "MaxFailedIndexesExceeded", message));
            } else if !failed.is_empty() && failed.len() + self.indexes.len() >= end {
                self.end = Some(End::new(false, "FailedIndexes", "Job has failed indexes"));
            }
        }
        self.predecessors = self.find_predecessors(&failed);
        self.failed_indexes = Some(failed);
    }

    fn fails_index(&self, pod: &Pod, limit: u32) -> bool {
        self.terms.is_failed(pod)
            && match self.terms.judge(pod) {
                Failure::FailsIndex => true,
                failure => failure.counts() && index_failures(pod).0 >= limit,
            }
    }

    fn find_predecessors(&self, failed: &Indexes) -> BTreeMap<i32, Arc<Pod>> {
        let active = Indexes::of(self.active_pods.iter().filter_map(|pod| index_of(pod)));
        let over = active.union(&self.indexes).union(failed);
        let mut last: BTreeMap<i32, Arc<Pod>> = BTreeMap::new();
        for pod in self.view.pods.iter().filter(|pod| is_tracked(pod) && self.terms.is_failed(pod)) {
            let Some(index) = self.terms.index(pod).filter(|index| !over.has(*index)) else { continue };
            let age = |pod: &Pod| (failures_before(pod), finished_at(pod));
            match last.get(&index) {
                Some(known) if age(pod) < age(known) => {}
                _ => drop(last.insert(index, pod.clone())),
            }
        }
        last
    }
}
