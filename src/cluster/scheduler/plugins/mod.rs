//! The plugins, in the order in which they are asked, with Kubernetes's weights and wording.

mod fit;
mod images;
mod node_affinity;
mod pod_affinity;
mod ports;
mod spread;
mod taints;
mod volumes;

use super::framework::{Filter, Score};

/// Filters that look at nothing but the node.
pub const OF_THE_NODE: &[&dyn Filter] = &[
    &taints::Unschedulable,
    &taints::Untolerated,
    &node_affinity::Required,
    &ports::Free,
    &fit::Fits,
    &volumes::Reachable,
];

/// Filters that look at pods on other nodes too.
pub const AMONG_PODS: &[&dyn Filter] = &[&spread::Skew, &pod_affinity::Required];

pub const SCORES: &[&dyn Score] = &[
    &taints::Preferred,
    &node_affinity::Preferred,
    &spread::Even,
    &pod_affinity::Preferred,
    &fit::LeastAllocated,
    &fit::Balanced,
    &images::Locality,
];

pub use node_affinity::named_nodes;
