//! Jobs: pods that are to end well. `plan` decides what one run does, with `indexes` for the sets of completed
//! indexes, `failure` for the rules on failed pods, `success` for early success, `backoff` for the pauses after
//! failures, and `removal` for the order in which pods are given up. `controller` reads and writes, `ttl` removes
//! Jobs that have ended.
//!
//! Each pod carries a finalizer until it is counted. Counting it and taking the finalizer off are one transaction, so
//! that no pod is ever counted twice or missed; `status.uncountedTerminatedPods`, in which others note what they are
//! half done with, stays empty.

mod backoff;
mod conditions;
mod controller;
mod failure;
mod indexes;
mod plan;
mod removal;
mod success;
mod terms;
mod ttl;

pub use conditions::{Ended, ended};
pub use controller::JobController;
pub use ttl::TtlController;
