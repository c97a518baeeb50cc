//! Pods that want to be near other pods, or apart from them.
//! (Kubernetes documentation, "Inter-pod affinity and anti-affinity".)

use std::collections::HashMap;

use super::super::framework::{Check, Filter, MOST, Rejection, Score, Wake};
use super::super::node::NodeInfo;
use super::super::pod::PodInfo;
use super::super::selectors::PodTerm;
use super::super::view::ClusterView;

/// A value of a topology label: `("topology.kubernetes.io/zone", "a")`.
type Place<'a> = (&'a str, &'a str);

pub struct Required;

impl Filter for Required {
    fn prepare<'a>(&self, pod: &'a PodInfo, view: &'a ClusterView) -> Option<Box<dyn Check + 'a>> {
        let near = Terms::of(&pod.affinity, pod, view);
        let apart = Terms::of(&pod.anti_affinity, pod, view);
        let repelled = repelled(pod, view);
        if near.terms.is_empty() && apart.terms.is_empty() && repelled.is_empty() {
            return None;
        }
        Some(Box::new(Rules { pod, near, apart, repelled, view }))
    }

    fn turned_by(&self) -> Wake {
        Wake::NODE.or(Wake::FREED).or(Wake::PODS)
    }
}

struct Rules<'a> {
    pod: &'a PodInfo,
    near: Terms<'a>,
    apart: Terms<'a>,
    /// Places that a pod there wants to itself.
    repelled: HashMap<Place<'a>, i64>,
    view: &'a ClusterView,
}

/// Terms with the pods that match them, by place.
struct Terms<'a> {
    terms: &'a [PodTerm],
    matched: HashMap<Place<'a>, i64>,
}

impl<'a> Terms<'a> {
    fn of(terms: &'a [PodTerm], pod: &PodInfo, view: &'a ClusterView) -> Self {
        let mut matched = HashMap::new();
        if terms.is_empty() {
            return Self { terms, matched };
        }
        for node in &view.nodes {
            for term in terms {
                let Some(place) = place(term, node) else { continue };
                let others = node.pods.iter().filter(|other| other.uid != pod.uid && is_about(term, other, view));
                let count = i64::try_from(others.count()).unwrap_or(i64::MAX);
                if count > 0 {
                    *matched.entry(place).or_default() += count;
                }
            }
        }
        Self { terms, matched }
    }

    fn met(&self, term: &PodTerm, node: &NodeInfo) -> bool {
        place(term, node).is_some_and(|place| self.matched.contains_key(&place))
    }
}

fn place<'a>(term: &PodTerm, node: &'a NodeInfo) -> Option<Place<'a>> {
    node.spec.labels.get_key_value(&term.topology).map(|(key, value)| (key.as_str(), value.as_str()))
}

fn is_about(term: &PodTerm, pod: &PodInfo, view: &ClusterView) -> bool {
    term.matches(&pod.key.namespace, &pod.labels, &view.namespaces)
}

fn repelled<'a>(pod: &PodInfo, view: &'a ClusterView) -> HashMap<Place<'a>, i64> {
    let mut places = HashMap::new();
    if view.with_terms == 0 {
        return places;
    }
    for node in view.nodes.iter().filter(|node| node.with_terms > 0) {
        for other in node.pods.iter().filter(|other| other.uid != pod.uid) {
            for term in other.anti_affinity.iter().filter(|term| is_about(term, pod, view)) {
                if let Some(place) = place(term, node) {
                    *places.entry(place).or_default() += 1;
                }
            }
        }
    }
    places
}

impl Check for Rules<'_> {
    fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        let all_near = self.near.terms.iter().all(|term| self.near.met(term, node));
        if !all_near && !self.is_first_of_its_kind(node) {
            return Err(Rejection::lasting("node(s) didn't match pod affinity rules"));
        }
        if self.apart.terms.iter().any(|term| self.apart.met(term, node)) {
            return Err(Rejection::of_pods("node(s) didn't match pod anti-affinity rules"));
        }
        let labels = &node.spec.labels;
        if self.repelled.keys().any(|(key, value)| labels.get(*key).is_some_and(|own| own == value)) {
            return Err(Rejection::of_pods("node(s) didn't satisfy existing pods anti-affinity rules"));
        }
        Ok(())
    }
}

impl Rules<'_> {
    /// A pod that wants to be near its own kind may be the first of it, or none could ever start.
    fn is_first_of_its_kind(&self, node: &NodeInfo) -> bool {
        self.near.matched.is_empty()
            && self.near.terms.iter().all(|term| is_about(term, self.pod, self.view) && place(term, node).is_some())
    }
}

pub struct Preferred;

impl Score for Preferred {
    fn weight(&self) -> i64 {
        2
    }

    fn score(&self, pod: &PodInfo, view: &ClusterView, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
        if pod.preferred_pods.is_empty() && view.with_terms == 0 {
            return None;
        }
        let mut places: HashMap<Place, i64> = HashMap::new();
        for node in &view.nodes {
            if pod.preferred_pods.is_empty() && node.with_terms == 0 {
                continue;
            }
            for other in &node.pods {
                let wished = pod.preferred_pods.iter().filter(|(_, term)| is_about(term, other, view));
                // What the pods there wish for counts too; a firm wish of theirs to be near counts as 1.
                let returned = other.preferred_pods.iter().filter(|(_, term)| is_about(term, pod, view));
                let firm = other.affinity.iter().filter(|term| is_about(term, pod, view)).map(|term| (1, term));
                let weighed = wished.chain(returned).map(|(weight, term)| (*weight, term)).chain(firm);
                for (weight, term) in weighed {
                    if let Some(place) = place(term, node) {
                        *places.entry(place).or_default() += weight;
                    }
                }
            }
        }
        if places.is_empty() {
            return None;
        }
        let sum = |node: &&NodeInfo| {
            let here = |((key, value), weight): (&Place, &i64)| {
                node.spec.labels.get(*key).filter(|own| own.as_str() == *value).map(|_| *weight)
            };
            places.iter().filter_map(here).sum::<i64>()
        };
        let sums: Vec<i64> = nodes.iter().map(sum).collect();
        let (most, least) = (sums.iter().copied().max()?, sums.iter().copied().min()?);
        (most > least).then(|| sums.iter().map(|sum| MOST * (sum - least) / (most - least)).collect())
    }
}
