//! The life of a pod: what to do next, and what its status is, out of what is wanted and what is there.
//! Pure: no I/O and no clock. `worker` carries the actions out and fills `Seen` with what came of them.

mod backoff;
mod conditions;
mod containers;
mod next;
pub mod probing;
mod seen;
pub mod spec;
mod status;
mod stop;
#[cfg(test)]
mod tests;

pub use backoff::{image_retry, next_backoff, restart_at};
pub use next::next;
pub use seen::{Action, Failure, Hook, Memory, Next, Seen, Stopping, Task};
pub use status::status;
