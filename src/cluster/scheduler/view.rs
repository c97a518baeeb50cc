//! The cluster as one placement sees it: immutable, and cheap to copy with a change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::node::NodeInfo;
use super::pod::PodInfo;
use super::selectors::Labels;

/// All nodes with their pods, in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct ClusterView {
    pub nodes: Vec<Arc<NodeInfo>>,
    /// Labels of the namespaces, for terms that select by them.
    pub namespaces: Arc<BTreeMap<String, Labels>>,
    /// Pods that wait for room that was made for them on a node.
    pub nominated: Arc<BTreeMap<String, Vec<Arc<PodInfo>>>>,
    /// Where the pods of each workload are, by its uid: so that spreading them does not look at all nodes.
    pub workloads: Arc<HashMap<String, Fellows>>,
    /// Pods on nodes that say something about other pods: without any, nobody has to look for them.
    pub with_terms: usize,
    /// Where the search begins when not all nodes are looked at, so that all get their turn.
    pub start: usize,
}

/// How many pods of one workload are in each place that has some.
#[derive(Clone, Debug, Default)]
pub struct Fellows {
    pub on_nodes: HashMap<String, i64>,
    /// Those on nodes that are known and name their zone.
    pub in_zones: BTreeMap<String, i64>,
}

impl ClusterView {
    pub fn position(&self, node: &str) -> Result<usize, usize> {
        self.nodes.binary_search_by(|info| info.name().cmp(node))
    }

    pub fn node(&self, name: &str) -> Option<&Arc<NodeInfo>> {
        self.nodes.get(self.position(name).ok()?)
    }

    /// The same cluster with another state of one node.
    pub fn with(&self, node: NodeInfo) -> Self {
        let mut changed = self.clone();
        if let Ok(index) = changed.position(node.name()) {
            changed.with_terms = changed.with_terms - changed.nodes[index].with_terms + node.with_terms;
            changed.nodes[index] = Arc::new(node);
        }
        changed
    }
}
