//! The order in which a ReplicaSet gives up pods: those first that are missed least. Pure.
//! (Kubernetes documentation, "ReplicaSet: scaling a ReplicaSet".)

use std::cmp::Reverse;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::cluster::controllers::pods;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// A key that sorts the pods to delete first.
///
/// In this order: not assigned to a node, pending, not ready, cheap to delete, on a node with many pods of the same
/// workload, ready for a shorter time, restarted more often, younger. Times are compared by powers of two of
/// their age, so that scaling down does not always hit the newest failure domain; equal ones go by uid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    assigned: bool,
    phase: u8,
    ready: bool,
    cost: i32,
    company: Reverse<usize>,
    ready_age: i32,
    restarts: Reverse<i32>,
    sidecar_restarts: Reverse<i32>,
    age: i32,
    uid: String,
}

impl Rank {
    /// `company` is the number of active pods of the workload on the pod's node.
    pub fn of(pod: &Pod, company: usize, now: Timestamp) -> Self {
        let created = pod.metadata.creation_timestamp.as_ref().map(|t| t.0);
        Self {
            assigned: node(pod).is_some(),
            phase: match pods::phase(pod) {
                "Pending" => 0,
                "Unknown" => 1,
                _ => 2,
            },
            ready: pods::is_ready(pod),
            cost: cost(pod),
            company: Reverse(company),
            ready_age: pods::ready_since(pod).map_or(0, |since| magnitude(since, now)),
            restarts: Reverse(restarts(pod, Containers::Regular)),
            sidecar_restarts: Reverse(restarts(pod, Containers::Sidecars)),
            age: created.map_or(0, |created| magnitude(created, now)),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
        }
    }
}

pub fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|n| !n.is_empty())
}

fn cost(pod: &Pod) -> i32 {
    let text = pod.metadata.annotations.as_ref().and_then(|a| a.get(DELETION_COST));
    text.and_then(|t| t.parse().ok()).unwrap_or(0)
}

/// The power of two, in nanoseconds, of the time since `then`: 8 s and 15 s are different, 9 s and 15 s are not.
fn magnitude(then: Timestamp, now: Timestamp) -> i32 {
    let passed = now.duration_since(then).as_nanos();
    i32::try_from(u128::try_from(passed).unwrap_or(0).checked_ilog2().unwrap_or(0)).unwrap_or(0)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Containers {
    Regular,
    /// Init containers that are restarted always.
    Sidecars,
}

fn restarts(pod: &Pod, which: Containers) -> i32 {
    let Some(status) = &pod.status else { return 0 };
    let (statuses, of_interest): (_, Vec<&str>) = match which {
        Containers::Regular => (&status.container_statuses, Vec::new()),
        Containers::Sidecars => (&status.init_container_statuses, sidecars(pod)),
    };
    let counted =
        statuses.iter().flatten().filter(|s| which == Containers::Regular || of_interest.contains(&s.name.as_str()));
    counted.map(|s| s.restart_count).max().unwrap_or(0)
}

fn sidecars(pod: &Pod) -> Vec<&str> {
    let init = pod.spec.iter().flat_map(|s| s.init_containers.iter().flatten());
    init.filter(|c| c.restart_policy.as_deref() == Some("Always")).map(|c| c.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-01T01:00:00Z";

    fn pod(node: Option<&str>, phase: &str, ready_since: Option<&str>) -> Value {
        let mut pod = json!({"metadata": {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"containers": []}, "status": {"phase": phase}});
        if let Some(node) = node {
            pod["spec"]["nodeName"] = json!(node);
        }
        if let Some(since) = ready_since {
            pod["status"]["conditions"] = json!([{"type": "Ready", "status": "True", "lastTransitionTime": since}]);
        }
        pod
    }

    fn with(mut pod: Value, pointer: &str, value: Value) -> Value {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        pod.pointer_mut(parent).unwrap()[name] = value;
        pod
    }

    #[test]
    fn each_pod_goes_before_the_next() {
        let early = Some("2026-01-01T00:00:00Z");
        let ready = || pod(Some("n"), "Running", early);
        let restarted = json!([{"name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 3}]);
        // Each with how many of the workload's pods are on its node.
        let order = [
            (pod(None, "Pending", None), 1),
            (pod(Some("n"), "Pending", None), 1),
            (pod(Some("n"), "Unknown", None), 1),
            (pod(Some("n"), "Running", None), 1),
            (with(ready(), "/metadata/annotations", json!({DELETION_COST: "-5"})), 1),
            (ready(), 3),
            (pod(Some("n"), "Running", Some("2026-01-01T00:59:00Z")), 1),
            (with(ready(), "/status/containerStatuses", restarted), 1),
            (with(ready(), "/metadata/creationTimestamp", json!("2026-01-01T00:58:00Z")), 1),
            (ready(), 1),
            (with(ready(), "/metadata/annotations", json!({DELETION_COST: "7"})), 9),
        ];
        let now = NOW.parse().unwrap();
        let ranks: Vec<Rank> = order
            .iter()
            .map(|(p, company)| Rank::of(&serde_json::from_value(p.clone()).unwrap(), *company, now))
            .collect();
        for (index, pair) in ranks.windows(2).enumerate() {
            assert!(pair[0] < pair[1], "{index}: {:?} {:?}", pair[0], pair[1]);
        }
    }

    #[test]
    fn ages_that_differ_little_are_equal() {
        let now: Timestamp = NOW.parse().unwrap();
        let ago = |seconds: i64| magnitude(now - jiff::SignedDuration::from_secs(seconds), now);
        assert_eq!(ago(10), ago(15));
        assert!(ago(8) < ago(18));
        assert_eq!(ago(0), ago(-5));
    }
}
