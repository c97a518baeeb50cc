//! The agent's end of its connection: answers the streams that the control plane opens on it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::future::BoxFuture;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::message::{Message, Receiver, Sender, StreamPair};
use super::request::Request;
use super::{STREAMS, WINDOW};
use crate::tasks::Tasks;

const ASK: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(20);
/// How long the first message may take to come.
const FIRST: Duration = Duration::from_secs(10);

/// Why nothing is opened, in words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    pub message: String,
}

impl Refusal {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

/// What goes on on a stream once it is open. It ends when the stream does.
pub type Work = Box<dyn FnOnce(StreamPair) -> BoxFuture<'static, ()> + Send>;

/// Answers requests: an agent, or a test.
pub trait Handler: Send + Sync + 'static {
    /// Looks whether the request can be met, and begins.
    fn open(&self, request: Request) -> BoxFuture<'static, Result<Work, Refusal>>;
}

/// Serves one connection until it ends.
///
/// # Errors
/// When the connection breaks, or the other side falls silent.
pub async fn serve<I>(io: I, handler: Arc<dyn Handler>, tasks: Tasks) -> Result<(), hyper::Error>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let (handler, tasks) = (handler.clone(), tasks.clone());
        async move { Ok::<_, Infallible>(answer(handler, &tasks, request).await) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(ASK)
        .keep_alive_timeout(ANSWER)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW)
        // Room for every stream at once: one that is not read must not take the room of the others.
        .initial_connection_window_size(WINDOW * STREAMS)
        .max_send_buf_size(WINDOW as usize);
    builder.serve_connection(TokioIo::new(io), service).await
}

async fn answer(handler: Arc<dyn Handler>, tasks: &Tasks, request: http::Request<Incoming>) -> Response<Body> {
    let mut receiver = Receiver::new(Body::new(request.into_body()));
    let asked = match tokio::time::timeout(FIRST, receiver.next()).await {
        Ok(Ok(Some(Message::Request(json)))) => serde_json::from_slice(&json).map_err(|error| error.to_string()),
        Ok(Ok(_)) => Err("the first message is to say what is asked for".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("nothing was asked for".to_owned()),
    };
    let opened = match asked {
        Ok(asked) => handler.open(asked).await,
        Err(why) => Err(Refusal::new(StatusCode::BAD_REQUEST, why)),
    };
    match opened {
        Ok(work) => {
            let (sender, body) = Sender::with_body();
            tasks.spawn_once("node stream", work(StreamPair { sender, receiver }));
            Response::new(body)
        }
        Err(refusal) => {
            let mut response = Response::new(Body::from(refusal.message));
            *response.status_mut() = refusal.status;
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::streams::{Ended, ForwardRequest, Link, OpenError};

    /// Sends back what comes in; refuses port 1.
    struct Echo;

    impl Handler for Echo {
        fn open(&self, request: Request) -> BoxFuture<'static, Result<Work, Refusal>> {
            let refused = matches!(&request, Request::Forward(ForwardRequest { port: 1, .. }));
            let work: Work = Box::new(|StreamPair { sender, mut receiver }| {
                async move {
                    while let Ok(Some(message)) = receiver.next().await {
                        if let Message::Input(data) = message {
                            sender.send(Message::Output(data)).await;
                        }
                    }
                    sender.send(Message::Ended(Ended::Exited { code: 0 })).await;
                }
                .boxed()
            });
            let refusal = Refusal::new(StatusCode::BAD_GATEWAY, "connection refused");
            futures::future::ready(if refused { Err(refusal) } else { Ok(work) }).boxed()
        }
    }

    async fn connect(tasks: &Tasks) -> Link {
        let (near, far) = tokio::io::duplex(1 << 16);
        let served = serve(far, Arc::new(Echo), tasks.clone());
        tasks.spawn_once("agent", async { drop(served.await) });
        let (link, driver) = Link::over(near).await.unwrap();
        tasks.spawn_once("link", driver);
        link
    }

    fn forward(port: u16) -> Request {
        Request::Forward(ForwardRequest { port, ..ForwardRequest::default() })
    }

    #[tokio::test]
    async fn a_stream_nobody_reads_does_not_hold_up_another() {
        let tasks = Tasks::default();
        let link = connect(&tasks).await;
        let stuck = link.open(&forward(80)).await.unwrap();
        let filling = async {
            loop {
                stuck.pair.sender.send(Message::Input(vec![1; 32 * 1024].into())).await;
            }
        };
        tokio::pin!(filling);
        let mut other = link.open(&forward(80)).await.unwrap();
        let talking = async {
            for _ in 0..100 {
                other.pair.sender.send(Message::Input(vec![2; 32 * 1024].into())).await;
                assert!(matches!(other.pair.receiver.next().await, Ok(Some(Message::Output(_)))));
            }
            drop(other.pair.sender);
            assert_eq!(other.pair.receiver.next().await.unwrap(), Some(Message::Ended(Ended::Exited { code: 0 })));
            assert_eq!(other.pair.receiver.next().await.unwrap(), None);
        };
        tokio::select! {
            () = &mut filling => unreachable!(),
            () = talking => {}
        }
        tasks.stop().await;
    }

    #[tokio::test]
    async fn a_refusal_comes_in_the_nodes_words() {
        let tasks = Tasks::default();
        let link = connect(&tasks).await;
        let refused = link.open(&forward(1)).await;
        assert!(
            matches!(&refused, Err(OpenError::Refused { message, .. }) if message == "connection refused"),
            "{refused:?}"
        );
        tasks.stop().await;
        assert!(matches!(link.open(&forward(80)).await, Err(OpenError::Gone)));
    }

    #[tokio::test]
    async fn a_node_has_so_many_streams_and_no_more() {
        let tasks = Tasks::default();
        let link = connect(&tasks).await;
        let mut open = Vec::new();
        for _ in 0..STREAMS {
            open.push(link.open(&forward(80)).await.unwrap());
        }
        assert!(matches!(link.open(&forward(80)).await, Err(OpenError::Busy)));
        open.pop();
        assert!(link.open(&forward(80)).await.is_ok());
        tasks.stop().await;
    }
}
