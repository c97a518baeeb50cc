//! Gives pods their node. Placing is a pure function of a pod and an immutable view of the nodes, with what has been
//! assumed; it asks a list of plugins which nodes can take the pod and which of them suit it best. One loop
//! carries the verdicts out through the registry. It starts nothing on a node: that is the agent's.

mod start;

mod queue;
mod writes;

mod message;
mod place;
mod preempt;

mod forecast;
mod framework;
mod plugins;

mod cache;
mod claims;
mod node;
mod pod;
mod resources;
mod selectors;
mod view;

pub use cache::Cache;
pub use forecast::Forecast;
pub use node::{NodeInfo, NodeSpec};
pub use place::{Placed, Unfit, Verdict, place};
pub use pod::PodInfo;
pub use preempt::{Budget, Preemption, preempt};
pub use selectors::{NodeTerm, tolerates};
pub use start::start;
pub use view::ClusterView;

#[cfg(test)]
mod tests;
