//! Carries an exec or attach between a client and its node, whatever the client's protocol; and says how it ended.

use futures::{Stream, StreamExt};
use serde_json::{Value, json};

use crate::streams::{Ended, Message, Opened, StreamPair};

/// Where the client hears.
pub trait Outlet: Send {
    /// Output or errors. `false`: the client has gone.
    fn say(&mut self, message: Message) -> impl Future<Output = bool> + Send;
}

/// Carries messages until the process ends, which is given, or until the client has gone (its messages end).
pub async fn carry(
    opened: Opened,
    said_by_client: impl Stream<Item = Message> + Send,
    outlet: &mut impl Outlet,
) -> Option<Ended> {
    let Opened { pair: StreamPair { sender, mut receiver }, .. } = opened;
    let up = async move {
        let mut said_by_client = std::pin::pin!(said_by_client);
        while let Some(message) = said_by_client.next().await {
            if !sender.send(message).await {
                // The node has ended the stream: what it said last is still to be read.
                std::future::pending::<()>().await;
            }
        }
    };
    let down = async move {
        loop {
            match receiver.next().await {
                Ok(Some(Message::Ended(ended))) => return Some(ended),
                Ok(Some(message @ (Message::Output(_) | Message::Errors(_)))) => {
                    if !outlet.say(message).await {
                        return None;
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => return Some(Ended::Failed { message: "the node ended the stream".to_owned() }),
                Err(error) => return Some(Ended::Failed { message: error.to_string() }),
            }
        }
    };
    tokio::select! {
        () = up => None,
        ended = down => ended,
    }
}

/// The Status that a client reads the exit code from. (Kubernetes, `remotecommand` protocol v4.)
pub fn status(ended: &Ended) -> Value {
    match ended {
        Ended::Exited { code: 0 } => json!({"metadata": {}, "status": "Success"}),
        Ended::Exited { code } => json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with exit code {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]}}),
        Ended::Failed { message } => json!({"metadata": {}, "status": "Failure", "reason": "InternalError",
            "message": format!("Internal error occurred: {message}"),
            "details": {"causes": [{"message": message}]}, "code": 500}),
    }
}

/// The same for protocols before version 4: words, and nothing for success.
pub fn words(ended: &Ended) -> String {
    match ended {
        Ended::Exited { code: 0 } => String::new(),
        Ended::Exited { code } => format!("command terminated with exit code {code}"),
        Ended::Failed { message } => message.clone(),
    }
}
