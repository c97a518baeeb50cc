//! The status of a StatefulSet: counts of its pods, and how far an update is. Pure.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{StatefulSetSpec, StatefulSetStatus};
use k8s_openapi::api::core::v1::Pod;

use super::plan::{Policy, Update, is_of, is_running_and_ready};
use crate::cluster::controllers::pods;

/// The revisions between which a set moves.
#[derive(Clone, Copy, Debug)]
pub struct Revisions<'a> {
    pub current: &'a str,
    pub update: &'a str,
    pub collisions: i32,
}

pub fn report(
    spec: &StatefulSetSpec,
    generation: i64,
    revisions: Revisions<'_>,
    all: &[Arc<Pod>],
    now: Timestamp,
) -> StatefulSetStatus {
    let policy = Policy::of(spec);
    let count =
        |holds: &dyn Fn(&Pod) -> bool| i32::try_from(all.iter().filter(|pod| holds(pod)).count()).unwrap_or(i32::MAX);
    let ready = count(&is_running_and_ready);
    let of = |revision: &str| count(&|pod| !pods::is_deleting(pod) && is_of(pod, revision));
    let available = |pod: &Pod| is_running_and_ready(pod) && pods::is_available(pod, policy.min_ready_seconds, now);
    let replicas = count(&|_| true);
    let updated = of(revisions.update);
    let wanted = spec.replicas.unwrap_or(1);
    // An update is over when every pod is of it and ready.
    let over = policy.update != Update::OnDelete && updated == wanted && ready == wanted && replicas == wanted;
    let (current, current_replicas) = match over {
        true => (revisions.update, updated),
        false => (revisions.current, of(revisions.current)),
    };
    let nonzero = |count: i32| (count != 0).then_some(count);
    StatefulSetStatus {
        observed_generation: Some(generation),
        replicas,
        ready_replicas: nonzero(ready),
        available_replicas: Some(count(&available)),
        current_replicas: nonzero(current_replicas),
        updated_replicas: nonzero(updated),
        current_revision: Some(current.to_owned()),
        update_revision: Some(revisions.update.to_owned()),
        collision_count: Some(revisions.collisions),
        conditions: None,
    }
}

/// When the next of the ready pods becomes available merely by staying ready.
pub fn next_available(min_ready_seconds: i32, all: &[Arc<Pod>], now: Timestamp) -> Option<Duration> {
    let due = all.iter().filter_map(|pod| pods::available_at(pod, min_ready_seconds)).filter(|at| *at > now).min()?;
    Duration::try_from(due.duration_since(now).max(SignedDuration::ZERO)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::identity::REVISION;
    use super::*;

    fn pod(revision: &str, ready: &str, deleting: bool) -> Arc<Pod> {
        let mut pod = json!({"metadata": {"labels": {REVISION: revision}}, "status": {"phase": "Running",
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        if deleting {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn reported(spec: serde_json::Value, all: &[Arc<Pod>]) -> StatefulSetStatus {
        let mut spec = spec;
        spec["selector"] = json!({});
        spec["template"] = json!({});
        let spec = serde_json::from_value(spec).unwrap();
        let revisions = Revisions { current: "old", update: "new", collisions: 0 };
        report(&spec, 7, revisions, all, "2026-01-01T00:00:10Z".parse().unwrap())
    }

    #[test]
    fn an_update_is_over_when_every_pod_is_of_it_and_ready() {
        let under_way = [pod("new", "True", false), pod("old", "True", true)];
        let status = reported(json!({"replicas": 2}), &under_way);
        assert_eq!((status.replicas, status.ready_replicas), (2, Some(2)));
        assert_eq!((status.current_replicas, status.updated_replicas), (None, Some(1)));
        assert_eq!(status.current_revision.as_deref(), Some("old"));

        let done = [pod("new", "True", false), pod("new", "True", false)];
        let status = reported(json!({"replicas": 2}), &done);
        assert_eq!((status.current_replicas, status.current_revision.as_deref()), (Some(2), Some("new")));

        let on_delete = json!({"replicas": 2, "updateStrategy": {"type": "OnDelete"}});
        assert_eq!(reported(on_delete, &done).current_revision.as_deref(), Some("old"));
    }

    #[test]
    fn a_pod_is_available_once_it_has_been_ready_long_enough() {
        let all = [pod("new", "True", false), pod("new", "False", false)];
        for (seconds, available, next) in [(0, 1, None), (10, 1, None), (15, 0, Some(Duration::from_secs(5)))] {
            let status = reported(json!({"replicas": 2, "minReadySeconds": seconds}), &all);
            assert_eq!(status.available_replicas, Some(available), "{seconds}");
            let now = "2026-01-01T00:00:10Z".parse().unwrap();
            assert_eq!(next_available(seconds, &all, now), next, "{seconds}");
        }
    }
}
