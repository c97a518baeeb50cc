//! Carries a connection to a port of a pod. Each direction ends by itself, as TCP's do; a client that has gone
//! ends both.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::agent::runtime::Connection;
use crate::streams::{Message, PIECE, StreamPair};

pub async fn carry(connection: Box<dyn Connection>, pair: StreamPair) {
    let StreamPair { sender, mut receiver } = pair;
    let (mut reader, mut writer) = tokio::io::split(connection);
    let closing = sender.clone();
    let in_pod = async move {
        loop {
            match receiver.next().await {
                Ok(Some(Message::Input(data))) => {
                    if writer.write_all(&data).await.is_err() {
                        return;
                    }
                }
                Ok(Some(Message::EndOfInput) | None) => {
                    // Whoever has closed already is told nothing new.
                    let _ = writer.shutdown().await;
                    return;
                }
                Ok(Some(_)) => {}
                Err(_) => return,
            }
        }
    };
    let out_of_pod = async move {
        loop {
            let mut piece = BytesMut::with_capacity(PIECE);
            match reader.read_buf(&mut piece).await {
                Ok(1..) => {
                    if !sender.send(Message::Output(piece.freeze())).await {
                        return;
                    }
                }
                Ok(0) | Err(_) => return,
            }
        }
    };
    // What comes out of the pod decides: when that ends, what would still go in is of no use to anybody who waits.
    tokio::select! {
        () = async { futures::join!(in_pod, async { closing.closed().await }); } => {}
        () = out_of_pod => {}
    }
}
