//! The handle of a running syncer, and how one is started: opens the repository, makes sure that its Application
//! exists, and starts the tasks. Everything that decides is in `worker`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::application;
use super::deploy::blocking;
use super::mirror::{FetchError, Mirror, MirrorError, Remote, RepoLocation};
use super::reader::Reader;
use super::trigger::{self, Trigger};
use super::worker::Worker;
use crate::cluster::registry::Registry;
use crate::object::{ApiError, ObjectKey};
use crate::tasks::Tasks;

/// Triggers that may wait; a full queue means that a look at the repository is due anyway.
const TRIGGERS: usize = 64;
/// Namespace of objects that name none.
pub(super) const DESTINATION: &str = "default";

/// What to follow.
#[derive(Clone, Debug)]
pub struct SyncConfig {
    pub repo: RepoLocation,
    /// The repository's current branch when absent.
    pub branch: Option<String>,
    /// Folder inside the repository; empty for all of it.
    pub path: String,
    /// Name of the Application; see [`RepoLocation::name`].
    pub application: String,
    pub data_dir: PathBuf,
    /// Webhooks are refused without one, unless only this machine can call.
    pub webhook_secret: Option<Vec<u8>>,
    /// The API listens on the loopback address only.
    pub loopback: bool,
    /// Time between two looks at the repository when nothing says that it moved.
    pub poll_interval: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    #[error(transparent)]
    Repository(#[from] MirrorError),
    #[error("the Application {name} cannot be written: {source}")]
    Application { name: String, source: ApiError },
    #[error(transparent)]
    Remote(#[from] FetchError),
}

/// How far the syncer is; changes after every look at the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The commit looked at last.
    pub seen: Option<String>,
    /// The commit that is deployed.
    pub deployed: Option<String>,
    /// What keeps `seen` from being deployed.
    pub errors: Vec<String>,
}

/// A running syncer: clone it freely.
#[derive(Clone)]
pub struct Syncer {
    pub(super) shared: Arc<Shared>,
}

/// What the tasks and the handles of one syncer share.
pub(super) struct Shared {
    pub registry: Registry,
    pub config: SyncConfig,
    pub branch: String,
    pub application: ObjectKey,
    pub triggers: mpsc::Sender<Trigger>,
    pub progress: watch::Sender<Progress>,
    /// Locked on blocking threads only.
    pub reader: Mutex<Reader>,
    /// What the reader's repository is a copy of, unless it is the repository itself.
    pub remote: Option<Arc<Remote>>,
}

/// Starts following a repository.
///
/// # Errors
/// When there is no repository, no branch, or the Application cannot be written.
pub async fn start(registry: Registry, config: SyncConfig, tasks: &Tasks) -> Result<Syncer, SyncError> {
    let (location, folder, wanted) = (config.repo.clone(), config.data_dir.clone(), config.branch.clone());
    let Opened { mirror, branch, remote } = blocking(move || open(&location, &folder, wanted)).await?;
    let refs = mirror.refs_folder().to_owned();
    let application = application::ensure(&registry, &config, &branch, DESTINATION, None)
        .await
        .map_err(|source| SyncError::Application { name: config.application.clone(), source })?;
    let (triggers, triggered) = mpsc::channel(TRIGGERS);
    let reader = Mutex::new(Reader::new(mirror, &config.path, DESTINATION));
    let shared = Arc::new(Shared {
        registry,
        branch,
        application,
        triggers: triggers.clone(),
        progress: watch::Sender::new(Progress::default()),
        reader,
        remote,
        config,
    });
    // The watch comes before the first look, so no commit falls between the two. A copy of a remote repository
    // is written by the worker itself.
    let watching = shared.remote.is_none().then(|| trigger::watch_refs(&refs, triggers.clone()));
    if let Some(Err(error)) = &watching {
        tracing::warn!(%error, "commits are noticed by polling only");
    }
    let worker = Worker::new(shared.clone(), triggered, tasks.clone());
    let syncer = Syncer { shared };
    syncer.trigger(Trigger::Start);
    tasks.spawn("sync", async move {
        let _watching = watching;
        worker.run().await;
    });
    tasks.spawn("sync-poll", trigger::poll(syncer.shared.config.poll_interval, triggers));
    Ok(syncer)
}

struct Opened {
    mirror: Mirror,
    branch: String,
    remote: Option<Arc<Remote>>,
}

fn open(location: &RepoLocation, folder: &Path, branch: Option<String>) -> Result<Opened, SyncError> {
    match location {
        RepoLocation::Local(path) => {
            let mirror = Mirror::open(path, location)?;
            let branch = branch.map_or_else(|| mirror.current_branch(), Ok)?;
            Ok(Opened { mirror, branch, remote: None })
        }
        RepoLocation::Remote(url) => {
            let remote = Remote::open(url, folder)?;
            let mirror = Mirror::open(remote.copy(), location)?;
            let branch = branch.map_or_else(|| remote.default_branch(), Ok)?;
            Ok(Opened { mirror, branch, remote: Some(Arc::new(remote)) })
        }
    }
}

impl Syncer {
    /// Looks at the repository soon, if that is not due anyway.
    pub fn trigger(&self, why: Trigger) {
        // A full queue holds a trigger already, and one look serves them all.
        let _ = self.shared.triggers.try_send(why);
    }

    /// The Application that shows the state of this sync.
    pub fn application(&self) -> &ObjectKey {
        &self.shared.application
    }

    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }
}
