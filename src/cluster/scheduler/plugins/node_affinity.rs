//! `nodeSelector` and node affinity.

use std::collections::BTreeSet;

use super::super::framework::{Check, Filter, Rejection, Score, Wake, stretched};
use super::super::node::NodeInfo;
use super::super::pod::PodInfo;
use super::super::view::ClusterView;

pub struct Required;

impl Filter for Required {
    fn prepare<'a>(&self, pod: &'a PodInfo, _: &'a ClusterView) -> Option<Box<dyn Check + 'a>> {
        (!takes_any(pod)).then(|| Box::new(Matches(pod)) as _)
    }

    fn turned_by(&self) -> Wake {
        Wake::NODE
    }
}

/// The pod asks nothing of its node.
pub(super) fn takes_any(pod: &PodInfo) -> bool {
    pod.node_selector.is_empty() && pod.node_terms.is_none()
}

struct Matches<'a>(&'a PodInfo);

impl Check for Matches<'_> {
    fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        match matches(self.0, node) {
            true => Ok(()),
            false => Err(Rejection::lasting("node(s) didn't match Pod's node affinity/selector")),
        }
    }
}

pub(super) fn matches(pod: &PodInfo, node: &NodeInfo) -> bool {
    let labels = &node.spec.labels;
    pod.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        && pod.node_terms.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches(node.name(), labels)))
}

/// The only nodes that the pod can be on, where each of its terms names some: then no others need be looked at.
pub fn named_nodes(pod: &PodInfo) -> Option<BTreeSet<&str>> {
    let terms = pod.node_terms.as_ref().filter(|terms| !terms.is_empty())?;
    let names: Option<Vec<_>> = terms.iter().map(|term| term.names()).collect();
    Some(names?.into_iter().flatten().collect())
}

pub struct Preferred;

impl Score for Preferred {
    fn weight(&self) -> i64 {
        2
    }

    fn score(&self, pod: &PodInfo, _: &ClusterView, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
        if pod.preferred_nodes.is_empty() {
            return None;
        }
        let sum = |node: &&NodeInfo| {
            let met = pod.preferred_nodes.iter().filter(|(_, term)| term.matches(node.name(), &node.spec.labels));
            met.map(|(weight, _)| weight).sum()
        };
        Some(stretched(nodes.iter().map(sum).collect()))
    }
}
