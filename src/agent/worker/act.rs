//! Begins an action: writes down that it is under way and starts it beside the others.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LifecycleHandler, Pod};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, DeleteParams, Preconditions};

use super::outcome::Outcome;
use super::{Worker, make};
use crate::agent::context::{self, Context};
use crate::agent::events::Subject;
use crate::agent::labels;
use crate::agent::lifecycle::probing::{self, ProbeKind};
use crate::agent::lifecycle::{Action, Hook, Stopping, spec};
use crate::agent::runtime::{Look, Sight};

/// Bound of a hook that no grace period bounds.
const HOOK_TIMEOUT: Duration = Duration::from_secs(600);

impl Worker {
    pub(super) fn act(&mut self, action: Action, now: Timestamp) {
        let task = action.task();
        let (context, pod) = (self.context.clone(), self.pod.clone());
        let work: BoxFuture<'static, Outcome> = match action {
            Action::Stop { id, deadline, why } => return self.stop(&id, deadline, why),
            Action::Volumes => {
                // A change from now on is one more reason to make them.
                self.seen.memory.volumes_stale = false;
                Box::pin(make::volumes(context, pod))
            }
            Action::CreateSandbox { attempt } => Box::pin(make::sandbox(context, pod, attempt)),
            Action::Start { container, attempt, backoff } => {
                let Some(sandbox) = self.seen.running_sandbox() else { return };
                let target = spec::target(&pod, &container).and_then(|target| self.seen.latest(target));
                let place = make::Place {
                    target: target.filter(|target| target.is_running()).map(|target| target.id.clone()),
                    sandbox: sandbox.id.clone(),
                    address: sandbox.address,
                    attempt,
                    backoff_seconds: backoff.as_secs(),
                    cancel: self.starts.clone(),
                };
                Box::pin(make::container(context, pod, container, place))
            }
            Action::Remove { id } => Box::pin(async move {
                if let Err(error) = context.runtime.remove(&id).await {
                    tracing::debug!(%id, %error, "a container could not be removed");
                }
                Outcome::Removed { id }
            }),
            Action::Signal { id, signal } => Box::pin(async move {
                let result = context.runtime.signal(&id, signal).await;
                Outcome::Signalled { id, signal, result }
            }),
            Action::PostStart { id } => {
                self.seen.memory.hooks.insert(id.clone(), Hook::Running);
                let hook = self.hook(&id, HOOK_TIMEOUT, |l| l.post_start.as_ref());
                Box::pin(async move { Outcome::PostStarted { failure: hook.await, id } })
            }
            Action::PreStop { id } => {
                let left = self.seen.memory.stopping.get_mut(&id).map(|stopping| {
                    stopping.hook = Some(Hook::Running);
                    stopping.deadline.duration_since(now).unsigned_abs()
                });
                let hook = self.hook(&id, left.unwrap_or(HOOK_TIMEOUT), |l| l.pre_stop.as_ref());
                Box::pin(async move { Outcome::PreStopped { failure: hook.await, id } })
            }
            Action::Probe { id, kind } => self.probe(id, kind),
            Action::Drain => Box::pin(async move {
                context.proxy.withdraw(pod.metadata.uid.clone()).await;
                Outcome::Drained
            }),
            Action::Delete => Box::pin(async move { Outcome::Deleted { result: delete(&context, &pod).await } }),
            Action::Clean => {
                let ids: Vec<String> = self.seen.containers.keys().cloned().collect();
                Box::pin(make::clean(context, pod, ids))
            }
        };
        self.seen.memory.busy.insert(task);
        self.running.push(work);
    }

    pub(super) fn stop(&mut self, id: &str, deadline: Timestamp, why: String) {
        let fresh = Stopping { deadline, hook: None, stop_sent: None, kill_sent: None };
        let stopping = self.seen.memory.stopping.entry(id.to_owned()).or_insert(fresh);
        stopping.deadline = stopping.deadline.min(deadline);
        if why.is_empty() {
            return;
        }
        if let Some(container) = self.seen.containers.get(id) {
            let name = container.label(labels::CONTAINER_NAME).to_owned();
            self.note(Subject::container(&self.pod, &name), "Killing", &why);
        }
    }

    fn hook(
        &self,
        id: &str,
        timeout: Duration,
        which: fn(&k8s_openapi::api::core::v1::Lifecycle) -> Option<&LifecycleHandler>,
    ) -> BoxFuture<'static, Option<String>> {
        let (context, pod, id) = (self.context.clone(), self.pod.clone(), id.to_owned());
        let address = self.seen.running_sandbox().and_then(|sandbox| sandbox.address).or(context.host_ip);
        let name = self.seen.containers.get(&id).map(|c| c.label(labels::CONTAINER_NAME).to_owned());
        Box::pin(async move {
            let definition = spec::container(&pod, &name?).map(|(definition, _)| definition)?;
            let handler = definition.lifecycle.as_ref().and_then(which)?;
            if let Some(sleep) = &handler.sleep {
                let wait = Duration::from_secs(sleep.seconds.try_into().unwrap_or_default());
                tokio::time::sleep(wait.min(timeout)).await;
                return None;
            }
            let probe = k8s_openapi::api::core::v1::Probe {
                exec: handler.exec.clone(),
                http_get: handler.http_get.clone(),
                tcp_socket: handler.tcp_socket.clone(),
                ..Default::default()
            };
            let look = look(definition, &probe, address)?;
            match context.runtime.probe(&id, &look, timeout).await {
                Sight::Well => None,
                Sight::Ill(why) | Sight::Unknown(why) => Some(why),
            }
        })
    }

    fn probe(&self, id: String, kind: ProbeKind) -> BoxFuture<'static, Outcome> {
        let (context, pod): (Arc<Context>, Arc<Pod>) = (self.context.clone(), self.pod.clone());
        let address = self.seen.running_sandbox().and_then(|sandbox| sandbox.address).or(context.host_ip);
        let name = self.seen.containers.get(&id).map(|c| c.label(labels::CONTAINER_NAME).to_owned());
        Box::pin(async move {
            let definition = name.and_then(|name| spec::container(&pod, &name)).map(|(definition, _)| definition);
            let probe = definition.and_then(|definition| kind.of(definition));
            let look = definition.zip(probe).and_then(|(definition, probe)| look(definition, probe, address));
            let sight = match (look, probe) {
                (Some(look), Some(probe)) => context.runtime.probe(&id, &look, probing::timeout(probe)).await,
                _ => Sight::Unknown("the probe names no port that the container has".to_owned()),
            };
            Outcome::Sighted { id, kind, sight }
        })
    }
}

