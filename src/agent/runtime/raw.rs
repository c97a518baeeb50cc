//! Terminals of the Docker engine. What a terminal shows comes without frames, which the client library cannot tell
//! from framed output when it begins with one of the bytes 0, 1 and 2; so the connection is upgraded here and read as
//! it is. Only for an engine at a Unix socket: any other is asked through the library.

use std::path::Path;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
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

type Input = std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>;

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
    // The connection lives in this future until it is given away, and after that in what it was upgraded to.
    let asking = async { sender.send_request(request).await };
    let driving = connection.with_upgrades();
    tokio::pin!(driving);
    tokio::pin!(asking);
    let response = tokio::select! {
        response = &mut asking => response,
        ended = &mut driving => match ended {
            Ok(()) => asking.await,
            Err(error) => Err(error),
        },
    };
    let response = response.map_err(|error| broken(error.to_string()))?;
    let status = response.status();
    if status != http::StatusCode::SWITCHING_PROTOCOLS {
        let words = Limited::new(response.into_body(), WORDS).collect();
        let words = tokio::select! {
            words = words => words.map(http_body_util::Collected::to_bytes).unwrap_or_default(),
            _ = driving => Bytes::new(),
        };
        let message = serde_json::from_slice::<serde_json::Value>(&words).ok();
        let message = message.and_then(|said| said["message"].as_str().map(str::to_owned));
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(&words).into_owned());
        let status_code = status.as_u16();
        return Err(refusal(bollard::errors::Error::DockerResponseServerError { status_code, message }));
    }
    let upgrading = hyper::upgrade::on(response);
    let upgraded = futures::future::join(upgrading, driving).await.0.map_err(|error| broken(error.to_string()))?;
    let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
    let output = ReaderStream::with_capacity(reader, PIECE).map_ok(Said::Output);
    let output = output.map_err(|error| RuntimeError::Unreachable { reason: error.to_string() }).boxed();
    Ok((Box::pin(writer), output))
}
