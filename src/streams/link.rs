//! The control plane's end of a node's connection: opens streams on it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::BytesMut;
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::message::{Message, Receiver, Sender, StreamPair};
use super::request::{Measurement, Request};
use super::{STREAMS, WINDOW};

/// A silent connection is asked whether it is there, and given up when it does not say so.
const ASK: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(20);
/// How long a node may take to begin: it starts a command or connects to a port in that time.
const OPEN: Duration = Duration::from_secs(30);
/// What is read of a refusal's words.
const WORDS: usize = 16 * 1024;
/// The largest measurement that is read: some ten thousand containers.
const MEASUREMENT: usize = 8 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the node's connection is gone")]
    Gone,
    #[error("the node has {STREAMS} streams open")]
    Busy,
    #[error("the node did not answer within {} s", OPEN.as_secs())]
    TimedOut,
    /// The node's own words.
    #[error("{message}")]
    Refused { status: StatusCode, message: String },
}

/// A node that can be asked. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Link {
    sender: http2::SendRequest<Body>,
    slots: Arc<Semaphore>,
}

impl Link {
    /// Begins to use the connection; the future carries it and ends with it.
    ///
    /// # Errors
    /// When the other side does not speak HTTP/2.
    pub async fn over<I>(io: I) -> Result<(Self, impl Future<Output = ()> + Send + 'static), hyper::Error>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(ASK)
            .keep_alive_timeout(ANSWER)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW)
            // Room for every stream at once: one that is not read must not take the room of the others.
            .initial_connection_window_size(WINDOW * STREAMS)
            .max_send_buf_size(WINDOW as usize);
        let (sender, connection) = builder.handshake(TokioIo::new(io)).await?;
        let driver = async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a node's connection broke");
            }
        };
        Ok((Self { sender, slots: Arc::new(Semaphore::new(STREAMS as usize)) }, driver))
    }

    pub fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }

    /// Opens a stream. Dropping it, or its receiver, tells the node to stop.
    ///
    /// # Errors
    /// When the node refuses, does not answer, or has too much to do.
    pub async fn open(&self, request: &Request) -> Result<Opened, OpenError> {
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| OpenError::Busy)?;
        match tokio::time::timeout(OPEN, self.begin(request)).await {
            Ok(pair) => pair.map(|pair| Opened { pair, _slot: Some(slot) }),
            Err(_) => Err(OpenError::TimedOut),
        }
    }

    async fn begin(&self, request: &Request) -> Result<StreamPair, OpenError> {
        let (sender, body) = Sender::with_body();
        let json = serde_json::to_vec(request)
            .map_err(|error| OpenError::Refused { status: StatusCode::BAD_REQUEST, message: error.to_string() })?;
        // The queue is empty, so this does not wait.
        sender.send(Message::Request(json.into())).await;
        let mut connection = self.sender.clone();
        connection.ready().await.map_err(|_| OpenError::Gone)?;
        let mut post = http::Request::new(body);
        *post.method_mut() = http::Method::POST;
        *post.uri_mut() = http::Uri::from_static("http://node/streams");
        let response = connection.send_request(post).await.map_err(|error| {
            tracing::debug!(%error, "a stream was not opened");
            OpenError::Gone
        })?;
        let status = response.status();
        let body = Body::new(response.into_body());
        if status != StatusCode::OK {
            let words = Limited::new(body, WORDS).collect().await.map(|all| all.to_bytes()).unwrap_or_default();
            let message = String::from_utf8_lossy(&words).into_owned();
            return Err(OpenError::Refused { status, message });
        }
        Ok(StreamPair { sender, receiver: Receiver::new(body) })
    }
}

/// An open stream, which counts towards those of its node until it is dropped.
#[derive(Debug)]
pub struct Opened {
    pub pair: StreamPair,
    _slot: Option<OwnedSemaphorePermit>,
}

impl From<StreamPair> for Opened {
    fn from(pair: StreamPair) -> Self {
        Self { pair, _slot: None }
    }
}

/// Reads the answer to `Request::Measure`.
///
/// # Errors
/// Why it cannot be read.
pub async fn measurement(mut opened: Opened) -> Result<Measurement, String> {
    let mut json = BytesMut::new();
    while let Some(message) = opened.pair.receiver.next().await.map_err(|error| error.to_string())? {
        if let Message::Output(data) = message {
            json.extend_from_slice(&data);
        }
        if json.len() > MEASUREMENT {
            return Err("the measurement is too large".to_owned());
        }
    }
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}
