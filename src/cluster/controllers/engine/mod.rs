//! The one engine that runs every controller: watches of the store become keys, keys wait in a queue without
//! duplicates, and each key is reconciled by one run at a time, again when something that it depends on changes,
//! later when the run says so, and with growing pauses while it fails.
//!
//! An idle cluster does no work here: there is no resync timer. Everything is listed once at start, and again
//! only when a watch fell so far behind that its revision expired.
//!
//! # Why there are no expectations
//! Controllers elsewhere read a cache that lags behind their own writes, and must remember what they expect to see
//! in it so as not to create a pod twice. Here a commit returns after the snapshot that holds it is published, a run
//! awaits its commits, and the next run of the same key starts from a snapshot taken after that. So a run
//! always sees all that earlier runs of its key did, also those of an engine that was stopped before.

mod counters;
mod queue;
mod runner;
mod source;

pub use counters::Counters;
pub use runner::{Controller, Failure, Next, start};
pub use source::{Source, controllers_of};
