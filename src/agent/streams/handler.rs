//! Takes requests apart and hands each to what answers it.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;

use super::{find, forward, logs, measure, session};
use crate::agent::runtime::{Connection, Runtime};
use crate::object::Clock;
use crate::streams::{AttachRequest, ExecRequest, ForwardRequest, Handler, Refusal, Request, Target, Work};

/// The answering side of one agent.
#[derive(Clone)]
pub struct Streams {
    pub runtime: Arc<dyn Runtime>,
    pub agent_id: String,
    pub clock: Clock,
}

impl Handler for Streams {
    fn open(&self, request: Request) -> BoxFuture<'static, Result<Work, Refusal>> {
        let this = self.clone();
        async move {
            match request {
                Request::Logs(request) => this.logs(request).await,
                Request::Exec(request) => this.exec(request).await,
                Request::Attach(request) => this.attach(request).await,
                Request::Forward(request) => {
                    let connection = this.connect(request).await?;
                    Ok(work(move |pair| forward::carry(connection, pair)))
                }
                Request::Measure => {
                    let measured = measure::take(this.runtime.as_ref(), &this.agent_id, this.clock.now()).await;
                    let measured = measured.map_err(|error| find::failed(&error))?;
                    Ok(work(move |pair| measure::send(measured, pair)))
                }
            }
        }
        .boxed()
    }
}

fn work<F>(begin: impl FnOnce(crate::streams::StreamPair) -> F + Send + 'static) -> Work
where
    F: Future<Output = ()> + Send + 'static,
{
    Box::new(move |pair| begin(pair).boxed())
}

impl Streams {
    async fn logs(&self, request: crate::streams::LogRequest) -> Result<Work, Refusal> {
        let all = find::of_pod(self.runtime.as_ref(), &self.agent_id, &request.target).await;
        let all = all.map_err(|error| find::failed(&error))?;
        let stream = logs::open(self.runtime.as_ref(), all, &request);
        let stream = stream.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        Ok(work(move |pair| logs::send(stream, pair)))
    }

    async fn exec(&self, request: ExecRequest) -> Result<Work, Refusal> {
        let missing = || format!("container not found (\"{}\")", request.target.container);
        let id = self.running(&request.target).await?.ok_or_else(|| internal(missing()))?;
        let wanted = request.wanted;
        let session = self.runtime.exec_attached(&id, &request.command, wanted).await;
        let session = session.map_err(|error| internal(format!("error executing command in container: {error}")))?;
        Ok(work(move |pair| session::carry(session, wanted, pair)))
    }

    async fn attach(&self, request: AttachRequest) -> Result<Work, Refusal> {
        let target = &request.target;
        let pod = format!("{}_{}", target.pod, target.namespace);
        let missing = || internal(format!("container {} not found in pod {pod}", target.container));
        let id = self.running(target).await?.ok_or_else(missing)?;
        let wanted = request.wanted;
        let session = self.runtime.attach(&id, wanted).await.map_err(|error| find::failed(&error))?;
        Ok(work(move |pair| session::carry(session, wanted, pair)))
    }

    /// The id of the container, if it runs.
    async fn running(&self, target: &Target) -> Result<Option<String>, Refusal> {
        let all = find::of_pod(self.runtime.as_ref(), &self.agent_id, target).await;
        let attempts = find::attempts(all.map_err(|error| find::failed(&error))?, &target.container);
        Ok(attempts.into_iter().next_back().filter(|c| c.is_running()).map(|c| c.id))
    }

    async fn connect(&self, request: ForwardRequest) -> Result<Box<dyn Connection>, Refusal> {
        let ForwardRequest { namespace, pod, pod_uid, port, inside } = request;
        let target = Target { namespace, pod, pod_uid, container: String::new() };
        let all = find::of_pod(self.runtime.as_ref(), &self.agent_id, &target).await;
        let all = all.map_err(|error| find::failed(&error))?;
        let missing = || internal(format!("sandbox for pod \"{}_{}\" is not running", target.pod, target.namespace));
        let sandbox = find::sandbox(&all).ok_or_else(missing)?;
        let connected = match inside {
            true => self.runtime.dial_inside(&sandbox.id, port).await,
            false => Ok(None),
        };
        let connected = match connected {
            Ok(None) => self.runtime.dial(find::address(sandbox), port).await,
            Ok(Some(connection)) => Ok(connection),
            Err(error) => Err(error),
        };
        connected.map_err(|error| find::failed(&error))
    }
}

fn internal(message: String) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message)
}
