//! The volumes of a pod, as directories under the agent's data directory, and where its containers see them.

mod claim;
mod files;
mod mounts;
mod prepare;
pub mod reclaim;

pub use mounts::mounts;
pub use prepare::{needs, prepare, remove, tokens};
