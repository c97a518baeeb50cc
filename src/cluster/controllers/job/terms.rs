//! What a Job asks for, read once with its defaults, and what a pod says of its place in the Job. Pure.

use k8s_openapi::api::batch::v1::{Job, JobSpec, PodFailurePolicy};
use k8s_openapi::api::core::v1::Pod;

use super::failure::{self, Failure};
use crate::cluster::controllers::pods;

/// On each pod until it is counted.
pub const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// The annotation and the label of a pod's completion index.
pub const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// How many pods of the index failed before this one, and how many of those did not count.
pub const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
pub const INDEX_IGNORED_FAILURES: &str = "batch.kubernetes.io/job-index-ignored-failure-count";
/// `spec.managedBy` of Jobs that are ours.
const OURSELVES: &str = "kubernetes.io/job-controller";

#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub spec: &'a JobSpec,
    /// `None`: one success is enough, whichever pod has it.
    pub completions: Option<i32>,
    pub parallelism: i32,
    pub backoff_limit: i32,
    pub indexed: bool,
    pub suspended: bool,
    /// Pods on their way out are replaced only when they have failed.
    pub replaces_failed_only: bool,
}

impl<'a> Terms<'a> {
    pub fn of(spec: &'a JobSpec) -> Self {
        let replacement = spec.pod_replacement_policy.as_deref();
        Self {
            spec,
            completions: spec.completions,
            parallelism: spec.parallelism.unwrap_or(1),
            backoff_limit: spec.backoff_limit.unwrap_or(6),
            indexed: spec.completion_mode.as_deref() == Some("Indexed"),
            suspended: spec.suspend.unwrap_or(false),
            replaces_failed_only: replacement == Some("Failed") || spec.pod_failure_policy.is_some(),
        }
    }

    pub fn policy(&self) -> Option<&'a PodFailurePolicy> {
        self.spec.pod_failure_policy.as_ref()
    }

    /// The number of completions of an indexed Job.
    pub fn end(&self) -> Option<i32> {
        self.indexed.then(|| self.completions.unwrap_or(0))
    }

    /// The index of a pod, if it is one of the Job's.
    pub fn index(&self, pod: &Pod) -> Option<i32> {
        index_of(pod).filter(|index| self.end().is_some_and(|end| *index < end))
    }

    /// The pod has a place in the Job: only then its end counts.
    pub fn is_valid(&self, pod: &Pod) -> bool {
        !self.indexed || self.index(pod).is_some()
    }

    /// A deleted pod may never come to report how it ended: unless the Job waits for that, it counts as failed.
    pub fn is_failed(&self, pod: &Pod) -> bool {
        match pods::phase(pod) {
            "Failed" => true,
            "Succeeded" => false,
            _ => !self.replaces_failed_only && pods::is_deleting(pod),
        }
    }

    pub fn judge(&self, pod: &Pod) -> Failure {
        failure::judge(self.policy(), pod)
    }
}

/// Somebody else looks after the Job.
pub fn is_managed_elsewhere(job: &Job) -> bool {
    let by = job.spec.as_ref().and_then(|spec| spec.managed_by.as_deref());
    by.is_some_and(|by| by != OURSELVES)
}

pub fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == TRACKING)
}

pub fn index_of(pod: &Pod) -> Option<i32> {
    number(pod, INDEX)
}

/// Failures of the index before this pod: those that counted, and those that did not.
pub fn index_failures(pod: &Pod) -> (u32, u32) {
    let count = |name| number(pod, name).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    (count(INDEX_FAILURES), count(INDEX_IGNORED_FAILURES))
}

fn number(pod: &Pod, annotation: &str) -> Option<i32> {
    let text = pod.metadata.annotations.as_ref()?.get(annotation)?;
    text.parse().ok().filter(|number| *number >= 0)
}
