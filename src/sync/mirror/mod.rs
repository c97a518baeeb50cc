//! The repository, as far as the syncer needs it: where it is, what a revision means, the objects.

mod http;
mod location;
mod remote;
mod repository;
mod ssh;
mod target;
mod work_tree;

pub use location::{LocationError, RepoLocation, scrub};
pub use remote::{FetchError, NOTES, Remote};
pub use repository::{Commit, Mirror, MirrorError};
