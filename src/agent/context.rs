//! What the parts of one agent share: who they are, and the doors to the API, the engine and the clock.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::events::Recorder;
use super::network::{Bridge, Proxy};
use super::runtime::{Network, Runtime};
use super::tokens::Tokens;
use crate::object::Clock;

/// Bound of one request to the API.
pub const API_TIMEOUT: Duration = Duration::from_secs(10);

pub struct Context {
    pub node_name: String,
    /// Tells the containers of this agent from those of any other on the same engine.
    pub agent_id: String,
    pub data_dir: PathBuf,
    pub client: kube::Client,
    pub runtime: Arc<dyn Runtime>,
    pub clock: Clock,
    pub events: Recorder,
    pub tokens: Tokens,
    pub proxy: Proxy,
    pub network: Network,
    /// Where this machine's kernel is ours to configure.
    pub bridge: Option<Bridge>,
    pub host_ip: Option<IpAddr>,
}

impl Context {
    /// Where a pod keeps its volumes.
    pub fn pod_dir(&self, uid: &str) -> PathBuf {
        self.data_dir.join("pods").join(uid)
    }

    /// Where volumes are that outlive pods.
    pub fn volumes_dir(&self) -> PathBuf {
        self.data_dir.join("volumes")
    }
}

/// A request to the API, within its bound.
///
/// # Errors
/// What the API answered, or that it did not.
pub async fn request<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ApiFailure> {
    match tokio::time::timeout(API_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(|error| ApiFailure::Refused(Box::new(error))),
        Err(_) => Err(ApiFailure::TimedOut),
    }
}

/// The API refused, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiFailure {
    #[error(transparent)]
    Refused(Box<kube::Error>),
    #[error("the API server did not answer within {} s", API_TIMEOUT.as_secs())]
    TimedOut,
}

impl ApiFailure {
    /// The HTTP status of a refusal.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused(error) => match error.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::TimedOut => None,
        }
    }
}
