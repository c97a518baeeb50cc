//! An opened repository: handles that read manifests, one for each that reads at a time; another that only looks where
//! refs are (so that no look waits for a long read); and where it is fetched from if it is a copy. Blocking.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pool::PoolOptions;
use crate::sync::mirror::{FetchError, Mirror, MirrorError, Remote, RepoLocation};
use crate::sync::reader::{Memory, Reader};
use crate::sync::trigger::{self, RefsWatch};

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Repository(#[from] MirrorError),
    #[error(transparent)]
    Remote(#[from] FetchError),
}

/// Handles that are kept open while nobody reads.
const IDLE: usize = 4;

pub struct Opened {
    path: PathBuf,
    location: RepoLocation,
    memory: Arc<Memory>,
    idle: Mutex<Vec<Reader>>,
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
        let scout = Mirror::open(path, location)?;
        // The watch comes before the first look, so no commit falls between the two. A copy is written by a fetch only.
        let watch = remote.is_none().then(|| trigger::watch_refs(scout.refs_folder(), moved));
        let watch = watch.and_then(|watch| {
            watch.inspect_err(|error| tracing::warn!(%error, "commits are noticed by polling only")).ok()
        });
        Ok(Self {
            path: path.to_owned(),
            location: location.clone(),
            memory: Arc::new(Memory::new(Some(options.keys.clone()))),
            idle: Mutex::default(),
            scout: Mutex::new(scout),
            remote,
            _watch: watch,
        })
    }

    /// Reads, with a handle that nobody else uses meanwhile.
    ///
    /// # Errors
    /// When the repository cannot be opened once more, or what reading it comes to.
    pub fn read<T>(&self, read: impl FnOnce(&Reader) -> Result<T, MirrorError>) -> Result<T, MirrorError> {
        let idle = self.idle().pop();
        let open = || Mirror::open(&self.path, &self.location).map(|mirror| Reader::new(mirror, self.memory.clone()));
        let reader = idle.map_or_else(open, Ok)?;
        let found = read(&reader);
        let mut idle = self.idle();
        if idle.len() < IDLE {
            idle.push(reader);
        }
        found
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locked on blocking threads only.
    pub fn scout(&self) -> MutexGuard<'_, Mirror> {
        self.scout.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
