//! ReplicaSets and ReplicationControllers: as many pods of one template as are wanted. `ranking` decides which pods go first when there are
//! too many, `status` what is reported; `controller` reads and writes.

mod controller;
mod flavour;
mod ranking;
mod status;

pub use controller::ReplicaSetController;
pub use flavour::{REPLICA_SETS, REPLICATION_CONTROLLERS};
