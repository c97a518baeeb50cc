//! Which of its active pods a Job gives up when it has too many. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::terms::index_of;
use crate::cluster::controllers::pods;

/// At least `count` of the active pods. Of an indexed Job with this many `completions` those go first that have no
/// index, one out of range, or one that another pod has as well.
pub fn choose(active: &[Arc<Pod>], completions: Option<i32>, count: usize) -> Vec<Arc<Pod>> {
    let (mut chosen, mut left) = match completions {
        Some(completions) => doubles(active, completions),
        None => (Vec::new(), active.to_vec()),
    };
    if chosen.len() < count {
        left.sort_by_cached_key(|pod| rank(pod));
        let missing = count - chosen.len();
        chosen.extend(left.into_iter().take(missing));
    }
    chosen
}

fn doubles(active: &[Arc<Pod>], completions: i32) -> (Vec<Arc<Pod>>, Vec<Arc<Pod>>) {
    let mut by_index: BTreeMap<Option<i32>, Vec<Arc<Pod>>> = BTreeMap::new();
    for pod in active {
        let index = index_of(pod).filter(|index| *index < completions);
        by_index.entry(index).or_default().push(pod.clone());
    }
    let (mut chosen, mut left) = (Vec::new(), Vec::new());
    for (index, mut pods) in by_index {
        pods.sort_by_cached_key(|pod| rank(pod));
        if index.is_some() {
            left.extend(pods.pop());
        }
        chosen.extend(pods);
    }
    (chosen, left)
}

/// Sorts the pods to delete first: not assigned, pending, not ready, ready for a shorter time, restarted more often,
/// younger.
fn rank(pod: &Pod) -> impl Ord + use<> {
    let assigned = pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref().is_some_and(|n| !n.is_empty()));
    let phase = match pods::phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let restarts = statuses.map(|status| status.restart_count).max().unwrap_or(0);
    let created = pod.metadata.creation_timestamp.as_ref().map(|t| t.0);
    // Later times first: those pods are ready, or there, for a shorter time.
    let (ready_since, created) = (Reverse(pods::ready_since(pod)), Reverse(created));
    let uid = pod.metadata.uid.clone();
    (assigned, phase, pods::is_ready(pod), ready_since, Reverse(restarts), created, uid)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::controllers::job::terms::INDEX;

    fn pod(name: &str, index: Option<&str>, phase: &str) -> Arc<Pod> {
        let annotations = index.map(|index| json!({INDEX: index}));
        Arc::new(
            serde_json::from_value(json!({"metadata": {"name": name, "uid": name, "annotations": annotations},
                "spec": {"nodeName": "n", "containers": []}, "status": {"phase": phase}}))
            .unwrap(),
        )
    }

    #[test]
    fn doubles_and_strays_go_first_and_then_those_that_are_missed_least() {
        let pods = [
            pod("a", Some("0"), "Running"),
            pod("b", Some("0"), "Pending"),
            pod("c", Some("7"), "Running"),
            pod("d", None, "Running"),
            pod("e", Some("1"), "Pending"),
            pod("f", Some("2"), "Running"),
        ];
        let names = |completions, count| {
            let mut names: Vec<String> =
                choose(&pods, completions, count).iter().map(|p| p.metadata.name.clone().unwrap()).collect();
            names.sort_unstable();
            names.join("")
        };
        assert_eq!(names(Some(3), 0), "bcd");
        assert_eq!(names(Some(3), 4), "bcde");
        assert_eq!(names(None, 0), "");
        assert_eq!(names(None, 2), "be");
    }
}
