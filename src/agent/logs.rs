//! The log of a container, as `kubectl logs` asks for it. The engine's stream carries a timestamp before each line;
//! what was not asked for is taken out of it here.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};

use super::labels;
use super::runtime::{Container, LogQuery, Runtime, RuntimeError, State};
use crate::object::Clock;

/// Whose log, and what of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogRequest {
    pub namespace: String,
    pub pod: String,
    pub container: String,
    pub follow: bool,
    /// That of the container before its last restart.
    pub previous: bool,
    pub timestamps: bool,
    pub tail_lines: Option<u64>,
    pub since_seconds: Option<i64>,
    pub since_time: Option<Timestamp>,
    pub limit_bytes: Option<u64>,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("container \"{container}\" in pod \"{pod}\" is waiting to start: ContainerCreating")]
    NotStarted { container: String, pod: String },
    #[error("previous terminated container \"{container}\" in pod \"{pod}\" not found")]
    NoPrevious { container: String, pod: String },
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// The bytes of a log; ends when the container does, or at once when it is not followed.
pub type LogStream = BoxStream<'static, Result<Bytes, RuntimeError>>;

/// Opens a log.
///
/// # Errors
/// When there is no such container yet, or the engine does not answer.
pub async fn open(
    runtime: &Arc<dyn Runtime>,
    agent_id: &str,
    clock: Clock,
    request: LogRequest,
) -> Result<LogStream, LogError> {
    let all = runtime.containers(&labels::of_agent(agent_id)).await?;
    let container = choose(all, &request)?;
    let since = request
        .since_seconds
        .map(|seconds| clock.now().saturating_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::UNIX_EPOCH));
    let since = request.since_time.or(since);
    let query = LogQuery { follow: request.follow && container.is_running(), tail: request.tail_lines, since };
    let frames = runtime.logs(&container.id, &query);
    Ok(shape(frames, request.timestamps, since, request.limit_bytes))
}

fn choose(all: Vec<Container>, request: &LogRequest) -> Result<Container, LogError> {
    let is_ours = |c: &Container| {
        c.label(labels::POD_NAMESPACE) == request.namespace
            && c.label(labels::POD_NAME) == request.pod
            && c.label(labels::CONTAINER_NAME) == request.container
            && !labels::is_sandbox(c)
            && c.state != State::Created
    };
    let mut attempts: Vec<Container> = all.into_iter().filter(is_ours).collect();
    // The newest last. A pod of the same name that is on its way out is older.
    attempts.sort_by_key(|c| (c.created, labels::attempt(c)));
    let newest = attempts.pop();
    let uid = newest.as_ref().map(|c| c.label(labels::POD_UID).to_owned());
    if request.previous {
        let before = attempts.pop().filter(|c| Some(c.label(labels::POD_UID)) == uid.as_deref());
        let none = || LogError::NoPrevious { container: request.container.clone(), pod: request.pod.clone() };
        return before.ok_or_else(none);
    }
    let none = || LogError::NotStarted { container: request.container.clone(), pod: request.pod.clone() };
    newest.ok_or_else(none)
}

/// Takes out what was not asked for, piece by piece.
fn shape(frames: LogStream, timestamps: bool, since: Option<Timestamp>, limit: Option<u64>) -> LogStream {
    let mut at_line_start = true;
    let mut left = limit.unwrap_or(u64::MAX);
    let shaped = frames.map(move |frame| {
        let frame = frame?;
        let mut out = BytesMut::with_capacity(frame.len());
        for piece in frame.split_inclusive(|byte| *byte == b'\n') {
            let (stamp, rest) = split_stamp(piece);
            let too_early = stamp.and_then(|(time, _)| since.map(|since| time < since)).unwrap_or(false);
            if !too_early {
                // The engine cuts very long lines and stamps each part.
                if let (true, true, Some((_, text))) = (timestamps, at_line_start, stamp) {
                    out.extend_from_slice(text);
                    out.extend_from_slice(b" ");
                }
                out.extend_from_slice(rest);
            }
            at_line_start = piece.ends_with(b"\n");
        }
        out.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= out.len() as u64;
        Ok((out.freeze(), left == 0))
    });
    // The piece that uses the limit up is the last one.
    let until_limit = shaped.scan(false, |done, item: Result<(Bytes, bool), RuntimeError>| {
        let was_done = std::mem::replace(done, item.as_ref().is_ok_and(|(_, last)| *last));
        futures::future::ready((!was_done).then_some(item))
    });
    until_limit.map(|item| item.map(|(bytes, _)| bytes)).boxed()
}

/// The timestamp before a piece of output, as time and as text, and what follows it.
fn split_stamp(piece: &[u8]) -> (Option<(Timestamp, &[u8])>, &[u8]) {
    let Some(space) = piece.iter().take(40).position(|byte| *byte == b' ') else { return (None, piece) };
    let text = &piece[..space];
    match std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) {
        Some(time) => (Some((time, text)), &piece[space + 1..]),
        None => (None, piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shaped(frames: &[&str], timestamps: bool, since: Option<&str>, limit: Option<u64>) -> String {
        let frames: Vec<_> = frames.iter().map(|frame| Ok(Bytes::from(frame.to_string()))).collect();
        let since = since.map(|time| time.parse().unwrap());
        let stream = shape(futures::stream::iter(frames).boxed(), timestamps, since, limit);
        let all: Vec<_> = stream.map(|bytes| String::from_utf8(bytes.unwrap().to_vec()).unwrap()).collect().await;
        all.concat()
    }

    #[tokio::test]
    async fn stamps_are_shown_only_when_asked_for_and_limits_hold() {
        let frames = ["2026-01-01T00:00:00.5Z one\n", "2026-01-01T00:00:01.5Z lo", "2026-01-01T00:00:01.5Z ng\n"];
        assert_eq!(shaped(&frames, false, None, None).await, "one\nlong\n");
        let stamped = "2026-01-01T00:00:00.5Z one\n2026-01-01T00:00:01.5Z long\n";
        assert_eq!(shaped(&frames, true, None, None).await, stamped);
        assert_eq!(shaped(&frames, false, Some("2026-01-01T00:00:01Z"), None).await, "long\n");
        assert_eq!(shaped(&frames, false, None, Some(5)).await, "one\nl");
    }
}
