//! Carries a process's streams: input and sizes to it, output and its exit code from it. Ends when the process does
//! or when the client has gone, which ends a command that was started for it.

use std::pin::Pin;

use futures::StreamExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::agent::runtime::{Control, Said, Session};
use crate::streams::{Ended, Message, Receiver, Sender, StreamPair, Wanted};

pub async fn carry(session: Session, wanted: Wanted, pair: StreamPair) {
    let Session { input, mut output, control } = session;
    let StreamPair { sender, receiver } = pair;
    let saying = async {
        while let Some(said) = output.next().await {
            let message = match said {
                Ok(Said::Output(data)) if wanted.stdout || wanted.tty => Message::Output(data),
                Ok(Said::Errors(data)) if wanted.stderr => Message::Errors(data),
                Ok(_) => continue,
                Err(error) => return Ended::Failed { message: error.to_string() },
            };
            if !sender.send(message).await {
                break;
            }
        }
        match control.exit().await {
            Ok(code) => Ended::Exited { code },
            Err(error) => Ended::Failed { message: error.to_string() },
        }
    };
    let input = wanted.stdin.then_some(input);
    let ended = tokio::select! {
        ended = saying => ended,
        () = feed(receiver, input, control.as_ref(), &sender) => {
            if let Err(error) = control.abandon().await {
                tracing::debug!(%error, "a command outlives its client");
            }
            return;
        }
    };
    sender.send(Message::Ended(ended)).await;
}

/// Ends when the client has gone. What it says after the process closed its input is read and dropped, so that its
/// sizes still come through.
async fn feed(
    mut receiver: Receiver,
    mut input: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    control: &dyn Control,
    sender: &Sender,
) {
    loop {
        let message = tokio::select! {
            message = receiver.next() => message,
            () = sender.closed() => return,
        };
        match message {
            Ok(Some(Message::Input(data))) => {
                if let Some(open) = input.as_mut() {
                    let written = tokio::select! {
                        written = async { open.write_all(&data).await.is_ok() && open.flush().await.is_ok() } => written,
                        () = sender.closed() => return,
                    };
                    if !written {
                        input = None;
                    }
                }
            }
            Ok(Some(Message::EndOfInput)) => {
                if let Some(open) = input.as_mut() {
                    // A process that is gone needs no end of input. Kept until the session ends: for some engines,
                    // to let go of the input is to leave.
                    let _ = open.shutdown().await;
                }
            }
            Ok(Some(Message::Resize(size))) => {
                if let Err(error) = control.resize(size).await {
                    tracing::debug!(%error, "a terminal keeps its size");
                }
            }
            Ok(Some(_)) => {}
            // It says no more, but may listen on.
            Ok(None) => {
                sender.closed().await;
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "a client left its process");
                return;
            }
        }
    }
}
