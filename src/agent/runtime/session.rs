//! A process in a container with its streams in hand: a command that was started in it, or the container's own.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Answer, RuntimeError};
use crate::streams::Size;

/// What the process has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Output(Bytes),
    Errors(Bytes),
}

/// A process's output, piece by piece.
pub type Output = BoxStream<'static, Result<Said, RuntimeError>>;

pub struct Session {
    /// Shut down, it is the end of the process's input.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// Ends when the process has closed its output, which most do by ending.
    pub output: Output,
    pub control: Arc<dyn Control>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

pub trait Control: Send + Sync {
    /// Tells the process that its terminal has another size.
    fn resize(&self, size: Size) -> Answer<'_, ()>;

    /// The exit code, asked for once the output has ended. 0 for a container that was attached to.
    fn exit(&self) -> Answer<'_, i32>;

    /// The client has gone: a command that was started for it is ended, a container that was attached to goes on.
    fn abandon(&self) -> Answer<'_, ()>;
}

/// A byte stream to a port of a pod.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Counters of a container at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub at: Timestamp,
    /// Processor time since its start.
    pub cpu_nanoseconds: u64,
    /// The working set: usage without the file cache that the kernel would drop first.
    pub memory_bytes: u64,
}
