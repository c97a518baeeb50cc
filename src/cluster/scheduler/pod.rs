//! What the scheduler knows of a pod, read once an object.

use k8s_openapi::api::core::v1 as api;

use super::claims::Place;
use super::resources::{self, Resources};
use super::selectors::{Labels, NodeTerm, PodTerm, Spread};
use crate::object::{Object, ObjectKey};

/// A port of the node that a container takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Empty for all addresses.
    pub address: String,
    pub protocol: String,
    pub port: i32,
}

impl HostPort {
    pub fn conflicts(&self, other: &Self) -> bool {
        let same_address = self.address.is_empty() || other.address.is_empty() || self.address == other.address;
        self.port == other.port && self.protocol == other.protocol && same_address
    }
}

/// The pod as placing sees it. Two pods of one template differ in `key` and `uid` only.
#[derive(Clone, Debug, PartialEq)]
pub struct PodInfo {
    pub key: ObjectKey,
    pub uid: String,
    pub labels: Labels,
    /// The uid of the workload that made it.
    pub controller: Option<String>,
    pub priority: i32,
    pub may_preempt: bool,
    /// When it started, or was created: the younger of two equals is preempted first.
    pub since: Option<jiff::Timestamp>,
    pub terminating: bool,
    pub nominated: Option<String>,
    pub gated: bool,
    pub requests: Resources,
    /// What scores count it as.
    pub guess: Resources,
    pub ports: Vec<HostPort>,
    pub images: Vec<String>,
    pub tolerations: Vec<api::Toleration>,
    pub node_selector: Labels,
    /// Terms of which one must match; `None` when any node will do.
    pub node_terms: Option<Vec<NodeTerm>>,
    pub preferred_nodes: Vec<(i64, NodeTerm)>,
    pub spread: Vec<Spread>,
    pub affinity: Vec<PodTerm>,
    pub anti_affinity: Vec<PodTerm>,
    /// Weights of anti-affinity are negative.
    pub preferred_pods: Vec<(i64, PodTerm)>,
    pub claims: Vec<String>,
    /// Where each of its volumes is or can be. Known only while the pod is being placed.
    pub volumes: Vec<Place>,
}

/// The scheduler that a pod names when it names none.
const NAME: &str = "default-scheduler";

impl PodInfo {
    /// # Errors
    /// When the object is not a pod.
    pub fn of(object: &Object) -> Result<Self, serde_json::Error> {
        Ok(Self::read(object, &*object.typed::<api::Pod>()?))
    }

