//! The log of a container, as `kubectl logs` asks for it. The engine's stream carries a timestamp before each line;
//! what was not asked for is taken out of it here.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;

use super::find;
use crate::agent::labels;
use crate::agent::runtime::{Container, LogQuery, Runtime, RuntimeError};
use crate::streams::{Ended, LogRequest, Message, StreamPair};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("container \"{container}\" in pod \"{pod}\" is waiting to start: ContainerCreating")]
    NotStarted { container: String, pod: String },
    #[error("previous terminated container \"{container}\" in pod \"{pod}\" not found")]
    NoPrevious { container: String, pod: String },
}

/// The bytes of a log; ends when the container does, or at once when it is not followed.
pub type LogStream = BoxStream<'static, Result<Bytes, RuntimeError>>;

/// Opens a log of one of the pod's containers.
///
/// # Errors
/// When there is no such container yet.
pub fn open(runtime: &dyn Runtime, of_pod: Vec<Container>, request: &LogRequest) -> Result<LogStream, LogError> {
    let container = choose(of_pod, request)?;
    let follow = request.follow && container.is_running();
    let query = LogQuery { follow, tail: request.tail_lines, since: request.since };
    let frames = runtime.logs(&container.id, &query);
    Ok(shape(frames, request.timestamps, request.since, request.limit_bytes))
}

/// Sends a log until it ends or its reader has gone.
pub async fn send(mut log: LogStream, pair: StreamPair) {
    loop {
        let piece = tokio::select! {
            piece = log.next() => piece,
            () = pair.sender.closed() => return,
        };
        let sent = match piece {
            None => return,
            Some(Ok(bytes)) if bytes.is_empty() => true,
            Some(Ok(bytes)) => pair.sender.send(Message::Output(bytes)).await,
            Some(Err(error)) => {
                pair.sender.send(Message::Ended(Ended::Failed { message: error.to_string() })).await;
                return;
            }
        };
        if !sent {
            return;
        }
    }
}

fn choose(of_pod: Vec<Container>, request: &LogRequest) -> Result<Container, LogError> {
    let target = &request.target;
    let mut attempts = find::attempts(of_pod, &target.container);
    let newest = attempts.pop();
    let uid = newest.as_ref().map(|c| c.label(labels::POD_UID).to_owned());
    if request.previous {
        let before = attempts.pop().filter(|c| Some(c.label(labels::POD_UID)) == uid.as_deref());
        let none = || LogError::NoPrevious { container: target.container.clone(), pod: target.pod.clone() };
        return before.ok_or_else(none);
    }
    let none = || LogError::NotStarted { container: target.container.clone(), pod: target.pod.clone() };
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
