//! The controllers: each makes one aspect of the cluster be as the objects say, level-triggered, one key at a
//! time. They read snapshots of the store and write through the registry, with Kubernetes's names, conditions,
//! reasons and events. What they decide is computed by pure functions; their loops only carry it out.

pub mod engine;

mod autoscaler;
mod claims;
mod cluster_roles;
mod cron_job;
mod daemon_set;
mod decode;
mod definitions;
mod deployment;
mod disruption;
mod endpoints;
mod events;
mod finalizers;
mod garbage;
mod history;
mod job;
mod names;
mod namespace;
mod node;
mod offspring;
mod pods;
mod protection;
mod quota;
mod replica_set;
mod scaled;
mod start;
mod stateful_set;
mod volumes;

pub use start::{Controllers, start, start_access, start_autoscaler, start_nodes, start_volumes, start_workloads};
