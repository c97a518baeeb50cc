//! Spreads pods over places, such as hosts and zones: as the pod's constraints ask, else the pods of one workload
//! over hosts and zones as well as it goes. (Kubernetes documentation, "Pod Topology Spread Constraints".)

use std::collections::{BTreeMap, HashMap};

use super::super::framework::{Check, Filter, MOST, Rejection, Score, Wake};
use super::super::node::NodeInfo;
use super::super::pod::PodInfo;
use super::super::selectors::{Spread, ZONE};
use super::super::view::{ClusterView, Fellows};
use super::{node_affinity, taints};

const HOST: &str = "kubernetes.io/hostname";

/// `DoNotSchedule`: no place gets more than `maxSkew` pods above the emptiest.
pub struct Skew;

impl Filter for Skew {
    fn prepare<'a>(&self, pod: &'a PodInfo, view: &'a ClusterView) -> Option<Box<dyn Check + 'a>> {
        let required: Vec<&Spread> = pod.spread.iter().filter(|spread| spread.required).collect();
        if required.is_empty() {
            return None;
        }
        let counted = required.iter().map(|spread| Counted::of(spread, &required, pod, view)).collect();
        Some(Box::new(Skews(counted)))
    }

    fn turned_by(&self) -> Wake {
        Wake::NODE.or(Wake::FREED).or(Wake::PODS)
    }
}

struct Skews<'a>(Vec<Counted<'a>>);

struct Counted<'a> {
    spread: &'a Spread,
    /// Pods that the constraint is about, by place.
    places: HashMap<&'a str, i64>,
    /// Of the emptiest place.
    least: i64,
    /// The pod counts itself.
    itself: i64,
}

impl<'a> Counted<'a> {
    fn of(spread: &'a Spread, all: &[&Spread], pod: &PodInfo, view: &'a ClusterView) -> Self {
        let mut places = HashMap::new();
        for node in &view.nodes {
            // A place counts only where all constraints could be met.
            let labelled = all.iter().all(|s| node.spec.labels.contains_key(&s.topology));
            let ruled_out = spread.honours_affinity && !node_affinity::matches(pod, node)
                || spread.honours_taints && !taints::tolerated(pod, node);
            if let Some(place) = node.spec.labels.get(&spread.topology).filter(|_| labelled && !ruled_out) {
                *places.entry(place.as_str()).or_default() += matching(spread, pod, node);
            }
        }
        let enough = i64::try_from(places.len()).unwrap_or(i64::MAX) >= spread.min_domains;
        let least = if enough { places.values().copied().min().unwrap_or_default() } else { 0 };
        Self { spread, places, least, itself: i64::from(spread.selector.matches(&pod.labels)) }
    }
}

fn matching(spread: &Spread, pod: &PodInfo, node: &NodeInfo) -> i64 {
    let counts = |other: &PodInfo| {
        other.key.namespace == pod.key.namespace
            && !other.terminating
            && other.uid != pod.uid
            && spread.selector.matches(&other.labels)
    };
    i64::try_from(node.pods.iter().filter(|other| counts(other)).count()).unwrap_or(i64::MAX)
}

impl Check for Skews<'_> {
    fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        for counted in &self.0 {
            let Some(place) = node.spec.labels.get(&counted.spread.topology) else {
                let reason = "node(s) didn't match pod topology spread constraints (missing required label)";
                return Err(Rejection::lasting(reason));
            };
            let here = counted.places.get(place.as_str()).copied().unwrap_or_default();
            if here + counted.itself - counted.least > counted.spread.max_skew {
                return Err(Rejection::of_pods("node(s) didn't match pod topology spread constraints"));
            }
        }
        Ok(())
    }
}

/// `ScheduleAnyway`, and the default for the pods of a workload: prefers the emptier places.
pub struct Even;

/// One preference for even places.
struct Wish<'a> {
    topology: &'a str,
    max_skew: i64,
    /// `None` for the pods of the same workload.
    spread: Option<&'a Spread>,
}

impl Score for Even {
    fn weight(&self) -> i64 {
        2
    }

    fn score(&self, pod: &PodInfo, view: &ClusterView, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
        let explicit = !pod.spread.is_empty();
        let asked = pod.spread.iter().filter(|spread| !spread.required);
        let mut wishes: Vec<Wish> = asked.map(Wish::of).collect();
        if !explicit && pod.controller.is_some() {
            wishes.push(Wish { topology: HOST, max_skew: 3, spread: None });
            wishes.push(Wish { topology: ZONE, max_skew: 5, spread: None });
        }
        wishes.retain(|wish| nodes.iter().any(|node| node.spec.labels.contains_key(wish.topology)));
        if wishes.is_empty() {
            return None;
        }
        let mut sums = vec![Some(0.0); nodes.len()];
        for wish in &wishes {
            wish.add_to(&mut sums, pod, view, nodes, explicit);
        }
        Some(inverted(&sums))
    }
}

