//! What the API needs of the nodes: a stream to a container, a port or figures. The server knows no agent, only that
//! some node's connection is there or is not.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::object::ApiError;
use crate::streams::{OpenError, Opened, Request};

pub trait NodeStreams: Send + Sync {
    /// Asks `node`.
    fn open(&self, node: &str, request: Request) -> BoxFuture<'_, Result<Opened, OpenError>>;
}

/// For a control plane without nodes.
#[derive(Debug, Default)]
pub struct NoNodes;

impl NodeStreams for NoNodes {
    fn open(&self, _: &str, _: Request) -> BoxFuture<'_, Result<Opened, OpenError>> {
        futures::future::ready(Err(OpenError::Gone)).boxed()
    }
}

/// The refusal for a client whose request needs no upgrade.
pub fn refusal(node: &str, error: OpenError) -> ApiError {
    match error {
        OpenError::Refused { status, message } if status == http::StatusCode::BAD_REQUEST => {
            ApiError::bad_request(message)
        }
        OpenError::Refused { message, .. } => ApiError::internal(message),
        OpenError::Gone => ApiError::internal(format!("error dialing backend: node {node:?} is not connected")),
        OpenError::Busy => {
            let message = format!("node {node:?} has too many streams open, try again later");
            ApiError { retry_after_seconds: Some(1), ..ApiError::new(crate::object::Reason::TooManyRequests, message) }
        }
        OpenError::TimedOut => {
            ApiError::new(crate::object::Reason::Timeout, format!("node {node:?} did not answer in time"))
        }
    }
}
