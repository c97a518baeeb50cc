//! Keeps all objects: one global revision, all-or-nothing batches with preconditions, consistent snapshots
//! and watches that neither lose nor repeat an event. It knows nothing of what objects mean.

mod backend;
mod batch;
mod hub;
mod snapshot;
mod writer;

pub use backend::{Backend, BackendError, Contents, Memory, Record};
pub use batch::{Batch, CommitError, Committed, Op, Precondition};
pub use hub::{Change, Event, Watch, WatchEnd, WatchError};
pub use snapshot::Snapshot;
pub use writer::{OpenError, Store};
