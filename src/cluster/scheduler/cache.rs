//! Keeps the view up to date: nodes and pods come and go in any order, and a pod that was placed counts on its node
//! before its binding is heard of.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::node::{NodeInfo, NodeSpec};
use super::pod::PodInfo;
use super::selectors::{Labels, ZONE};
use super::view::ClusterView;

#[derive(Debug, Default)]
pub struct Cache {
    view: ClusterView,
    /// The node of each pod that is on one, by the pod's uid.
    homes: HashMap<String, String>,
    /// Pods on nodes that are not known (yet, or any more).
    elsewhere: HashMap<String, Vec<Arc<PodInfo>>>,
}

impl Cache {
    pub fn view(&self) -> &ClusterView {
        &self.view
    }

    /// What the node's object says now; `false` when that is what it said before.
    pub fn set_node(&mut self, spec: NodeSpec) -> bool {
        let zone = spec.labels.get(ZONE).cloned();
        match self.view.position(&spec.name) {
            Ok(index) if self.view.nodes[index].spec == spec => return false,
            Ok(index) => {
                let node = Arc::make_mut(&mut self.view.nodes[index]);
                let before = std::mem::replace(&mut node.spec, spec);
                let pods = node.pods.clone();
                self.move_zone(&pods, before.labels.get(ZONE), zone.as_ref());
            }
            Err(index) => {
                let mut node = NodeInfo::new(spec);
                let pods = self.elsewhere.remove(node.name()).unwrap_or_default();
                self.move_zone(&pods, None, zone.as_ref());
                pods.into_iter().for_each(|pod| node.add(pod));
                self.view.with_terms += node.with_terms;
                self.view.nodes.insert(index, Arc::new(node));
            }
        }
        true
    }

    pub fn remove_node(&mut self, name: &str) {
        if let Ok(index) = self.view.position(name) {
            let node = self.view.nodes.remove(index);
            self.view.with_terms -= node.with_terms;
            self.move_zone(&node.pods, node.spec.labels.get(ZONE), None);
            if !node.pods.is_empty() {
                self.elsewhere.insert(name.to_owned(), node.pods.clone());
            }
        }
    }

    /// The pod is on the node already, and asks for the same.
    pub fn holds(&self, pod: &PodInfo, node: &str) -> bool {
        let held = || self.view.node(node)?.pods.iter().find(|held| held.uid == pod.uid);
        self.home(&pod.uid) == Some(node) && held().is_some_and(|held| pod.asks_as(held))
    }

    /// Counts the pod on the node, and on no other.
    pub fn set_pod(&mut self, pod: Arc<PodInfo>, node: &str) {
        self.remove_pod(&pod.uid);
        self.count(&pod, node, 1);
        self.homes.insert(pod.uid.clone(), node.to_owned());
        match self.view.position(node) {
            Ok(index) => {
                self.view.with_terms += usize::from(pod.has_terms());
                Arc::make_mut(&mut self.view.nodes[index]).add(pod);
            }
            Err(_) => self.elsewhere.entry(node.to_owned()).or_default().push(pod),
        }
    }

    /// The pod is on no node any more; gives the node that it left.
    pub fn remove_pod(&mut self, uid: &str) -> Option<(String, Arc<PodInfo>)> {
        let node = self.homes.remove(uid)?;
        let pod = match self.view.position(&node) {
            Ok(index) => {
                let pod = Arc::make_mut(&mut self.view.nodes[index]).remove(uid);
                self.view.with_terms -= usize::from(pod.as_ref().is_some_and(|pod| pod.has_terms()));
                pod
            }
            Err(_) => {
                let pods = self.elsewhere.get_mut(&node)?;
                let index = pods.iter().position(|pod| pod.uid == uid)?;
                let pod = pods.swap_remove(index);
                if pods.is_empty() {
                    self.elsewhere.remove(&node);
                }
                Some(pod)
            }
        };
        let pod = pod?;
        self.count(&pod, &node, -1);
        Some((node, pod))
    }

    fn count(&mut self, pod: &PodInfo, node: &str, change: i64) {
        let Some(controller) = &pod.controller else { return };
        let zone = self.view.node(node).and_then(|node| node.spec.labels.get(ZONE)).cloned();
        let workloads = Arc::make_mut(&mut self.view.workloads);
        let fellows = workloads.entry(controller.clone()).or_default();
        let here = fellows.on_nodes.entry(node.to_owned()).or_default();
        *here += change;
        if *here == 0 {
            fellows.on_nodes.remove(node);
        }
        if let Some(zone) = zone {
            add(&mut fellows.in_zones, &zone, change);
        }
        if fellows.on_nodes.is_empty() {
            workloads.remove(controller);
        }
    }

    /// The zone of these pods' node has become another one, or known, or unknown.
    fn move_zone(&mut self, pods: &[Arc<PodInfo>], from: Option<&String>, to: Option<&String>) {
        if from == to || pods.is_empty() {
            return;
        }
        let workloads = Arc::make_mut(&mut self.view.workloads);
        for controller in pods.iter().filter_map(|pod| pod.controller.as_ref()) {
            let Some(fellows) = workloads.get_mut(controller) else { continue };
            from.into_iter().for_each(|zone| add(&mut fellows.in_zones, zone, -1));
            to.into_iter().for_each(|zone| add(&mut fellows.in_zones, zone, 1));
        }
    }

    pub fn home(&self, uid: &str) -> Option<&str> {
        self.homes.get(uid).map(String::as_str)
    }

    /// The pod waits for room on the node that it is nominated to.
    pub fn nominate(&mut self, pod: &Arc<PodInfo>, node: &str) {
        self.forget_nomination(&pod.uid);
        Arc::make_mut(&mut self.view.nominated).entry(node.to_owned()).or_default().push(pod.clone());
    }

    pub fn forget_nomination(&mut self, uid: &str) {
        if !self.view.nominated.values().flatten().any(|pod| pod.uid == uid) {
            return;
        }
        let nominated = Arc::make_mut(&mut self.view.nominated);
        nominated.values_mut().for_each(|pods| pods.retain(|pod| pod.uid != uid));
        nominated.retain(|_, pods| !pods.is_empty());
    }

    pub fn set_namespace(&mut self, name: &str, labels: Option<Labels>) {
        let namespaces: &mut BTreeMap<_, _> = Arc::make_mut(&mut self.view.namespaces);
        match labels {
            Some(labels) => drop(namespaces.insert(name.to_owned(), labels)),
            None => drop(namespaces.remove(name)),
        }
    }

    /// The next search begins after the nodes that the last one looked at.
    pub fn advance(&mut self, examined: usize) {
        self.view.start = (self.view.start + examined) % self.view.nodes.len().max(1);
    }
}

fn add(counts: &mut BTreeMap<String, i64>, place: &str, change: i64) {
    // Most often the place is there already.
    match counts.get_mut(place) {
        Some(count) => *count += change,
        None => drop(counts.insert(place.to_owned(), change)),
    }
    if counts.get(place) == Some(&0) {
        counts.remove(place);
    }
}
