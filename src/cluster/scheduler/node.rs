//! A node with what is on it, kept up to date pod by pod.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;

use super::pod::{HostPort, PodInfo};
use super::resources::Resources;
use super::selectors::Labels;
use crate::object::Object;
use crate::object::quantity::Quantity;

/// What the node's object says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeSpec {
    pub name: String,
    pub labels: Labels,
    pub taints: Vec<api::Taint>,
    pub unschedulable: bool,
    pub allocatable: Resources,
    pub most_pods: i64,
    /// Bytes of the images that it has, by each of their names.
    pub images: BTreeMap<String, i64>,
}

/// The node and its pods.
#[derive(Clone, Debug, Default)]
pub struct NodeInfo {
    pub spec: NodeSpec,
    pub pods: Vec<Arc<PodInfo>>,
    pub used: Resources,
    /// What scores count the pods as.
    pub guess: Resources,
    pub ports: Vec<HostPort>,
    /// Pods that say something about other pods.
    pub with_terms: usize,
}

impl NodeSpec {
    /// # Errors
    /// When the object is not a node.
    pub fn of(object: &Object) -> Result<Self, serde_json::Error> {
        let node = object.typed::<api::Node>()?;
        let spec = node.spec.as_ref();
        let status = node.status.as_ref();
        let allocatable = status.and_then(|s| s.allocatable.as_ref().or(s.capacity.as_ref()));
        let pods = allocatable.and_then(|a| a.get("pods")).and_then(|q| Quantity::parse(&q.0).ok());
        let images = status.and_then(|s| s.images.as_ref()).into_iter().flatten();
        let named = |image: &api::ContainerImage| {
            let size = image.size_bytes.unwrap_or_default();
            image.names.iter().flatten().map(|name| (name.clone(), size)).collect::<Vec<_>>()
        };
        Ok(Self {
            name: object.key.name.clone(),
            labels: object.meta.labels.clone(),
            taints: spec.and_then(|s| s.taints.clone()).unwrap_or_default(),
            unschedulable: spec.and_then(|s| s.unschedulable).unwrap_or_default(),
            allocatable: allocatable.map(Resources::of).unwrap_or_default(),
            most_pods: pods.unwrap_or_default().units(),
            images: images.flat_map(named).collect(),
        })
    }
}

impl NodeInfo {
    pub fn new(spec: NodeSpec) -> Self {
        Self { spec, ..Self::default() }
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    pub fn add(&mut self, pod: Arc<PodInfo>) {
        self.used.add(&pod.requests);
        self.guess.add(&pod.guess);
        self.ports.extend(pod.ports.iter().cloned());
        self.with_terms += usize::from(pod.has_terms());
        self.pods.push(pod);
    }

    /// Takes the pod away and gives it back, if it is here.
    pub fn remove(&mut self, uid: &str) -> Option<Arc<PodInfo>> {
        let index = self.pods.iter().position(|pod| pod.uid == uid)?;
        let pod = self.pods.remove(index);
        self.used.subtract(&pod.requests);
        self.guess.subtract(&pod.guess);
        for port in &pod.ports {
            if let Some(index) = self.ports.iter().position(|held| held == port) {
                self.ports.swap_remove(index);
            }
        }
        self.with_terms -= usize::from(pod.has_terms());
        Some(pod)
    }
}