    fn read(object: &Object, pod: &api::Pod) -> Self {
        let none = api::PodSpec::default();
        let spec = pod.spec.as_ref().unwrap_or(&none);
        let status = pod.status.as_ref();
        let (labels, namespace) = (&object.meta.labels, object.key.namespace.as_str());
        let affinity = spec.affinity.as_ref();
        let nodes = affinity.and_then(|a| a.node_affinity.as_ref());
        let near = affinity.and_then(|a| a.pod_affinity.as_ref());
        let apart = affinity.and_then(|a| a.pod_anti_affinity.as_ref());
        let terms = |given: Option<&Vec<api::PodAffinityTerm>>| {
            given.into_iter().flatten().filter_map(|term| PodTerm::of(term, namespace, labels)).collect()
        };
        let weighted = |given: Option<&Vec<api::WeightedPodAffinityTerm>>, sign: i64| {
            let read = |t: &api::WeightedPodAffinityTerm| {
                Some((sign * i64::from(t.weight), PodTerm::of(&t.pod_affinity_term, namespace, labels)?))
            };
            given.into_iter().flatten().filter_map(read).collect::<Vec<_>>()
        };
        let mut preferred_pods =
            weighted(near.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref()), 1);
        preferred_pods
            .extend(weighted(apart.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref()), -1));
        let started = status.and_then(|s| s.start_time.as_ref()).map(|time| time.0);
        Self {
            key: object.key.clone(),
            uid: object.meta.uid.clone(),
            labels: labels.clone(),
            controller: object.meta.controller().map(|owner| owner.uid.clone()),
            priority: spec.priority.unwrap_or_default(),
            may_preempt: spec.preemption_policy.as_deref() != Some("Never"),
            since: started.or(object.meta.created),
            terminating: object.meta.is_deleting(),
            nominated: status.and_then(|s| s.nominated_node_name.clone()).filter(|name| !name.is_empty()),
            gated: spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()),
            requests: resources::of_pod(spec),
            guess: resources::guessed(spec),
            ports: host_ports(spec),
            images: spec.containers.iter().filter_map(|c| c.image.clone()).collect(),
            tolerations: spec.tolerations.clone().unwrap_or_default(),
            node_selector: spec.node_selector.clone().unwrap_or_default(),
            node_terms: nodes
                .and_then(|n| n.required_during_scheduling_ignored_during_execution.as_ref())
                .map(|required| required.node_selector_terms.iter().filter_map(NodeTerm::of).collect()),
            preferred_nodes: nodes
                .and_then(|n| n.preferred_during_scheduling_ignored_during_execution.as_ref())
                .into_iter()
                .flatten()
                .filter_map(|term| Some((i64::from(term.weight), NodeTerm::of(&term.preference)?)))
                .collect(),
            spread: spec.topology_spread_constraints.iter().flatten().filter_map(|s| Spread::of(s, labels)).collect(),
            affinity: terms(near.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref())),
            anti_affinity: terms(apart.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref())),
            preferred_pods,
            claims: spec
                .volumes
                .iter()
                .flatten()
                .filter_map(|v| match &v.ephemeral {
                    Some(_) => Some(format!("{}-{}", object.key.name, v.name)),
                    None => v.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.clone()),
                })
                .collect(),
            volumes: Vec::new(),
        }
    }

    /// Says something about other pods that they have to be compared with.
    pub fn has_terms(&self) -> bool {
        !(self.anti_affinity.is_empty() && self.affinity.is_empty() && self.preferred_pods.is_empty())
    }

    /// The pod asks for the same as before: nothing that placing looks at has changed.
    pub fn asks_as(&self, before: &Self) -> bool {
        let Self { nominated: _, since: _, .. } = self;
        let same = Self { nominated: self.nominated.clone(), since: self.since, ..before.clone() };
        *self == same
    }
}

/// Where a pod is in its life, as far as the scheduler cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for this scheduler.
    Waiting,
    /// It is on a node and takes resources of it.
    Bound,
    /// It is over, or waits for another scheduler.
    Ignored,
}

/// # Errors
/// When the object is not a pod.
pub fn stage(object: &Object) -> Result<Stage, serde_json::Error> {
    let pod = object.typed::<api::Pod>()?;
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default();
    let scheduler = pod.spec.as_ref().and_then(|s| s.scheduler_name.as_deref()).unwrap_or(NAME);
    Ok(match &object.meta.node {
        _ if matches!(phase, "Succeeded" | "Failed") => Stage::Ignored,
        Some(_) => Stage::Bound,
        None if scheduler != NAME || object.meta.is_deleting() => Stage::Ignored,
        None => Stage::Waiting,
    })
}

fn host_ports(spec: &api::PodSpec) -> Vec<HostPort> {
    let sidecar = |c: &&api::Container| c.restart_policy.as_deref() == Some("Always");
    let running = spec.containers.iter().chain(spec.init_containers.iter().flatten().filter(sidecar));
    let host_network = spec.host_network.unwrap_or_default();
    let port = |given: &api::ContainerPort| {
        let port = given.host_port.or(host_network.then_some(given.container_port)).filter(|port| *port > 0)?;
        let address = given.host_ip.clone().filter(|ip| ip != "0.0.0.0").unwrap_or_default();
        Some(HostPort { address, protocol: given.protocol.clone().unwrap_or_else(|| "TCP".into()), port })
    };
    running.flat_map(|c| c.ports.iter().flatten()).filter_map(port).collect()
}
