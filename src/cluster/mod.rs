//! Everything that a control plane is: the store of objects, the one door for writes, the Kubernetes API,
//! the controllers and the scheduler. It never imports `sync` or `agent`: they come to it.

pub mod controllers;
mod quota;
pub mod rbac;
pub mod registry;
pub mod scheduler;
pub mod server;
pub mod store;
pub mod usage;
mod volume_matching;
