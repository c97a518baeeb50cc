//! What pods and nodes use of processors and memory, as of a moment ago: measured by the agents, never stored,
//! bounded by what runs. Read by `metrics.k8s.io` and by whoever scales; written by the collector alone, or by a test.

mod collect;
mod latest;
mod rates;

pub use collect::collect;
pub use latest::{ContainerUsage, NodeUsage, PodUsage, Usage, Usages};
