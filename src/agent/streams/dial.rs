//! Keeps the agent's one connection to the control plane open, over which it is asked.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::agent::context::API_TIMEOUT;
use crate::streams::{Handler, PROTOCOL, serve};
use crate::tasks::Tasks;

/// Pauses between tries double from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A connection, whatever carries it.
pub trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("the control plane is away")]
    Away(#[source] Box<kube::Error>),
    #[error("the control plane answered {0}")]
    Refused(StatusCode),
    #[error("the control plane did not answer within {} s", API_TIMEOUT.as_secs())]
    TimedOut,
    #[error("the connection broke before it was used")]
    Broken(#[source] hyper::Error),
    #[error("the control plane has stopped")]
    Stopped,
}

/// Reaches the control plane: over HTTPS, or in this process.
pub trait Dialer: Send + Sync + 'static {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Pipe>, DialError>>;
}

/// An upgraded request to the API, with the node's own credentials.
#[derive(Clone)]
pub struct OverHttps {
    pub client: kube::Client,
    pub node_name: String,
}

impl Dialer for OverHttps {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Pipe>, DialError>> {
        async move {
            let mut request = http::Request::new(kube::client::Body::empty());
            *request.method_mut() = Method::POST;
            let path = format!("/api/v1/nodes/{}/connect", self.node_name);
            *request.uri_mut() = path.parse().unwrap_or_default();
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            request.headers_mut().insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
            let answer = tokio::time::timeout(API_TIMEOUT, self.client.send(request)).await;
            let answer = answer.map_err(|_| DialError::TimedOut)?.map_err(|error| DialError::Away(Box::new(error)))?;
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Err(DialError::Refused(answer.status()));
            }
            let upgraded = hyper::upgrade::on(answer).await.map_err(DialError::Broken)?;
            Ok(Box::new(TokioIo::new(upgraded)) as Box<dyn Pipe>)
        }
        .boxed()
    }
}

/// Connects, answers until the connection ends, and connects again, for as long as the agent runs.
pub async fn keep_connected(dialer: Arc<dyn Dialer>, handler: Arc<dyn Handler>, tasks: Tasks) {
    let mut pause = FIRST_PAUSE;
    loop {
        match dialer.dial().await {
            Ok(pipe) => {
                pause = FIRST_PAUSE;
                if let Err(error) = serve(pipe, handler.clone(), tasks.clone()).await {
                    tracing::debug!(%error, "the connection to the control plane broke");
                }
            }
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::debug!(%error, source, "the control plane is not connected");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
