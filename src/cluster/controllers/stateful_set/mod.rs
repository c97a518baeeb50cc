//! StatefulSets: pods with ordinals, each with its own name and its own volume claims. `identity` says what a pod of
//! an ordinal is, `retention` who owns its claims, `plan` what is done next, `status` what is reported; `controller`
//! reads and writes.

mod controller;
mod identity;
mod plan;
mod retention;
#[cfg(test)]
mod simulation;
mod status;

pub use controller::StatefulSetController;
