//! A control plane on a free port, and the kubectl binaries of this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use windlass::cluster::registry::{self, Registry};
use windlass::cluster::server::pki::{Authority, Kubeconfig};
use windlass::cluster::server::{Api, Identity, Metrics, NoNodes, Tokens, router, serve};
use windlass::cluster::store::{Memory, Store};
use windlass::object::Clock;
use windlass::tasks::Tasks;

/// A command that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Cluster {
    folder: TempDir,
    tasks: Tasks,
    program: PathBuf,
    // Keeps the server saying that it is ready.
    _ready: watch::Sender<bool>,
}

/// What a finished command printed.
pub struct Said {
    pub out: String,
    pub err: String,
    pub ok: bool,
}

/// Every kubectl of this machine: the versions beside the Google Cloud SDK, else the one in PATH.
pub fn programs() -> Vec<PathBuf> {
    let sdk = Path::new("/usr/lib/google-cloud-sdk/bin");
    let mut found: Vec<PathBuf> =
        (27..=33).map(|minor| sdk.join(format!("kubectl.1.{minor}"))).filter(|p| p.exists()).collect();
    if found.is_empty() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        found.extend(std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|p| p.exists()));
    }
    if found.is_empty() {
        eprintln!("SKIPPED: no kubectl on this machine; install one to run this test");
    }
    found
}

/// The newest kubectl, and the oldest when there are several: their protocols differ most.
pub fn extremes() -> Vec<PathBuf> {
    let mut all = programs();
    if all.len() > 2 {
        all = vec![all.remove(0), all.remove(all.len() - 1)];
    }
    all
}

impl Cluster {
    pub async fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (tasks, clock) = (Tasks::default(), Clock::start());
        let registry = Registry::new(Store::open(Memory, &tasks).unwrap(), clock);
        registry::bootstrap(&registry).await.unwrap();
        let (ready, is_ready) = watch::channel(true);
        let metrics = Metrics::default();
        metrics.observe_store(registry.store().clone());
        let tokens = Arc::new(Tokens::ephemeral().unwrap());
        let (nodes, tasks_of) = (Arc::new(NoNodes), tasks.clone());
        let api = Api { registry, nodes, metrics, tokens, audit: None, ready: is_ready, tasks: tasks_of };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let authority = Authority::open(&folder.path().join("pki"), clock.now()).unwrap();
        let tls = authority.server_config(&["127.0.0.1".into()], clock.now()).unwrap();
        serve(listener, tls, router(api, axum::Router::new()), &tasks);
        let credentials = authority.client("admin", &Identity::admin("kubernetes-admin"), clock.now()).unwrap();
        let kubeconfig = Kubeconfig {
            server: &format!("https://{address}"),
            authority: authority.certificate(),
            user: "kubernetes-admin",
            credentials: &credentials,
        };
        kubeconfig.write(&folder.path().join("kubeconfig")).unwrap();
        Self { folder, tasks, program: program.into(), _ready: ready }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name).display().to_string()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.folder.path()).env("KUBECONFIG", self.path("kubeconfig"));
        command.arg("--cache-dir").arg(self.path("cache")).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs kubectl to its end.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        let child = tokio::process::Command::from(self.command(arguments)).kill_on_drop(true).output();
        let Output { status, stdout, stderr } = tokio::time::timeout(PATIENCE, child)
            .await
            .unwrap_or_else(|_| panic!("{} {arguments:?} hangs", self.program.display()))
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { out: text(stdout), err: text(stderr), ok: status.success() }
    }

    /// Runs kubectl, which must succeed, and gives what it printed.
    pub async fn ok(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert!(said.ok, "{} {arguments:?}\n{}\n{}", self.program.display(), said.out, said.err);
        said.out
    }

    /// Runs kubectl, which must fail, and gives its complaint.
    pub async fn fails(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert!(!said.ok, "{} {arguments:?} must fail\n{}", self.program.display(), said.out);
        said.err
    }

    pub async fn stop(self) {
        self.tasks.stop().await;
    }
}
