//! A stream to a port of a pod as bytes to read and write.

use std::io;

use bytes::Bytes;
use futures::{SinkExt, sink, stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

use crate::streams::{Message, Opened};

pub trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

pub fn bytes_of(opened: Opened) -> impl Pipe {
    let sender = opened.pair.sender.clone();
    let outputs = stream::try_unfold(opened, |mut opened| async move {
        loop {
            match opened.pair.receiver.next().await.map_err(io::Error::other)? {
                Some(Message::Output(data)) => return Ok(Some((data, opened))),
                Some(_) => {}
                None => return Ok::<_, io::Error>(None),
            }
        }
    });
    let inputs = sink::unfold(sender, |sender, data: Bytes| async move {
        match sender.send(Message::Input(data)).await {
            true => Ok(sender),
            false => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
        }
    });
    let writer = SinkWriter::new(CopyToBytes::new(Box::pin(inputs).sink_map_err(|error: io::Error| error)));
    tokio::io::join(StreamReader::new(Box::pin(outputs)), writer)
}
