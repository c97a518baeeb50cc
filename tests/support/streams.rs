//! Asks an agent without a connection between: what a stream says until it ends.

use windlass::streams::{Ended, Handler, Message, Refusal, Request, pair};

/// What came out, and how it ended.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    pub output: Vec<u8>,
    pub errors: Vec<u8>,
    pub ended: Option<Ended>,
}

/// Opens a stream, says `messages` on it, and listens until it ends.
pub async fn ask(handler: &impl Handler, request: Request, messages: Vec<Message>) -> Result<Heard, Refusal> {
    let work = handler.open(request).await?;
    let (near, far) = pair();
    let talking = async {
        for message in messages {
            near.sender.send(message).await;
        }
        let mut receiver = near.receiver;
        let mut heard = Heard::default();
        while let Some(message) = receiver.next().await.unwrap() {
            match message {
                Message::Output(data) => heard.output.extend_from_slice(&data),
                Message::Errors(data) => heard.errors.extend_from_slice(&data),
                Message::Ended(ended) => heard.ended = Some(ended),
                other => panic!("{other:?} is not for this side"),
            }
        }
        // Kept until here: a client that stays may always say more.
        drop(near.sender);
        heard
    };
    Ok(futures::join!(work(far), talking).1)
}
