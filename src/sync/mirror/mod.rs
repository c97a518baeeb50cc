//! The repository, as far as the syncer needs it: where it is, the tip of a branch, the objects.

mod location;
mod repository;

pub use location::{LocationError, RepoLocation, scrub};
pub use repository::{Commit, Mirror, MirrorError};
