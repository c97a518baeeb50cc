//! Garbage collection: what is owned goes when its owners have gone, in the order that the deletion asked for.
//! (Kubernetes documentation, "Garbage collection".) `verdict` decides, `collector` carries it out.

mod collector;
mod verdict;

pub use collector::GarbageCollector;
