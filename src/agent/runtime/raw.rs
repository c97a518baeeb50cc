//! Terminals of the Docker engine. What a terminal shows comes without frames, which the client library cannot tell
//! from framed output when it begins with one of the bytes 0, 1 and 2; so the connection is upgraded here and read as
//! it is. Only for an engine at a Unix socket: any other is asked through the library.

use std::path::Path;
use std::pin::Pin;

use bytes::Bytes;
use futures::future::FusedFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio_util::io::ReaderStream;

use super::RuntimeError;
use super::docker::refusal;
use super::session::{Output, Said};

/// What is read of a refusal's words.
const WORDS: usize = 16 * 1024;
/// Bytes of one piece of output.
const PIECE: usize = 16 * 1024;

type Input = Pin<Box<dyn tokio::io::AsyncWrite + Send>>;

/// Sends a request that the engine answers by giving the connection away, and takes it.
pub(super) async fn open(socket: &Path, path: &str, body: &serde_json::Value) -> Result<(Input, Output), RuntimeError> {
    let broken = |reason: String| RuntimeError::Unreachable { reason };
    let stream = UnixStream::connect(socket).await.map_err(|error| broken(error.to_string()))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(error.to_string()))?;
    let request = http::Request::post(path)
        .header(http::header::HOST, "docker")
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(http::header::CONNECTION, "Upgrade")
        .header(http::header::UPGRADE, "tcp")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|error| broken(error.to_string()))?;
    // The connection is carried by this future until it is given away.
    let driving = connection.with_upgrades().fuse();
    tokio::pin!(driving);
    let response = alongside(sender.send_request(request), driving.as_mut()).await;
    let response = response.map_err(|error| broken(error.to_string()))?;
    let status = response.status();
    if status != http::StatusCode::SWITCHING_PROTOCOLS {
        let words = alongside(Limited::new(response.into_body(), WORDS).collect(), driving).await;
        let words = words.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let message = serde_json::from_slice::<serde_json::Value>(&words).ok();
        let message = message.and_then(|said| said["message"].as_str().map(str::to_owned));
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(&words).into_owned());
        let status_code = status.as_u16();
        return Err(refusal(bollard::errors::Error::DockerResponseServerError { status_code, message }));
    }
    let upgraded = alongside(hyper::upgrade::on(response), driving).await;
    let upgraded = upgraded.map_err(|error| broken(error.to_string()))?;
    let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
    let output = ReaderStream::with_capacity(reader, PIECE).map_ok(Said::Output);
    let output = output.map_err(|error| RuntimeError::Unreachable { reason: error.to_string() }).boxed();
    Ok((Box::pin(writer), output))
}

/// Does the work while the driver is polled for as long as it has something to do.
async fn alongside<T>(work: impl Future<Output = T>, mut driver: Pin<&mut impl FusedFuture>) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = driver.as_mut(), if !driver.is_terminated() => {}
        }
    }
}
