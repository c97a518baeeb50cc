//! The Node object of this machine: made at the start, kept alive by a Lease, and told when something changes.

mod heartbeat;
mod object;

pub use heartbeat::{Health, Heartbeat};
pub use object::facts;
