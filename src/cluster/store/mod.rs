//! Keeps all objects: one global revision, all-or-nothing batches with preconditions, consistent snapshots
//! and watches that neither lose nor repeat an event. It knows nothing of what objects mean.

mod handle;

mod batch;
mod snapshot;
mod stage;
mod writer;

mod expiry;
mod hub;
mod recent;

mod backend;
mod redb;

pub use backend::{Backend, BackendError, Contents, Memory, Record};
pub use batch::{Batch, CommitError, Committed, Op, Precondition};
pub use handle::{OpenError, Store};
pub use hub::{Change, Event, Watch, WatchEnd, WatchError};
pub use redb::Redb;
pub use snapshot::Snapshot;

#[cfg(test)]
mod tests;
