//! The status of a ReplicaSet: counts of its pods, and the condition ReplicaFailure. Pure.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::cluster::controllers::pods;

const REPLICA_FAILURE: &str = "ReplicaFailure";

/// A pod could not be made or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFailure {
    pub reason: &'static str,
    pub message: String,
}

/// The pods that a ReplicaSet controls and that match its selector.
#[derive(Debug, Default)]
pub struct Pods {
    pub active: Vec<Arc<Pod>>,
    /// On their way out, and still running.
    pub terminating: usize,
}

pub fn report(
    set: &ReplicaSet,
    generation: i64,
    pods: &Pods,
    failure: Option<&PodFailure>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let spec = set.spec.as_ref();
    let min_ready = spec.and_then(|s| s.min_ready_seconds).unwrap_or(0);
    let template = spec.and_then(|s| s.template.as_ref()?.metadata.as_ref()?.labels.as_ref());
    let labelled = |pod: &Pod| {
        let labels = pod.metadata.labels.as_ref();
        template.is_none_or(|wanted| wanted.iter().all(|(k, v)| labels.and_then(|l| l.get(k)) == Some(v)))
    };
    let count = |holds: &dyn Fn(&Pod) -> bool| {
        let count = pods.active.iter().filter(|pod| holds(pod)).count();
        number(count)
    };
    let before = set.status.as_ref();
    let mut conditions = before.and_then(|s| s.conditions.clone()).unwrap_or_default();
    let known = conditions.iter().any(|c| c.type_ == REPLICA_FAILURE);
    match failure {
        // The first failure stays described: its message need not change with each pod's name.
        Some(failure) if !known => conditions.push(ReplicaSetCondition {
            type_: REPLICA_FAILURE.to_owned(),
            status: "True".to_owned(),
            reason: Some(failure.reason.to_owned()),
            message: Some(failure.message.clone()),
            last_transition_time: Some(Time(now)),
        }),
        Some(_) => {}
        None => conditions.retain(|c| c.type_ != REPLICA_FAILURE),
    }
    ReplicaSetStatus {
        replicas: number(pods.active.len()),
        fully_labeled_replicas: nonzero(count(&labelled)),
        ready_replicas: nonzero(count(&pods::is_ready)),
        available_replicas: nonzero(count(&|pod| is_available(pod, min_ready, now))),
        terminating_replicas: Some(number(pods.terminating)),
        observed_generation: Some(generation),
        conditions: (!conditions.is_empty()).then_some(conditions),
    }
}

/// When the next of the ready pods becomes available merely by staying ready.
pub fn next_available(set: &ReplicaSet, pods: &Pods, now: Timestamp) -> Option<Duration> {
    let min_ready = set.spec.as_ref().and_then(|s| s.min_ready_seconds).unwrap_or(0);
    let due = pods.active.iter().filter_map(|pod| pods::available_at(pod, min_ready)).filter(|at| *at > now).min()?;
    Duration::try_from(due.duration_since(now).max(SignedDuration::ZERO)).ok()
}

fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    pods::available_at(pod, min_ready_seconds).is_some_and(|at| at <= now)
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
