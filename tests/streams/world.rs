//! A windlass with scripted containers, a second node that connects over HTTPS, and the kubectl binaries.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use windlass::agent::runtime::Scripted;
use windlass::agent::runtime::scripted::Script;
use windlass::agent::streams::OverHttps;
use windlass::agent::{Agent, AgentConfig};
use windlass::app::{self, Config, Running, Storage};
use windlass::cluster::server::Identity;
use windlass::cluster::server::pki::{self, Authority};
use windlass::object::Clock;
use windlass::tasks::Tasks;

/// A command that takes longer than this hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub engine: Scripted,
    pub far_engine: Scripted,
    pub client: kube::Client,
    running: Running,
    far_tasks: Tasks,
    folder: TempDir,
    kubectl: Kubectl,
    /// What the pods' port 8080 really is: sends back what it gets.
    echo: SocketAddr,
    tasks: Tasks,
}

/// What a finished command printed, and its exit code.
#[derive(Debug)]
pub struct Said {
    pub out: Vec<u8>,
    pub err: String,
    pub code: i32,
}

impl Said {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

/// kubectl binaries whose protocols differ: SPDY only, WebSocket for exec, the tunnel for port-forwards, the newest.
pub fn programs() -> Vec<PathBuf> {
    let sdk = Path::new("/usr/lib/google-cloud-sdk/bin");
    let versions = [27, 30, 31, 33].map(|minor| sdk.join(format!("kubectl.1.{minor}")));
    let mut found: Vec<PathBuf> = versions.into_iter().filter(|program| program.exists()).collect();
    if found.is_empty() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        found.extend(std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|p| p.exists()));
    }
    if found.is_empty() {
        eprintln!("\n*** SKIPPED: no kubectl on this machine; this test has tested nothing ***\n");
    }
    found
}

/// How kubectl reaches a cluster.
pub struct Kubectl {
    pub home: PathBuf,
    pub kubeconfig: PathBuf,
}

impl Kubectl {
    pub fn command(&self, program: &Path, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", &self.home).env("KUBECONFIG", &self.kubeconfig);
        command.arg("--cache-dir").arg(self.home.join("cache").join(program.file_name().unwrap()));
        command.args(arguments).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs kubectl to its end with this input.
    pub async fn run(&self, program: &Path, arguments: &[&str], input: &[u8]) -> Said {
        let mut child = self.command(program, arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let feeding = async move {
            // A command that takes no input may be gone already.
            let _ = stdin.write_all(&input).await;
            drop(stdin);
        };
        let finishing = async { futures::join!(feeding, child.wait_with_output()).1 };
        let output = tokio::time::timeout(PATIENCE, finishing).await;
        let output = output.unwrap_or_else(|_| panic!("{} {arguments:?} hangs", program.display())).unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Said { out: output.stdout, err, code: output.status.code().unwrap_or(-1) }
    }
}

impl World {
    pub async fn start() -> Self {
        let (clock, folder) = (Clock::start(), tempfile::tempdir().unwrap());
        let engine = Scripted::new(clock);
        let data_dir = folder.path().join("plane");
        let running = app::build(Config {
            repo: None,
            data_dir: data_dir.clone(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            node_name: "n1".into(),
            storage: Storage::Memory,
            runtime: Arc::new(engine.clone()),
            network: false,
            webhook_secret: None,
            audit_log: None,
        })
        .await
        .unwrap();
        let client = client_of(&running.kubeconfig).await;
        let (far_engine, far_tasks) = (Scripted::new(clock), Tasks::default());
        let tasks = Tasks::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let echo = listener.local_addr().unwrap();
        tasks.spawn("echo", echo_server(listener, tasks.clone()));
        let kubectl = Kubectl { home: folder.path().to_owned(), kubeconfig: running.kubeconfig.clone() };
        let world = Self { engine, far_engine, client, running, far_tasks, folder, kubectl, echo, tasks };
        world.join("n2", &data_dir, clock).await;
        world
    }

    /// A node of another process, as far as the control plane can tell: it has a certificate and dials.
    async fn join(&self, name: &str, data_dir: &Path, clock: Clock) {
        let authority = Authority::open(&data_dir.join("pki"), clock.now()).unwrap();
        let credentials = authority.client(name, &Identity::node(name), clock.now()).unwrap();
        let kubeconfig = self.folder.path().join("far-kubeconfig");
        let url = format!("https://{}", self.running.address);
        let user = name;
        pki::Kubeconfig { server: &url, authority: authority.certificate(), user, credentials: &credentials }
            .write(&kubeconfig)
            .unwrap();
        let client = client_of(&kubeconfig).await;
        let config = AgentConfig {
            node_name: name.into(),
            data_dir: self.folder.path().join("far"),
            client: client.clone(),
            runtime: Arc::new(self.far_engine.clone()),
            clock,
            network: false,
            control_plane: false,
        };
        let agent = Agent::start(config, &self.far_tasks).await.unwrap();
        agent.connect(Arc::new(OverHttps { client, node_name: name.into() }), &self.far_tasks);
        agent.registered().await;
    }

    /// The far node dies.
    pub async fn lose_far_node(&self) {
        self.far_tasks.stop().await;
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    #[allow(dead_code, reason = "for the tests of clients, which share this file")]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubectl.kubeconfig
    }

    /// Runs a pod with one container `c` on a node, and waits until it runs.
    pub async fn run(&self, name: &str, node: &str, container: Value) {
        let mut definition = json!({"name": "c", "image": "app:1"});
        definition.as_object_mut().unwrap().extend(container.as_object().cloned().unwrap_or_default());
        self.run_pod(name, json!({"nodeName": node, "containers": [definition]})).await;
    }

    pub async fn run_pod(&self, name: &str, spec: Value) {
        for engine in [&self.engine, &self.far_engine] {
            let ports = [(8080, self.echo)].into();
            let script = Script { ports, uses: (250_000_000, 64 << 20), ..Script::default() };
            engine.script("app:1", Script { log: vec!["one".into(), "two".into(), "three".into()], ..script });
        }
        let pod = json!({"metadata": {"name": name, "namespace": "default", "labels": {"app": name}}, "spec": spec});
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
        self.until(name, |pod| pod["status"]["phase"] == "Running").await;
    }

    pub async fn until(&self, name: &str, holds: impl Fn(&Value) -> bool) {
        let waiting = async {
            loop {
                let pod = self.pods().get_opt(name).await.unwrap();
                if holds(&json!(pod)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{name} takes too long"));
    }

    pub async fn delete(&self, name: &str) {
        self.pods().delete(name, &DeleteParams::default().grace_period(0)).await.unwrap();
    }

    pub fn command(&self, program: &Path, arguments: &[&str]) -> tokio::process::Command {
        self.kubectl.command(program, arguments)
    }

    pub async fn kubectl(&self, program: &Path, arguments: &[&str], input: &[u8]) -> Said {
        self.kubectl.run(program, arguments, input).await
    }

    pub async fn stop(self) {
        self.far_tasks.stop().await;
        self.tasks.stop().await;
        self.running.stop().await;
    }
}

pub async fn client_of(kubeconfig: &Path) -> kube::Client {
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

async fn echo_server(listener: TcpListener, tasks: Tasks) {
    while let Ok((mut socket, _)) = listener.accept().await {
        tasks.spawn_once("echo connection", async move {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(read @ 1..) = socket.read(&mut buffer).await {
                if socket.write_all(&buffer[..read]).await.is_err() {
                    break;
                }
            }
        });
    }
}
