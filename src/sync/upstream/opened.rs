//! An opened repository: the handle that reads manifests, a second one that only looks where refs are (so that no
//! look waits for a long read), and where it is fetched from if it is a copy. Blocking.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pool::PoolOptions;
use crate::sync::mirror::{FetchError, Mirror, MirrorError, Remote, RepoLocation};
use crate::sync::reader::Reader;
use crate::sync::trigger::{self, RefsWatch};

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Repository(#[from] MirrorError),
    #[error(transparent)]
    Remote(#[from] FetchError),
}

pub struct Opened {
    reader: Mutex<Reader>,
    scout: Mutex<Mirror>,
    pub remote: Option<Remote>,
    _watch: Option<RefsWatch>,
}

impl Opened {
    /// Opens the repository at `location`; a remote one as a copy. `moved` is called whenever a ref
    /// of a local one moves.
    pub(super) fn open(
        location: &RepoLocation,
        options: &PoolOptions,
        moved: impl Fn() + Send + 'static,
    ) -> Result<Self, OpenError> {
        let folder = options.folder.as_path();
        let remote = match location {
            RepoLocation::Local(_) => None,
            RepoLocation::Remote(url) => Some(Remote::open(url, folder)?),
        };
        let path = match (&remote, location) {
            (Some(remote), _) => remote.copy(),
            (None, RepoLocation::Local(path)) => path.as_path(),
            (None, RepoLocation::Remote(_)) => folder,
        };
        let (mirror, scout) = (Mirror::open(path, location)?, Mirror::open(path, location)?);
        // The watch comes before the first look, so no commit falls between the two. A copy is written by a fetch only.
        let watch = remote.is_none().then(|| trigger::watch_refs(mirror.refs_folder(), moved));
        let watch = watch.and_then(|watch| {
            watch.inspect_err(|error| tracing::warn!(%error, "commits are noticed by polling only")).ok()
        });
        Ok(Self {
            reader: Mutex::new(Reader::new(mirror, Some(options.keys.clone()))),
            scout: Mutex::new(scout),
            remote,
            _watch: watch,
        })
    }

    /// Locked on blocking threads only.
    pub fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locked on blocking threads only.
    pub fn scout(&self) -> MutexGuard<'_, Mirror> {
        self.scout.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
