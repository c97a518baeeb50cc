//! Makes the cluster follow git repositories: commit, plan, one transaction, status.
//!
//! Each Application has a worker; `manager` starts and ends them. A repository (`upstream`) tells the workers whose
//! folder or revision moved; the worker reads the commit, renders its manifests, stages them in a registry
//! transaction together with the Application's new status, and commits. Between commits it heals drift. The
//! repository of `windlass up` is an Application like the others, and those found in it are synced in turn.

pub mod example;
pub mod mirror;
pub mod render;
pub mod revert;
pub mod trigger;

mod credentials;
mod ignore;
mod settings;
mod signature;
mod tool;

mod inbox;
mod manager;
mod syncer;
mod upstream;
mod watching;

mod adopt;
mod asked;
mod cascade;
mod deploy;
mod desired;
mod drift;
mod fingerprint;
mod follow;
mod guard;
mod heal;
mod keep;
mod signing;
mod waves;
mod worker;

mod application;
mod blocking;
mod events;
mod lint;
mod local;
mod metrics;
mod moves;
mod order;
mod outcome;
mod plan;
mod reader;
mod records;
mod request;
mod review;
mod rollouts;
mod routes;
mod stage;
mod status;
mod tracking;

#[cfg(test)]
mod tests;

pub use lint::{Linted, lint};
pub use local::{Local, LocalError};
pub use mirror::RepoLocation;
pub use request::{PlanRequest, PostedDocument};
pub use syncer::{Progress, SyncConfig, SyncError, Syncer, start};
pub use tool::Tools;
pub use trigger::Trigger;