/// How a probe (or a hook, which has the same forms) looks at the container.
fn look(
    definition: &k8s_openapi::api::core::v1::Container,
    probe: &k8s_openapi::api::core::v1::Probe,
    address: Option<std::net::IpAddr>,
) -> Option<Look> {
    let port = |port: &IntOrString| -> Option<u16> {
        match port {
            IntOrString::Int(number) => u16::try_from(*number).ok(),
            IntOrString::String(name) => {
                let named = definition.ports.iter().flatten().find(|p| p.name.as_ref() == Some(name));
                named.map_or_else(|| name.parse().ok(), |p| u16::try_from(p.container_port).ok())
            }
        }
    };
    let host = |host: &Option<String>| match host.as_deref() {
        None | Some("") => address,
        Some(host) => host.parse().ok(),
    };
    if let Some(exec) = &probe.exec {
        return Some(Look::Exec { command: exec.command.clone().unwrap_or_default() });
    }
    if let Some(http) = &probe.http_get {
        let headers = http.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone())).collect();
        let path = http.path.clone().unwrap_or_default();
        let path = if path.starts_with('/') { path } else { format!("/{path}") };
        let tls = http.scheme.as_deref() == Some("HTTPS");
        return Some(Look::Http { host: host(&http.host)?, port: port(&http.port)?, path, tls, headers });
    }
    if let Some(tcp) = &probe.tcp_socket {
        return Some(Look::Tcp { host: host(&tcp.host)?, port: port(&tcp.port)? });
    }
    let grpc = probe.grpc.as_ref()?;
    let service = grpc.service.clone().unwrap_or_default();
    Some(Look::Grpc { host: address?, port: u16::try_from(grpc.port).ok()?, service })
}

/// Lets the API forget the pod: nothing of it runs any more.
async fn delete(context: &Context, pod: &Pod) -> Result<(), context::ApiFailure> {
    let pods: Api<Pod> =
        Api::namespaced(context.client.clone(), pod.metadata.namespace.as_deref().unwrap_or("default"));
    let preconditions = Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
    let parameters =
        DeleteParams { grace_period_seconds: Some(0), preconditions: Some(preconditions), ..DeleteParams::default() };
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    context::request(pods.delete(name, &parameters)).await.map(drop)
}
