//! The repository, as far as the syncer needs it: where it is, the tip of a branch, the objects.

mod http;
mod location;
mod remote;
mod repository;

pub use location::{LocationError, RepoLocation, scrub};
pub use remote::{FetchError, Remote};
pub use repository::{Commit, Mirror, MirrorError};
