//! Starts everything in order, each part on what the parts before it gave, and stops it in the reverse order.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::config::{Config, Repo, Storage};
use super::door::Door;
use super::node::{LocalNode, Start};
use crate::cluster::registry::{self, Registry};
use crate::cluster::server::{self, Api, AuditLog, Identity, Links, Metrics, pki};
use crate::cluster::store::{BackendError, OpenError, Redb, Store};
use crate::cluster::usage::{Usages, collect};
use crate::cluster::{controllers, scheduler};
use crate::object::{ApiError, Clock};
use crate::sync::{self, SyncConfig, SyncError, Syncer};
use crate::tasks::Tasks;

/// A windlass that serves.
pub struct Running {
    /// Where the API is, with the port that was picked.
    pub address: SocketAddr,
    pub kubeconfig: PathBuf,
    pub registry: Registry,
    pub syncer: Option<Syncer>,
    pub node: Arc<LocalNode>,
    store: Store,
    tasks: Tasks,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot make {path}: {source}")]
    DataDir { path: PathBuf, source: std::io::Error },
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("cannot open the store")]
    Store(#[from] OpenError),
    #[error("cannot write the first objects: {0}")]
    Bootstrap(ApiError),
    #[error("cannot make the certificates")]
    Pki(#[from] pki::PkiError),
    #[error("cannot write {path}: {source}")]
    Kubeconfig { path: PathBuf, source: std::io::Error },
    #[error("cannot write the audit log {path}: {source}")]
    AuditLog { path: PathBuf, source: std::io::Error },
    #[error("cannot follow the repository")]
    Sync(#[from] SyncError),
}

/// Builds and starts a windlass; when it returns, the API serves and the syncer looks at the repository. The agent
/// registers its node in the background: an engine that does not answer shows as a node that is not ready.
///
/// # Errors
/// When a part cannot start; everything that had started is stopped then.
pub async fn build(config: Config) -> Result<Running, StartError> {
    let tasks = Tasks::default();
    let built = start(config, &tasks).await;
    if built.is_err() {
        tasks.stop().await;
    }
    built
}

async fn start(config: Config, tasks: &Tasks) -> Result<Running, StartError> {
    make_private(&config.data_dir)?;
    let listen = |source| StartError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let clock = Clock::start();

    let store = match config.storage {
        Storage::Disk => Store::open(Redb::open(config.data_dir.join("store.redb"))?, tasks)?,
        Storage::Memory => Store::in_memory(tasks),
    };
    let registry = Registry::new(store.clone(), clock).with_accounts();
    let authority = pki::Authority::open(&config.data_dir.join("pki"), clock.now())?;
    registry::bootstrap(&registry).await.map_err(StartError::Bootstrap)?;
    registry::bootstrap_storage(&registry).await.map_err(StartError::Bootstrap)?;

    let syncer = match config.repo {
        Some(repo) => {
            let config = sync_config(repo, config.data_dir.clone(), config.webhook_secret, address);
            Some(sync::start(registry.clone(), config, tasks).await?)
        }
        None => None,
    };
    let (links, usages) = (Links::new(tasks), Usages::default());
    controllers::start(registry.clone(), tasks);
    controllers::start_access(&registry, authority.certificate(), tasks);
    scheduler::start(registry.clone(), tasks);

    let node = Arc::new(LocalNode::new(config.node_name.clone(), &config.data_dir, config.runtime));
    controllers::start_autoscaler(&registry, usages.clone(), tasks);
    let (ready, is_ready) = watch::channel(false);
    let metrics = Metrics::default();
    metrics.observe_store(store.clone());
    if let Some(syncer) = &syncer {
        metrics.register(|catalogue| syncer.register_metrics(catalogue));
    }
    let tokens = Arc::new(server::Tokens::open(&config.data_dir.join("pki"))?);
    let audit = match &config.audit_log {
        Some(path) => {
            let opened = AuditLog::open(path, tasks).await;
            Some(opened.map_err(|source| StartError::AuditLog { path: path.clone(), source })?)
        }
        None => None,
    };
    let api = Api {
        registry: registry.clone(),
        nodes: Arc::new(links.clone()),
        metrics,
        tokens,
        audit,
        ready: is_ready,
        tasks: tasks.clone(),
    };
    let extra = syncer
        .as_ref()
        .map(Syncer::routes)
        .unwrap_or_default()
        .merge(links.routes())
        .merge(server::usage_routes(registry.clone(), usages.clone()));
    tasks.spawn("usage", collect(links.clone(), usages));
    let router = server::router(api, extra);
    let now = clock.now();
    let mut names = server::names_of(address, &config.node_name);
    names.push(registry.services().first().to_string());
    let tls = authority.server_config(&names, now)?;
    let door = Door { registry: registry.clone(), tls: tls.clone(), router: router.clone(), address };
    server::serve(listener, tls, router.clone(), tasks);

    let kubeconfig = config.data_dir.join("kubeconfig");
    let credentials = authority.client("admin", &Identity::admin("kubernetes-admin"), now)?;
    let url = format!("https://{}", reachable(address));
    pki::Kubeconfig {
        server: &url,
        authority: authority.certificate(),
        user: "kubernetes-admin",
        credentials: &credentials,
    }
    .write(&kubeconfig)
    .map_err(|source| StartError::Kubeconfig { path: kubeconfig.clone(), source })?;

    let service = server::in_process(router, Identity::node(&config.node_name), "windlass-agent");
    let client = kube::Client::new(service, "default");
    let start = Start { client, clock, network: config.network, links };
    tasks.spawn_once("agent start", node.clone().run_agent(start, door, tasks.clone()));
    ready.send_replace(true);
    Ok(Running { address, kubeconfig, registry, syncer, node, store, tasks: tasks.clone() })
}

impl Running {
    /// Waits until a part has failed for good, and gives its name.
    pub async fn faulted(&self) -> &'static str {
        self.tasks.faulted().await
    }

    /// Stops serving and writes what is left to write. The containers run on.
    pub async fn stop(self) {
        self.tasks.stop().await;
        self.store.close().await;
    }
}

/// The data directory holds keys: it is for its owner only.
fn make_private(path: &Path) -> Result<(), StartError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StartError::DataDir { path: path.to_owned(), source })
}

/// A client on this machine cannot connect to `0.0.0.0`; it can to loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (std::net::Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, v6.port()).into(),
        named => named,
    }
}

fn sync_config(repo: Repo, data_dir: PathBuf, webhook_secret: Option<Vec<u8>>, address: SocketAddr) -> SyncConfig {
    SyncConfig {
        application: repo.location.name(),
        repo: repo.location,
        branch: repo.branch,
        path: repo.path,
        age_key: data_dir.join("age.key"),
        data_dir: data_dir.join("git"),
        webhook_secret,
        loopback: address.ip().is_loopback(),
        poll_interval: repo.poll_interval,
        tools_path: repo.tools_path,
    }
}