impl<'a> Wish<'a> {
    fn of(spread: &'a Spread) -> Self {
        Self { topology: &spread.topology, max_skew: spread.max_skew, spread: Some(spread) }
    }

    /// Adds what is in each node's place. A node that lacks a label that the pod itself names, is last.
    #[allow(clippy::cast_precision_loss)] // counts of pods and places
    fn add_to(&self, sums: &mut [Option<f64>], pod: &PodInfo, view: &ClusterView, nodes: &[&NodeInfo], explicit: bool) {
        let of_host = self.topology == HOST;
        let places = if of_host { BTreeMap::new() } else { self.places(pod, view, nodes) };
        let fellows = self.fellows(pod, view);
        // Where there are many places, one more pod in one of them means more.
        let number = if of_host { nodes.len() } else { places.len() };
        let weight = (number as f64 + 2.0).ln();
        for (sum, node) in sums.iter_mut().zip(nodes) {
            match node.spec.labels.get(self.topology) {
                Some(place) => {
                    let here = if of_host { self.count(pod, node, fellows) } else { places[place.as_str()] };
                    *sum = sum.map(|sum| sum + here as f64 * weight + (self.max_skew - 1) as f64);
                }
                None if explicit => *sum = None,
                None => {}
            }
        }
    }

    /// Pods in each of the places that the nodes are in, also on nodes that cannot take this one.
    fn places<'n>(&self, pod: &PodInfo, view: &ClusterView, nodes: &[&'n NodeInfo]) -> BTreeMap<&'n str, i64> {
        let wanted = nodes.iter().filter_map(|node| node.spec.labels.get(self.topology));
        // One by one: there are few places of many nodes, and collecting would sort them all.
        let mut places: BTreeMap<&str, i64> = BTreeMap::new();
        places.extend(wanted.map(|place| (place.as_str(), 0)));
        let fellows = self.fellows(pod, view);
        let mut add = |node: &NodeInfo| {
            let place = node.spec.labels.get(self.topology).filter(|_| node_affinity::matches(pod, node));
            if let Some(count) = place.and_then(|place| places.get_mut(place.as_str())) {
                *count += self.count(pod, node, fellows);
            }
        };
        match (self.spread, fellows) {
            (Some(_), _) => view.nodes.iter().for_each(|node| add(node)),
            (None, Some(fellows)) if self.topology == ZONE && node_affinity::takes_any(pod) => {
                let count = |zone: &str| fellows.in_zones.get(zone).copied().unwrap_or_default();
                places.iter_mut().for_each(|(zone, pods)| *pods = count(zone));
            }
            (None, Some(fellows)) => {
                fellows.on_nodes.keys().filter_map(|name| view.node(name)).for_each(|node| add(node));
            }
            (None, None) => {}
        }
        places
    }

    /// Where the other pods of the same workload are, where those are what counts.
    fn fellows<'v>(&self, pod: &PodInfo, view: &'v ClusterView) -> Option<&'v Fellows> {
        pod.controller.as_ref().filter(|_| self.spread.is_none()).and_then(|uid| view.workloads.get(uid))
    }

    fn count(&self, pod: &PodInfo, node: &NodeInfo, fellows: Option<&Fellows>) -> i64 {
        match self.spread {
            Some(spread) => matching(spread, pod, node),
            None => fellows.and_then(|fellows| fellows.on_nodes.get(node.name())).copied().unwrap_or_default(),
        }
    }
}

/// The least full place is 100.
#[allow(clippy::cast_possible_truncation)] // rounded and small
fn inverted(sums: &[Option<f64>]) -> Vec<i64> {
    let sums: Vec<Option<i64>> = sums.iter().map(|sum| sum.map(|sum| sum.round() as i64)).collect();
    let known = || sums.iter().flatten().copied();
    let (most, least) = (known().max().unwrap_or_default(), known().min().unwrap_or_default());
    let score = |sum: &Option<i64>| match sum {
        None => 0,
        Some(_) if most == 0 => MOST,
        Some(sum) => MOST * (most + least - sum) / most,
    };
    sums.iter().map(score).collect()
}
