//! Turns two measurements of a node into what is used. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ContainerUsage, NodeUsage, PodUsage, Usage};
use crate::streams::{MeasuredContainer, Measurement};

/// Two counters closer together than this say more of the clock than of the load.
const LEAST_WINDOW: Duration = Duration::from_millis(500);

/// What `node` and its pods have used between two measurements. A pod is left out while one of its containers has run
/// for one of them only: its sum would be wrong.
pub fn between(node: &str, before: &Measurement, after: &Measurement) -> (Option<NodeUsage>, Vec<PodUsage>) {
    let window = after.at.duration_since(before.at).unsigned_abs();
    let own = before.node_cpu_nanoseconds.zip(after.node_cpu_nanoseconds).and_then(|(then, now)| {
        let cpu_nanocores = per_second(then, now, window)?;
        let usage = Usage { cpu_nanocores, memory_bytes: after.node_memory_bytes? };
        Some(NodeUsage { name: node.to_owned(), timestamp: after.at, window, usage })
    });
    let earlier: BTreeMap<&str, &MeasuredContainer> = before.containers.iter().map(|c| (c.id.as_str(), c)).collect();
    let mut pods: BTreeMap<(&str, &str), Option<PodUsage>> = BTreeMap::new();
    for container in &after.containers {
        let usage = earlier.get(container.id.as_str()).and_then(|before| {
            let window = container.at.duration_since(before.at).unsigned_abs();
            let cpu_nanocores = per_second(before.cpu_nanoseconds, container.cpu_nanoseconds, window)?;
            Some(Usage { cpu_nanocores, memory_bytes: container.memory_bytes })
        });
        let pod = pods.entry((&container.namespace, &container.pod)).or_insert_with(|| {
            Some(PodUsage {
                namespace: container.namespace.clone(),
                name: container.pod.clone(),
                uid: container.pod_uid.clone(),
                timestamp: after.at,
                window,
                containers: Vec::new(),
            })
        });
        match (usage, pod.as_mut()) {
            (Some(usage), Some(pod)) => {
                pod.containers.push(ContainerUsage { name: container.container.clone(), usage });
                pod.containers.sort_by(|a, b| a.name.cmp(&b.name));
            }
            _ => *pod = None,
        }
    }
    (own, pods.into_values().flatten().collect())
}

/// `None` for a counter that went back: it began again.
fn per_second(before: u64, after: u64, window: Duration) -> Option<u64> {
    let used = u128::from(after.checked_sub(before)?);
    let window = Some(window).filter(|window| *window >= LEAST_WINDOW)?;
    u64::try_from(used * 1_000_000_000 / window.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn container(id: &str, pod: &str, second: i64, cpu: u64) -> MeasuredContainer {
        MeasuredContainer {
            id: id.into(),
            namespace: "d".into(),
            pod: pod.into(),
            pod_uid: "u".into(),
            container: format!("c-{id}"),
            at: Timestamp::from_second(second).unwrap(),
            cpu_nanoseconds: cpu,
            memory_bytes: 1 << 20,
        }
    }

    fn measurement(second: i64, cpu: u64, containers: Vec<MeasuredContainer>) -> Measurement {
        Measurement {
            at: Timestamp::from_second(second).unwrap(),
            node_cpu_nanoseconds: Some(cpu),
            node_memory_bytes: Some(5 << 30),
            containers,
        }
    }

    #[test]
    fn counters_become_rates_over_their_window() {
        let second = 1_000_000_000;
        let before = measurement(0, 0, vec![container("1", "web", 0, 0), container("2", "new", 0, 7)]);
        let containers =
            vec![container("1", "web", 10, 5 * second), container("2", "new", 10, 7), container("3", "new", 10, 1)];
        let (node, pods) = between("n1", &before, &measurement(10, 20 * second, containers));
        let node = node.unwrap();
        assert_eq!((node.usage.cpu_nanocores, node.window), (2 * second, Duration::from_secs(10)));
        assert_eq!(pods.len(), 1, "a pod with a container that has just started waits: {pods:?}");
        assert_eq!(pods[0].containers[0].usage.cpu_nanocores, second / 2);
    }

    #[test]
    fn a_counter_that_began_again_is_no_rate() {
        let before = measurement(0, 10, vec![container("1", "web", 0, 10)]);
        let (node, pods) = between("n1", &before, &measurement(10, 5, vec![container("1", "web", 10, 5)]));
        assert_eq!((node, pods), (None, vec![]));
        let (node, _) = between("n1", &before, &measurement(0, 20, vec![]));
        assert_eq!(node, None, "no time has passed");
    }
}
