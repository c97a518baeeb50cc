//! The messages of a stream, and their bytes: kind (1 byte), length (4 bytes, big endian), payload. The end of the
//! bytes in one direction is the end of that direction. Everything that is read is bounded.

use std::convert::Infallible;
use std::pin::Pin;

use axum::body::{Body, BodyDataStream};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// The largest payload that is sent; longer data goes in several messages.
pub const PIECE: usize = 32 * 1024;
/// The largest payload that is read: room for a request with a long command.
const LARGEST: usize = 4 * 1024 * 1024;
const HEAD: usize = 5;
/// Messages that wait for the connection to take them.
const QUEUE: usize = 4;

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Size {
    pub width: u16,
    pub height: u16,
}

/// How what ran has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ended {
    Exited { code: i32 },
    Failed { message: String },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// What is asked for, as JSON; the first message.
    Request(Bytes),
    /// To the process, or to the port.
    Input(Bytes),
    EndOfInput,
    Resize(Size),
    /// From the process, the log or the port.
    Output(Bytes),
    /// From the process's standard error.
    Errors(Bytes),
    /// The last message about something that ends by itself.
    Ended(Ended),
}

#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error("a message of kind {0} means nothing")]
    UnknownKind(u8),
    #[error("a message of {0} bytes is longer than {LARGEST}")]
    TooLong(usize),
    #[error("a message of kind {kind} cannot be read: {source}")]
    Malformed { kind: u8, source: serde_json::Error },
    #[error("the stream ends inside a message")]
    Truncated,
    #[error("the stream broke: {0}")]
    Broken(#[source] axum::Error),
}

impl Message {
    fn encode(&self) -> Bytes {
        let json = |value: serde_json::Result<Vec<u8>>| Bytes::from(value.unwrap_or_default());
        let (kind, payload) = match self {
            Self::Request(request) => (0, request.clone()),
            Self::Input(data) => (1, data.clone()),
            Self::EndOfInput => (2, Bytes::new()),
            Self::Resize(size) => (3, json(serde_json::to_vec(size))),
            Self::Output(data) => (4, data.clone()),
            Self::Errors(data) => (5, data.clone()),
            Self::Ended(ended) => (6, json(serde_json::to_vec(ended))),
        };
        let mut bytes = BytesMut::with_capacity(HEAD + payload.len());
        bytes.put_u8(kind);
        bytes.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
        bytes.put(payload);
        bytes.freeze()
    }

    /// Takes the first complete message off `buffer`.
    fn decode(buffer: &mut BytesMut) -> Result<Option<Self>, MessageError> {
        let Some(mut head) = buffer.get(..HEAD) else { return Ok(None) };
        let kind = head.get_u8();
        let length = head.get_u32() as usize;
        if length > LARGEST {
            return Err(MessageError::TooLong(length));
        }
        if kind > 6 {
            return Err(MessageError::UnknownKind(kind));
        }
        if buffer.len() < HEAD + length {
            return Ok(None);
        }
        buffer.advance(HEAD);
        let payload = buffer.split_to(length).freeze();
        let malformed = |source| MessageError::Malformed { kind, source };
        Ok(Some(match kind {
            0 => Self::Request(payload),
            1 => Self::Input(payload),
            2 => Self::EndOfInput,
            3 => Self::Resize(serde_json::from_slice(&payload).map_err(malformed)?),
            4 => Self::Output(payload),
            5 => Self::Errors(payload),
            _ => Self::Ended(serde_json::from_slice(&payload).map_err(malformed)?),
        }))
    }
}

/// The sending half of a stream. Dropped, it ends the direction.
#[derive(Clone, Debug)]
pub struct Sender(mpsc::Sender<Result<Bytes, Infallible>>);

impl Sender {
    /// A sender, and the body that carries what it sends.
    pub(super) fn with_body() -> (Self, Body) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), Body::from_stream(ReceiverStream::new(receiver)))
    }

    /// Waits until the other side has room. `false`: it has gone.
    pub async fn send(&self, message: Message) -> bool {
        let (make, mut data): (fn(Bytes) -> Message, Bytes) = match message {
            Message::Input(data) if data.len() > PIECE => (Message::Input, data),
            Message::Output(data) if data.len() > PIECE => (Message::Output, data),
            Message::Errors(data) if data.len() > PIECE => (Message::Errors, data),
            whole => return self.0.send(Ok(whole.encode())).await.is_ok(),
        };
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(PIECE));
            if self.0.send(Ok(make(piece).encode())).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Waits until the other side has gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// The receiving half of a stream.
#[derive(Debug)]
pub struct Receiver {
    body: Pin<Box<BodyDataStream>>,
    buffer: BytesMut,
}

impl Receiver {
    pub(super) fn new(body: Body) -> Self {
        Self { body: Box::pin(body.into_data_stream()), buffer: BytesMut::new() }
    }

    /// The next message; `None` at the end of the direction. Can be dropped at any await without losing one.
    ///
    /// # Errors
    /// When the stream breaks, or what comes is not in this protocol.
    pub async fn next(&mut self) -> Result<Option<Message>, MessageError> {
        loop {
            if let Some(message) = Message::decode(&mut self.buffer)? {
                return Ok(Some(message));
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(error)) => return Err(MessageError::Broken(error)),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(MessageError::Truncated),
            }
        }
    }
}

/// One end of a stream.
#[derive(Debug)]
pub struct StreamPair {
    pub sender: Sender,
    pub receiver: Receiver,
}

/// Two ends that are connected, without a connection between them.
pub fn pair() -> (StreamPair, StreamPair) {
    let ((here, to_there), (there, to_here)) = (Sender::with_body(), Sender::with_body());
    let end = |sender, body| StreamPair { sender, receiver: Receiver::new(body) };
    (end(here, to_here), end(there, to_there))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn messages() -> Vec<Message> {
        vec![
            Message::Request(Bytes::from_static(b"{}")),
            Message::Input(Bytes::from_static(b"in")),
            Message::EndOfInput,
            Message::Resize(Size { width: 80, height: 24 }),
            Message::Output(Bytes::from_static(b"out")),
            Message::Errors(Bytes::new()),
            Message::Ended(Ended::Exited { code: 3 }),
        ]
    }

    #[tokio::test]
    async fn messages_arrive_as_they_were_sent_whatever_the_pieces() {
        let (here, mut there) = pair();
        for message in messages() {
            let sent = here.sender.clone();
            assert!(sent.send(message.clone()).await);
            assert_eq!(there.receiver.next().await.unwrap(), Some(message));
        }
        drop(here);
        assert_eq!(there.receiver.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_sender_waits_for_its_reader() {
        let (here, mut there) = pair();
        let much = Message::Output(Bytes::from(vec![7; PIECE * 20]));
        let sending = here.sender.send(much);
        let reading = async {
            let mut seen = 0;
            while seen < PIECE * 20 {
                let Some(Message::Output(piece)) = there.receiver.next().await.unwrap() else { panic!() };
                assert!(piece.len() <= PIECE);
                seen += piece.len();
            }
        };
        tokio::pin!(sending);
        assert!(futures::poll!(sending.as_mut()).is_pending(), "nobody has read yet");
        assert!(futures::join!(sending, reading).0);
        drop(there);
        assert!(!here.sender.send(Message::EndOfInput).await, "the reader has gone");
    }

    proptest! {
        #[test]
        fn any_bytes_are_messages_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(bytes.as_slice());
            while let Ok(Some(_)) = Message::decode(&mut buffer) {}
            prop_assert!(buffer.len() <= bytes.len());
        }
    }
}
