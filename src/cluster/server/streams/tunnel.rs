//! A WebSocket as a stream of bytes: the payloads of its binary messages, joined. Message borders mean nothing.

use std::io;

use axum::extract::ws::Message as Frame;
use bytes::Bytes;
use futures::{SinkExt, Stream, StreamExt, sink};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

use super::websocket::Mouth;

pub fn reader(frames: impl Stream<Item = Frame> + Send + 'static) -> impl AsyncRead + Send {
    let payloads = frames.filter_map(|frame| {
        std::future::ready(match frame {
            Frame::Binary(bytes) if !bytes.is_empty() => Some(Ok::<Bytes, io::Error>(bytes)),
            _ => None,
        })
    });
    StreamReader::new(Box::pin(payloads))
}

pub fn writer(mouth: Mouth) -> impl AsyncWrite + Send {
    let frames = sink::unfold(mouth, |mouth, bytes: Bytes| async move {
        match mouth.say(Frame::Binary(bytes)).await {
            true => Ok(mouth),
            false => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
        }
    });
    SinkWriter::new(CopyToBytes::new(Box::pin(frames).sink_map_err(io::Error::from)))
}
