//! Port-forwards in the older form over WebSocket: of each port in the query, channel `2n` is the connection and
//! channel `2n + 1` what went wrong; each begins with the port in two bytes, least first. One connection a port.

use axum::extract::ws::WebSocket;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use tokio::sync::mpsc;

use super::channels::Protocol;
use super::forward::Pod;
use super::websocket::{Mouth, halves};
use crate::streams::{Message, Opened, StreamPair};

/// Pieces of a port that wait to be sent into the pod.
const QUEUE: usize = 8;

pub async fn carry(socket: WebSocket, protocol: Protocol, ports: Vec<u16>, pod: Pod) {
    let (mouth, frames) = halves(socket);
    let (inlets, outlets): (Vec<_>, Vec<_>) = ports.iter().map(|_| mpsc::channel::<Bytes>(QUEUE)).unzip();
    let connections = (0..).zip(ports.into_iter().zip(outlets)).map(|(n, (port, inlet)): (u8, _)| {
        let channel = 2 * n;
        one(mouth.clone(), protocol, channel, port, inlet, pod.clone())
    });
    let sorting = async move {
        let mut inlets: Vec<Option<mpsc::Sender<Bytes>>> = inlets.into_iter().map(Some).collect();
        let mut frames = std::pin::pin!(frames);
        while let Some(frame) = frames.next().await {
            let Some((channel, data)) = protocol.parts(frame) else { continue };
            let (channel, data) = match (channel, data.first()) {
                // The client closes a channel: the end of its half.
                (255, Some(closed)) => (*closed, None),
                (255, None) => continue,
                (channel, _) => (channel, Some(data)),
            };
            let Some(slot) = inlets.get_mut(usize::from(channel / 2)).filter(|_| channel % 2 == 0) else { continue };
            let goes_on = match (data, slot.as_ref()) {
                (None, _) | (_, None) => false,
                (Some(data), Some(_)) if data.is_empty() => true,
                // A connection that has ended takes no more.
                (Some(data), Some(inlet)) => inlet.send(data).await.is_ok(),
            };
            if !goes_on {
                *slot = None;
            }
        }
    };
    tokio::select! {
        _ = join_all(connections) => {}
        () = sorting => {}
        () = mouth.ping() => {}
    }
    mouth.close().await;
}

async fn one(mouth: Mouth, protocol: Protocol, channel: u8, port: u16, mut inlet: mpsc::Receiver<Bytes>, pod: Pod) {
    for channel in [channel, channel + 1] {
        if !mouth.say(protocol.frame(channel, &port.to_le_bytes())).await {
            return;
        }
    }
    let opened = match pod.dial(port).await {
        Ok(opened) => opened,
        Err(why) => {
            mouth.say(protocol.frame(channel + 1, why.as_bytes())).await;
            return;
        }
    };
    let Opened { pair: StreamPair { sender, mut receiver }, .. } = opened;
    let up = async {
        while let Some(data) = inlet.recv().await {
            if !sender.send(Message::Input(data)).await {
                break;
            }
        }
        sender.send(Message::EndOfInput).await;
        std::future::pending::<()>().await;
    };
    let down = async {
        while let Ok(Some(message)) = receiver.next().await {
            if let Message::Output(data) = message
                && !mouth.say(protocol.frame(channel, &data)).await
            {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
