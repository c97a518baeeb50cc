//! The handle of a running syncer, and how one is started: opens the repository, makes sure that its Application
//! exists, and starts the tasks. Everything that decides is in `worker`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry as Catalogue;
use tokio::sync::{Semaphore, watch};

use super::application;
use super::blocking::blocking;
use super::credentials;
use super::fingerprint;
use super::manager::Manager;
use super::metrics::SyncMetrics;
use super::mirror::{FetchError, MirrorError, RepoLocation};
use super::records::Recorder;
use super::review::{self, Reviews};
use super::tool::Tools;
use super::trigger::Trigger;
use super::upstream::{OpenError, Pool, PoolOptions, Upstream};
use super::watching::Hub;
use crate::cluster::registry::Registry;
use crate::object::{ApiError, ObjectKey};
use crate::tasks::Tasks;

/// Applications that render, stage and store at the same time; those that wait for something hold no place.
const AT_ONCE: usize = 4;
/// Tools that run at the same time.
const TOOLS_AT_ONCE: usize = 2;

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
    /// Time between two looks at a repository when nothing says that it moved.
    pub poll_interval: Duration,
    /// An age key file, as `age-keygen` writes it; need not exist. Files that SOPS encrypted for it are opened.
    pub age_key: PathBuf,
    /// Folders, as in the variable `PATH`, that have `kustomize`, `kubectl`, `helm`, `git` and `ssh`.
    pub tools_path: OsString,
}

#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    #[error("cannot keep the key that fingerprints of secrets are made with")]
    Fingerprints(#[source] std::io::Error),
    #[error(transparent)]
    Repository(#[from] MirrorError),
    #[error("the Application {name} cannot be written: {source}")]
    Application { name: String, source: ApiError },
    #[error(transparent)]
    Remote(#[from] FetchError),
}

impl From<OpenError> for SyncError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Repository(error) => Self::Repository(error),
            OpenError::Remote(error) => Self::Remote(error),
        }
    }
}

/// How far the syncer is with the repository that it was started with; changes after every look at it.
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
    /// Kept open: the repository that the syncer was started with.
    upstream: Arc<Upstream>,
}

/// What the tasks and the handles of one syncer share.
pub(super) struct Shared {
    pub registry: Registry,
    pub config: SyncConfig,
    /// Branch of the repository that the syncer was started with.
    pub branch: String,
    /// Its Application.
    pub root: ObjectKey,
    pub progress: watch::Sender<Progress>,
    pub pool: Pool,
    pub hub: Hub,
    pub slots: Semaphore,
    pub tool_slots: Semaphore,
    pub tools: Tools,
    pub fingerprints: fingerprint::Key,
    /// Objects that are known to be as git says, of all Applications together.
    pub verified: watch::Sender<usize>,
    pub metrics: SyncMetrics,
    pub reviews: Reviews,
}

/// Starts following a repository, and whatever Applications there are and will be.
///
/// # Errors
/// When there is no repository, no branch, or the Application cannot be written.
pub async fn start(registry: Registry, config: SyncConfig, tasks: &Tasks) -> Result<Syncer, SyncError> {
    let tools = Tools::new(config.tools_path.clone());
    let fingerprints = fingerprint::Key::open(&config.data_dir).map_err(SyncError::Fingerprints)?;
    let cluster = registry.clone();
    let options = PoolOptions {
        folder: config.data_dir.clone(),
        poll_interval: config.poll_interval,
        access: Arc::new(move |location, purpose| credentials::find(&cluster.snapshot(), location, purpose)),
        tools: tools.clone(),
        keys: credentials::age_keys(&registry, &config.age_key),
    };
    let pool = Pool::new(options, tasks.clone());
    let upstream = pool.get(&config.repo);
    let (opening, wanted) = (upstream.clone(), config.branch.clone());
    let branch = blocking(move || open(&opening, wanted)).await?;
    let root = application::ensure(&registry, &config, &branch, None)
        .await
        .map_err(|source| SyncError::Application { name: config.application.clone(), source })?;
    let hub = Hub::new(registry.store().clone(), tasks.clone());
    let progress = watch::Sender::new(Progress::default());
    let (slots, tool_slots) = (Semaphore::new(AT_ONCE), Semaphore::new(TOOLS_AT_ONCE));
    let verified = watch::Sender::new(0);
    let shared = Arc::new(Shared {
        registry,
        config,
        branch,
        root,
        progress,
        pool,
        hub,
        slots,
        tool_slots,
        tools,
        fingerprints,
        verified,
        metrics: SyncMetrics::default(),
        reviews: Reviews::default(),
    });
    tasks.spawn("sync-reviews", review::run(shared.clone()));
    tasks.spawn("sync-records", Recorder::new(shared.clone()).run());
    tasks.spawn("sync-applications", Manager::new(shared.clone(), tasks.clone()).run());
    Ok(Syncer { shared, upstream })
}

fn open(upstream: &Upstream, branch: Option<String>) -> Result<String, SyncError> {
    upstream.opened()?;
    branch.map_or_else(|| Ok(upstream.default_branch()?), Ok)
}

impl Shared {
    /// The repository that a source means. One that is written as the syncer's own is that one, with the credentials
    /// that it was given.
    pub fn upstream(&self, location: &RepoLocation) -> Arc<Upstream> {
        let own = &self.config.repo;
        self.pool.get(if location.to_string() == own.to_string() { own } else { location })
    }
}

impl Syncer {
    /// Looks soon at the repository that the syncer was started with, if that is not due anyway.
    pub fn trigger(&self, why: Trigger) {
        self.upstream.trigger(why);
    }

    /// The Application that shows the state of this sync.
    pub fn application(&self) -> &ObjectKey {
        &self.shared.root
    }

    /// How many objects of all Applications together are known to be as git says.
    pub fn verified(&self) -> watch::Receiver<usize> {
        self.shared.verified.subscribe()
    }

    /// Shows what the syncer counts.
    pub fn register_metrics(&self, catalogue: &mut Catalogue) {
        self.shared.metrics.register(catalogue, self.shared.registry.clone());
    }

    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }
}
