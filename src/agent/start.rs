//! Puts the parts of an agent together and starts them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest;
use tokio::sync::watch;

use super::context::Context;
use super::events::Recorder;
use super::images;
use super::network::{Bridge, NetworkError, Proxy};
use super::node::{self, Health, Heartbeat};
use super::pods::Pods;
use super::runtime::{Runtime, RuntimeError};
use super::streams::{Dialer, Streams, keep_connected};
use super::tokens::Tokens;
use super::volumes;
use crate::object::Clock;
use crate::tasks::Tasks;

/// What an agent is started with.
pub struct AgentConfig {
    pub node_name: String,
    /// Where the volumes of pods are. It also is the agent's identity: who starts with the same one takes over its containers.
    pub data_dir: PathBuf,
    pub client: kube::Client,
    pub runtime: Arc<dyn Runtime>,
    pub clock: Clock,
    /// Whether Services are programmed into this machine's kernel.
    pub network: bool,
    /// Labels the node as one that carries the control plane.
    pub control_plane: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("the container engine cannot be used")]
    Runtime(#[from] RuntimeError),
    #[error("the network of the pods cannot be made")]
    Network(#[from] NetworkError),
    #[error("the agent's directory {path} cannot be used")]
    DataDir { path: PathBuf, source: std::io::Error },
}

pub struct Agent;

/// The door to a running agent.
#[derive(Clone)]
pub struct AgentHandle {
    streams: Streams,
    registered: watch::Receiver<bool>,
    health: Health,
    gateway: Option<IpAddr>,
    address: Option<IpAddr>,
}

impl Agent {
    /// Starts an agent. What runs already is adopted; containers outlive the agent.
    ///
    /// # Errors
    /// When the engine does not answer, or the network or the directory cannot be made.
    pub async fn start(config: AgentConfig, tasks: &Tasks) -> Result<AgentHandle, AgentError> {
        let AgentConfig { node_name, data_dir, client, runtime, clock, network, control_plane } = config;
        let data_dir = make(&data_dir)?;
        let agent_id = identity(&data_dir);
        let engine = runtime.engine().await?;
        images::ensure_sandbox(runtime.as_ref()).await?;
        let bridge = Bridge::of_agent(&agent_id);
        let pod_network = bridge.ensure(runtime.as_ref()).await?;
        if network {
            bridge.open().await?;
        }
        let facts = node::facts(engine, control_plane);
        let (gateway, address) = (network.then_some(pod_network.gateway), facts.address);
        let events = Recorder::start(client.clone(), node_name.clone(), clock, tasks);
        let bridge = network.then_some(bridge);
        let proxy = Proxy::start(&client, bridge.clone().map(|bridge| (bridge, pod_network.clone())), tasks);
        let (health, health_seen) = watch::channel(true);
        let (registered, registered_seen) = watch::channel(false);
        let context = Arc::new(Context {
            node_name: node_name.clone(),
            agent_id: agent_id.clone(),
            data_dir,
            client: client.clone(),
            runtime: runtime.clone(),
            clock,
            events,
            tokens: Tokens::default(),
            proxy,
            network: pod_network,
            bridge,
            host_ip: facts.address,
        });
        let heartbeat = Heartbeat {
            client,
            node_name,
            facts,
            volumes: context.volumes_dir(),
            runtime: runtime.clone(),
            clock,
            health,
            registered,
        };
        tasks.spawn("node heartbeat", heartbeat.run());
        tasks.spawn("volumes", volumes::reclaim::run(context.clone()));
        tasks.spawn("pods", Pods::run(context, tasks.clone()));
        let streams = Streams { runtime, agent_id, clock };
        Ok(AgentHandle { streams, registered: registered_seen, health: health_seen, gateway, address })
    }
}

impl AgentHandle {
    /// What answers the control plane's requests for this node.
    pub fn streams(&self) -> Streams {
        self.streams.clone()
    }

    /// Opens the connection over which this node is asked, and keeps it open.
    pub fn connect(&self, dialer: Arc<dyn Dialer>, tasks: &Tasks) {
        tasks.spawn("node connection", keep_connected(dialer, Arc::new(self.streams()), tasks.clone()));
    }

    /// The id that this agent's containers and rules carry.
    pub fn id(&self) -> &str {
        &self.streams.agent_id
    }

    /// This machine's address on the bridge of the pods, which nobody but them can reach. `None` without one.
    pub fn gateway(&self) -> Option<IpAddr> {
        self.gateway
    }

    /// The address that this machine would speak from to another one.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Waits until the API has the node.
    pub async fn registered(&self) {
        // An error means that the agent has been stopped.
        let _ = self.registered.clone().wait_for(|done| *done).await;
    }

    /// Whether the engine answers.
    pub fn is_healthy(&self) -> bool {
        *self.health.borrow()
    }
}

fn make(path: &Path) -> Result<PathBuf, AgentError> {
    let failed = |source| AgentError::DataDir { path: path.to_owned(), source };
    std::fs::create_dir_all(path.join("pods")).map_err(failed)?;
    // The engine mounts what is below it, so it must be absolute.
    path.canonicalize().map_err(failed)
}

/// Who keeps their pods in this directory is this agent.
pub fn identity(data_dir: &Path) -> String {
    let path = data_dir.canonicalize().or_else(|_| std::path::absolute(data_dir));
    let path = path.unwrap_or_else(|_| data_dir.to_owned());
    let hash = digest::digest(&digest::SHA256, path.as_os_str().as_encoded_bytes());
    hash.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
