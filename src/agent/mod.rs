//! One node: makes the machine run the pods that are bound to it. It knows the cluster as an API, and nothing of how
//! that is kept. In reading order: `lifecycle` decides, `worker` acts on it, `runtime` is the container engine.

pub mod lifecycle;
pub mod runtime;

mod blueprint;
mod context;
mod environment;
mod events;
pub mod images;
mod labels;
mod look;
pub mod network;
mod node;
mod pods;
mod sources;
mod start;
pub mod streams;
mod teardown;
mod tokens;
mod volumes;
mod worker;

pub use start::{Agent, AgentConfig, AgentError, AgentHandle, identity};
pub use teardown::{TeardownError, teardown};
