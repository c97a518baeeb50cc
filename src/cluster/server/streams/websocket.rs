//! A WebSocket in two halves, with life in it: a client that is silent and does not answer pings is given up.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, Stream, StreamExt};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

const PING: Duration = Duration::from_secs(30);
/// A client whose terminal is paused reads nothing and answers no ping, for as long as a person thinks.
const SILENCE: Duration = Duration::from_secs(600);
/// How long the client may take to answer the closing.
const FAREWELL: Duration = Duration::from_secs(5);
/// The closing was in order. Without a code, kubectl takes it for a failure.
const NORMAL: u16 = 1000;

/// Clones write to the same client.
#[derive(Clone)]
pub struct Mouth(Arc<Mutex<SplitSink<WebSocket, Frame>>>);

pub fn halves(socket: WebSocket) -> (Mouth, impl Stream<Item = Frame> + Send) {
    let (sink, stream) = socket.split();
    (Mouth(Arc::new(Mutex::new(sink))), listen(stream))
}

/// What the client sends, until it closes, breaks or falls silent.
fn listen(stream: SplitStream<WebSocket>) -> impl Stream<Item = Frame> + Send {
    futures::stream::unfold(stream, |mut stream| async move {
        match timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(frame))) if !matches!(frame, Frame::Close(_)) => Some((frame, stream)),
            _ => None,
        }
    })
}

impl Mouth {
    /// Waits until the client has room. `false`: it has gone.
    pub async fn say(&self, frame: Frame) -> bool {
        self.0.lock().await.send(frame).await.is_ok()
    }

    /// Asks from time to time whether the client is there; never ends before it is not.
    pub async fn ping(&self) {
        loop {
            sleep(PING).await;
            if !self.say(Frame::Ping(Bytes::new())).await {
                return;
            }
        }
    }

    /// Closes in order.
    pub async fn close(&self) {
        let close = Frame::Close(Some(CloseFrame { code: NORMAL, reason: "".into() }));
        let closing = async {
            self.say(close).await;
            self.0.lock().await.close().await
        };
        // A client that is gone already has no use for it.
        let _ = timeout(FAREWELL, closing).await;
    }
}
