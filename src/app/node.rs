//! The node of this process: starts its agent as soon as the container engine lets it, and connects the API's
//! container streams to it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};

use crate::agent::runtime::Runtime;
use crate::agent::{self, Agent, AgentConfig, AgentHandle, LogError, TeardownError};
use crate::cluster::server::{ByteStream, LogRequest, NodeStreams};
use crate::object::{ApiError, Clock, Reason};
use crate::tasks::Tasks;

/// Longest pause between two tries to start the agent.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

pub struct LocalNode {
    name: String,
    data_dir: PathBuf,
    runtime: Arc<dyn Runtime>,
    agent: OnceLock<AgentHandle>,
}

/// What the agent of this process is started with.
#[derive(Clone)]
pub(super) struct Start {
    pub client: kube::Client,
    pub clock: Clock,
    pub network: bool,
}

impl LocalNode {
    pub(super) fn new(name: String, data_dir: &Path, runtime: Arc<dyn Runtime>) -> Self {
        Self { name, data_dir: data_dir.join("agent"), runtime, agent: OnceLock::new() }
    }

    /// Starts the agent, and tries again for as long as the engine or the kernel refuses.
    pub(super) async fn run_agent(self: Arc<Self>, start: Start, tasks: Tasks) {
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
                Ok(handle) => return drop(self.agent.set(handle)),
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

impl NodeStreams for LocalNode {
    fn logs(&self, node: &str, request: LogRequest) -> BoxFuture<'_, Result<ByteStream, ApiError>> {
        let agent = self.agent.get().filter(|_| node == self.name);
        let unreachable = ApiError::new(Reason::ServiceUnavailable, format!("node \"{node}\" is not connected"));
        Box::pin(async move {
            let stream = agent.ok_or(unreachable)?.logs(to_agent(request)).await.map_err(refusal)?;
            Ok(stream.map_err(std::io::Error::other).boxed())
        })
    }
}

fn to_agent(request: LogRequest) -> agent::LogRequest {
    agent::LogRequest {
        namespace: request.namespace,
        pod: request.pod,
        container: request.container,
        follow: request.follow,
        previous: request.previous,
        timestamps: request.timestamps,
        tail_lines: request.tail_lines,
        since_seconds: None,
        since_time: request.since,
        limit_bytes: request.limit_bytes,
    }
}

fn refusal(error: LogError) -> ApiError {
    match error {
        LogError::NotStarted { .. } | LogError::NoPrevious { .. } => ApiError::bad_request(error.to_string()),
        LogError::Runtime(error) => ApiError::internal(error),
    }
}
