//! Makes the cluster follow a git repository: commit, plan, one transaction, status.
//!
//! A trigger wakes the worker; it reads the branch's tip, renders its manifests, stages them in a registry
//! transaction together with the Application's new status, and commits. Between commits it heals drift.

pub mod example;
pub mod mirror;
pub mod render;
pub mod revert;
pub mod trigger;

mod application;
mod deploy;
mod events;
mod heal;
mod lint;
mod order;
mod plan;
mod reader;
mod request;
mod routes;
mod stage;
mod status;
mod syncer;
mod tracking;
mod watching;
mod worker;

#[cfg(test)]
mod tests;

pub use lint::lint;
pub use mirror::RepoLocation;
pub use reader::at_revision;
pub use request::{PlanRequest, PostedDocument};
pub use syncer::{Progress, SyncConfig, SyncError, Syncer, start};
pub use trigger::Trigger;
