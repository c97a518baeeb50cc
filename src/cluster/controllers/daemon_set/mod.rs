//! DaemonSets: one pod on each node that it is for. `eligibility` says which nodes those are, `template` what the
//! pod of a node is, `plan` which pods are made and deleted, `backoff` how often failed ones are replaced, `status` what
//! is reported; `controller` reads and writes. Pods are bound by the scheduler: each asks for its node by name.

mod backoff;
mod controller;
mod eligibility;
mod plan;
#[cfg(test)]
mod simulation;
mod status;
mod template;

pub use controller::DaemonSetController;
