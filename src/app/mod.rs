//! Composition root: builds all parts out of a configuration and connects them. The whole program starts here,
//! for `main`, for the demo and for tests alike, on any port.

mod config;
mod door;
mod node;
mod start;

pub use config::{Config, Repo, Storage};
pub use node::LocalNode;
pub use start::{Running, StartError, build};
