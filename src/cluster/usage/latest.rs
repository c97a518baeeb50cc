//! The latest figures, one entry a pod and a node. Readers get a snapshot and never wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

/// An average over a window, and a level at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Billionths of a processor, on average over the window.
    pub cpu_nanocores: u64,
    /// The working set: what the kernel cannot take back without hurting.
    pub memory_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUsage {
    pub name: String,
    pub usage: Usage,
}

/// (Kubernetes API, `metrics.k8s.io` `PodMetrics`.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodUsage {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// The end of the window.
    pub timestamp: Timestamp,
    pub window: Duration,
    pub containers: Vec<ContainerUsage>,
}

impl PodUsage {
    pub fn total(&self) -> Usage {
        self.containers.iter().fold(Usage::default(), |sum, container| Usage {
            cpu_nanocores: sum.cpu_nanocores.saturating_add(container.usage.cpu_nanocores),
            memory_bytes: sum.memory_bytes.saturating_add(container.usage.memory_bytes),
        })
    }

    pub fn container(&self, name: &str) -> Option<Usage> {
        self.containers.iter().find(|container| container.name == name).map(|container| container.usage)
    }
}

/// (Kubernetes API, `metrics.k8s.io` `NodeMetrics`.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUsage {
    pub name: String,
    pub timestamp: Timestamp,
    pub window: Duration,
    pub usage: Usage,
}

/// The figures of one node: its own, and those of the pods on it.
#[derive(Clone, Debug, Default)]
struct OfNode {
    node: Option<Arc<NodeUsage>>,
    pods: BTreeMap<(String, String), Arc<PodUsage>>,
}

/// The latest figures. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Usages {
    nodes: Arc<ArcSwap<BTreeMap<String, Arc<OfNode>>>>,
}

impl Usages {
    /// Puts what was measured on a node in the place of what was known of it; a test scripts figures with this.
    pub fn record(&self, node: &str, own: Option<NodeUsage>, pods: Vec<PodUsage>) {
        let by_name = pods.into_iter().map(|pod| ((pod.namespace.clone(), pod.name.clone()), Arc::new(pod)));
        let of_node = Arc::new(OfNode { node: own.map(Arc::new), pods: by_name.collect() });
        self.nodes.rcu(|nodes| {
            let mut next = BTreeMap::clone(nodes);
            next.insert(node.to_owned(), of_node.clone());
            next
        });
    }

    /// Forgets a node that no longer answers: old figures would be taken for present ones.
    pub fn forget(&self, node: &str) {
        self.nodes.rcu(|nodes| {
            let mut next = BTreeMap::clone(nodes);
            next.remove(node);
            next
        });
    }

    /// `None`: not measured (yet), or its node does not answer.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<Arc<PodUsage>> {
        let key = (namespace.to_owned(), name.to_owned());
        self.nodes.load().values().filter_map(|of_node| of_node.pods.get(&key)).max_by_key(|pod| pod.timestamp).cloned()
    }

    pub fn node(&self, name: &str) -> Option<Arc<NodeUsage>> {
        self.nodes.load().get(name)?.node.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, second: i64, cpu: u64) -> PodUsage {
        let usage = Usage { cpu_nanocores: cpu, memory_bytes: 10 };
        PodUsage {
            namespace: "d".into(),
            name: name.into(),
            uid: "u".into(),
            timestamp: Timestamp::from_second(second).unwrap(),
            window: Duration::from_secs(15),
            containers: vec![ContainerUsage { name: "a".into(), usage }, ContainerUsage { name: "b".into(), usage }],
        }
    }

    #[test]
    fn a_node_that_is_forgotten_takes_its_pods_along() {
        let usages = Usages::default();
        usages.record("n1", None, vec![pod("web", 1, 5)]);
        usages.record("n2", None, vec![pod("web", 2, 7), pod("db", 2, 1)]);
        let total = |name: &str| usages.pod("d", name).map(|pod| pod.total().cpu_nanocores);
        assert_eq!(total("web"), Some(14), "the newest counts");
        usages.record("n2", None, vec![pod("web", 3, 9)]);
        assert_eq!((total("web"), total("db")), (Some(18), None), "a node's figures replace its earlier ones");
        usages.forget("n2");
        assert_eq!(total("web"), Some(10));
        assert_eq!(usages.pod("d", "web").unwrap().container("b").unwrap().memory_bytes, 10);
        usages.forget("n1");
        assert_eq!(total("web"), None);
    }
}
