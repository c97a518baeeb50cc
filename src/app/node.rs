//! The node of this process: starts its agent as soon as the container engine lets it, and connects it to the
//! control plane.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::door::Door;
use crate::agent::runtime::Runtime;
use crate::agent::streams::{DialError, Dialer, Pipe};
use crate::agent::{self, Agent, AgentConfig, TeardownError};
use crate::cluster::server::Links;
use crate::object::Clock;
use crate::tasks::Tasks;

/// Longest pause between two tries to start the agent.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Bytes between the control plane and the agent of this process.
const PIPE: usize = 256 * 1024;

pub struct LocalNode {
    name: String,
    data_dir: PathBuf,
    runtime: Arc<dyn Runtime>,
}

/// What the agent of this process is started with.
#[derive(Clone)]
pub(super) struct Start {
    pub client: kube::Client,
    pub clock: Clock,
    pub network: bool,
    pub links: Links,
}

impl LocalNode {
    pub(super) fn new(name: String, data_dir: &Path, runtime: Arc<dyn Runtime>) -> Self {
        Self { name, data_dir: data_dir.join("agent"), runtime }
    }

    /// Starts the agent, and tries again for as long as the engine or the kernel refuses.
    pub(super) async fn run_agent(self: Arc<Self>, start: Start, door: Door, tasks: Tasks) {
        let mut pause = Duration::from_millis(500);
        loop {
            let config = AgentConfig {
                node_name: self.name.clone(),
                data_dir: self.data_dir.clone(),
                client: start.client.clone(),
                runtime: self.runtime.clone(),
                clock: start.clock,
                network: start.network,
                control_plane: true,
            };
            match Agent::start(config, &tasks).await {
                Ok(handle) => {
                    let dialer = InProcess { links: start.links, node_name: self.name.clone() };
                    handle.connect(Arc::new(dialer), &tasks);
                    return door.open(&handle, &tasks).await;
                }
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the agent cannot start yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Removes every container, rule and network of this node's agent, which must have been stopped.
    ///
    /// # Errors
    /// When the engine or the kernel refuses.
    pub async fn teardown(&self) -> Result<usize, TeardownError> {
        agent::teardown(self.runtime.as_ref(), &self.data_dir).await
    }
}

/// Reaches the control plane of this process: the same protocol, on a pipe.
struct InProcess {
    links: Links,
    node_name: String,
}

impl Dialer for InProcess {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Pipe>, DialError>> {
        async move {
            let (near, far) = tokio::io::duplex(PIPE);
            // The handshake of this end waits for nothing from the other.
            self.links.connect(&self.node_name, near).await.map_err(DialError::Broken)?;
            Ok(Box::new(far) as Box<dyn Pipe>)
        }
        .boxed()
    }
}
