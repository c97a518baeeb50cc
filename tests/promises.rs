//! What the controllers promise whatever happens, held over random changes of the specification, failures of pods,
//! losses of nodes and crashes of the control plane: whole controllers on a store in memory, under paused time.
//! Every seed is a world of its own; a failure tells its seed, and `WINDLASS_SEED=N` plays that one alone.

#[path = "golden_controllers/cluster.rs"]
#[allow(dead_code, reason = "the replays use other parts of it")]
mod cluster;
#[path = "promises/deployment.rs"]
mod deployment;
#[path = "promises/idle.rs"]
mod idle;
#[path = "promises/job.rs"]
mod job;
#[path = "promises/seeds.rs"]
mod seeds;
#[path = "promises/stateful_set.rs"]
mod stateful_set;
#[path = "promises/world.rs"]
mod world;
