//! What the API needs of the agents: the streams of a node's containers. `app` connects it to the agents'
//! connections; the server knows no agent.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;

use crate::object::ApiError;

/// Which lines of which container's log. (Kubernetes API, `PodLogOptions`.)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogRequest {
    pub namespace: String,
    pub pod: String,
    pub pod_uid: String,
    pub container: String,
    pub follow: bool,
    /// The container's run before the present one.
    pub previous: bool,
    /// Each line starts with its RFC 3339 time.
    pub timestamps: bool,
    pub tail_lines: Option<u64>,
    pub limit_bytes: Option<u64>,
    pub since: Option<Timestamp>,
}

pub type ByteStream = BoxStream<'static, Result<Bytes, std::io::Error>>;

pub trait NodeStreams: Send + Sync {
    /// The log of a container on `node`; with `follow` the stream ends when the container does.
    fn logs(&self, node: &str, request: LogRequest) -> BoxFuture<'_, Result<ByteStream, ApiError>>;
}

/// For a control plane without nodes.
#[derive(Debug, Default)]
pub struct NoNodes;

impl NodeStreams for NoNodes {
    fn logs(&self, node: &str, _: LogRequest) -> BoxFuture<'_, Result<ByteStream, ApiError>> {
        let error = ApiError::internal(format!("node {node:?} is not connected"));
        Box::pin(async { Err(error) })
    }
}
