//! `proxy` of pods, services and nodes: an HTTP request goes on to a port of a pod, over its node's connection; of a node
//! it is answered with what the node's agent says of itself.

mod kubelet;
mod pass;
mod pipe;
mod serve;
mod target;
mod tls;

pub use serve::serve;
