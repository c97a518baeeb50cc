//! The Docker engine, over its API. Thin: every call is one request with a timeout and a change of form.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use bollard::errors::Error as DockerError;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerInspectResponse, Ipam, IpamConfig, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptions, EventsOptions, ImportImageOptions, KillContainerOptions,
    ListContainersOptions, LogsOptions, RemoveContainerOptions,
};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt, future};
use jiff::Timestamp;

use super::{
    Answer, Change, Connection, Container, ContainerSpec, Engine, ExecOutput, Exited, Image, Label, LogQuery, Login,
    Look, Network, NetworkSpec, Runtime, RuntimeError, Sample, Session, Sight, Signal, State, attached, create,
};
use crate::agent::look;
use crate::streams::Wanted;

/// Bound of a call that should take milliseconds.
pub(super) const SHORT: Duration = Duration::from_secs(20);
/// Bound of a call that moves image data.
const LONG: Duration = Duration::from_secs(900);
/// Where an engine is that nothing else is said of.
const SOCKET: &str = "/var/run/docker.sock";
/// What is kept of a command's output.
const MAX_OUTPUT: usize = 10 << 10;

/// A Docker engine. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Docker {
    pub(super) client: bollard::Docker,
    /// Where the engine is, if it is at a Unix socket and so on this machine.
    pub(super) socket: Option<PathBuf>,
}

impl Docker {
    /// Connects to the engine that `DOCKER_HOST` names, else to the local one, and agrees on a version with it.
    ///
    /// # Errors
    /// When no engine answers.
    pub async fn connect() -> Result<Self, RuntimeError> {
        let client = bollard::Docker::connect_with_defaults().map_err(refusal)?;
        let client = within(SHORT, client.negotiate_version()).await?;
        let socket = match std::env::var("DOCKER_HOST") {
            Ok(host) => host.strip_prefix("unix://").map(PathBuf::from),
            Err(_) => Some(PathBuf::from(SOCKET)),
        };
        Ok(Self { client: client.with_timeout(LONG), socket })
    }

    /// Connects to the engine at a Unix socket.
    ///
    /// # Errors
    /// When no engine answers there.
    pub async fn at_socket(path: &str) -> Result<Self, RuntimeError> {
        let client = bollard::Docker::connect_with_unix(path, LONG.as_secs(), bollard::API_DEFAULT_VERSION);
        let client = within(SHORT, client.map_err(refusal)?.negotiate_version()).await?;
        Ok(Self { client, socket: Some(PathBuf::from(path)) })
    }
}

pub(super) async fn within<T>(
    bound: Duration,
    call: impl Future<Output = Result<T, DockerError>>,
) -> Result<T, RuntimeError> {
    match tokio::time::timeout(bound, call).await {
        Ok(answer) => answer.map_err(refusal),
        Err(_) => Err(RuntimeError::TimedOut { seconds: bound.as_secs() }),
    }
}

pub(super) fn refusal(error: DockerError) -> RuntimeError {
    match error {
        DockerError::DockerResponseServerError { status_code: 404, message } => RuntimeError::NotFound { message },
        DockerError::DockerResponseServerError { status_code: 409, message } => RuntimeError::Conflict { message },
        DockerError::DockerResponseServerError { message, .. } => RuntimeError::Refused { message },
        DockerError::DockerStreamError { error } => RuntimeError::Refused { message: error },
        DockerError::RequestTimeoutError => RuntimeError::TimedOut { seconds: LONG.as_secs() },
        other => RuntimeError::Unreachable { reason: other.to_string() },
    }
}

fn gone_is_fine(answer: Result<(), RuntimeError>) -> Result<(), RuntimeError> {
    match answer {
        Err(RuntimeError::NotFound { .. } | RuntimeError::Conflict { .. }) => Ok(()),
        other => other,
    }
}

impl Runtime for Docker {
    fn engine(&self) -> Answer<'_, Engine> {
        async move {
            let info = within(SHORT, self.client.info()).await?;
            let architecture = match info.architecture.unwrap_or_default().as_str() {
                "x86_64" => "amd64".to_owned(),
                "aarch64" => "arm64".to_owned(),
                other => other.to_owned(),
            };
            Ok(Engine {
                version: format!("docker://{}", info.server_version.unwrap_or_default()),
                kernel: info.kernel_version.unwrap_or_default(),
                os_image: info.operating_system.unwrap_or_default(),
                architecture,
                cpus: info.ncpu.unwrap_or_default(),
                memory_bytes: info.mem_total.unwrap_or_default(),
                root: PathBuf::from(info.docker_root_dir.unwrap_or_default()),
            })
        }
        .boxed()
    }

    fn containers<'a>(&'a self, label: &'a Label) -> Answer<'a, Vec<Container>> {
        async move {
            let options = ListContainersOptions {
                all: true,
                filters: Some(HashMap::from([("label".to_owned(), vec![equal(label)])])),
                ..ListContainersOptions::default()
            };
            let listed = within(SHORT, self.client.list_containers(Some(options))).await?;
            let ids = listed.into_iter().filter_map(|summary| summary.id);
            // The list has neither exit codes nor times, so each container is asked for them.
            let details = futures::stream::iter(ids).map(|id| async move { self.inspect(&id).await }).buffered(8);
            details.try_filter_map(|found| future::ready(Ok(found))).try_collect().await
        }
        .boxed()
    }

    fn inspect<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Container>> {
        async move {
            match within(SHORT, self.client.inspect_container(id, None)).await {
                Ok(found) => Ok(Some(container(found))),
                Err(RuntimeError::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        }
        .boxed()
    }

    fn changes(&self, label: &Label, since: Timestamp) -> BoxStream<'static, Result<Change, RuntimeError>> {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("label".to_owned(), vec![equal(label)]),
            (
                "event".to_owned(),
                ["start", "die", "oom", "destroy", "rename", "pause", "unpause"].map(String::from).into(),
            ),
        ]);
        let options = EventsOptions {
            since: Some(format!("{}.{:09}", since.as_second(), since.subsec_nanosecond().max(0))),
            until: None,
            filters: Some(filters),
        };
        let changes = self.client.events(Some(options)).map_err(refusal).try_filter_map(|event| {
            let actor = event.actor.unwrap_or_default();
            let labels = actor.attributes.unwrap_or_default().into_iter().collect();
            future::ready(Ok(actor.id.map(|id| Change { id, labels })))
        });
        changes.boxed()
    }

    fn image<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Image>> {
        async move {
            match within(SHORT, self.client.inspect_image(name)).await {
                Ok(found) => {
                    let id = found.id.unwrap_or_default();
                    let digest = found.repo_digests.and_then(|digests| digests.into_iter().next());
                    let id = digest.map_or(format!("docker://{id}"), |digest| format!("docker-pullable://{digest}"));
                    Ok(Some(Image { id, size_bytes: found.size.unwrap_or_default() }))
                }
                Err(RuntimeError::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        }
        .boxed()
    }

    fn pull<'a>(&'a self, name: &'a str, login: Option<&'a Login>) -> Answer<'a, ()> {
        async move {
            let options = CreateImageOptions { from_image: Some(tagged(name)), ..CreateImageOptions::default() };
            let credentials = login.map(|login| bollard::auth::DockerCredentials {
                username: Some(login.user.clone()),
                password: Some(login.password.clone()),
                serveraddress: Some(login.server.clone()),
                ..bollard::auth::DockerCredentials::default()
            });
            let steps = self.client.create_image(Some(options), None, credentials);
            let pulled = steps.try_for_each(|step| {
                let failure = step.error_detail.and_then(|detail| detail.message);
                future::ready(failure.map_or(Ok(()), |error| Err(DockerError::DockerStreamError { error })))
            });
            within(LONG, pulled).await
        }
        .boxed()
    }

    fn load(&self, archive: Bytes) -> Answer<'_, ()> {
        async move {
            let steps = self.client.import_image(ImportImageOptions::default(), bollard::body_full(archive), None);
            within(LONG, steps.try_for_each(|_| future::ready(Ok(())))).await
        }
        .boxed()
    }

    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Answer<'a, String> {
        async move {
            let options = CreateContainerOptions { name: Some(spec.name.clone()), ..CreateContainerOptions::default() };
            let created = self.client.create_container(Some(options), create::body(spec));
            Ok(within(SHORT, created).await?.id)
        }
        .boxed()
    }

    fn start<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        within(SHORT, self.client.start_container(id, None)).boxed()
    }

    fn signal<'a>(&'a self, id: &'a str, signal: Signal) -> Answer<'a, ()> {
        async move {
            let signal = match signal {
                Signal::Kill => "SIGKILL".to_owned(),
                Signal::Stop => self.stop_signal(id).await,
            };
            let sent = self.client.kill_container(id, Some(KillContainerOptions { signal }));
            gone_is_fine(within(SHORT, sent).await)
        }
        .boxed()
    }

    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        async move {
            let options = RemoveContainerOptions { force: true, v: true, link: false };
            gone_is_fine(within(SHORT, self.client.remove_container(id, Some(options))).await)
        }
        .boxed()
    }

    fn exec<'a>(&'a self, id: &'a str, command: &'a [String], timeout: Duration) -> Answer<'a, ExecOutput> {
        async move {
            let run = async {
                let options = CreateExecOptions {
                    attach_stdout: Some(true),
                    attach_stderr: Some(true),
                    cmd: Some(command.to_vec()),
                    ..CreateExecOptions::default()
                };
                let exec = self.client.create_exec(id, options).await?;
                let mut kept = Vec::new();
                if let StartExecResults::Attached { mut output, .. } = self.client.start_exec(&exec.id, None).await? {
                    while let Some(piece) = output.try_next().await? {
                        let room = MAX_OUTPUT.saturating_sub(kept.len());
                        let piece = piece.into_bytes();
                        kept.extend_from_slice(&piece[..piece.len().min(room)]);
                    }
                }
                let exit_code = self.client.inspect_exec(&exec.id).await?.exit_code.unwrap_or_default();
                Ok(ExecOutput { exit_code, output: String::from_utf8_lossy(&kept).into_owned() })
            };
            within(timeout, run).await
        }
        .boxed()
    }

    fn exec_attached<'a>(&'a self, id: &'a str, command: &'a [String], wanted: Wanted) -> Answer<'a, Session> {
        attached::exec(self, id, command, wanted).boxed()
    }

    fn attach<'a>(&'a self, id: &'a str, wanted: Wanted) -> Answer<'a, Session> {
        attached::attach(self, id, wanted).boxed()
    }

    fn dial(&self, address: IpAddr, port: u16) -> Answer<'_, Box<dyn Connection>> {
        attached::dial(address, port).boxed()
    }

    fn dial_inside<'a>(&'a self, sandbox: &'a str, port: u16) -> Answer<'a, Option<Box<dyn Connection>>> {
        attached::dial_inside(self, sandbox, port).boxed()
    }

    fn sample<'a>(&'a self, id: &'a str, now: Timestamp) -> Answer<'a, Option<Sample>> {
        attached::sample(self, id, now).boxed()
    }

    fn probe<'a>(&'a self, id: &'a str, look: &'a Look, timeout: Duration) -> future::BoxFuture<'a, Sight> {
        async move {
            let Look::Exec { command } = look else {
                return look::at(look, timeout).await;
            };
            match self.exec(id, command, timeout).await {
                Ok(done) if done.exit_code == 0 => Sight::Well,
                Ok(done) => Sight::Ill(done.output),
                Err(RuntimeError::TimedOut { .. }) => {
                    Sight::Ill(format!("command timed out: {command:?} timed out after {}s", timeout.as_secs()))
                }
                Err(error) => Sight::Unknown(error.to_string()),
            }
        }
        .boxed()
    }

    fn logs(&self, id: &str, query: &LogQuery) -> BoxStream<'static, Result<Bytes, RuntimeError>> {
        let options = LogsOptions {
            follow: query.follow,
            stdout: true,
            stderr: true,
            timestamps: true,
            since: query.since.map_or(0, |t| i32::try_from(t.as_second()).unwrap_or(i32::MAX)),
            until: 0,
            tail: query.tail.map_or("all".to_owned(), |n| n.to_string()),
        };
        self.client.logs(id, Some(options)).map_ok(bollard::container::LogOutput::into_bytes).map_err(refusal).boxed()
    }

    fn ensure_network<'a>(&'a self, spec: &'a NetworkSpec) -> Answer<'a, Network> {
        async move {
            if let Some(found) = self.network(spec).await? {
                return Ok(found);
            }
            let mut last = RuntimeError::Refused { message: "no subnet to choose from".to_owned() };
            for subnet in &spec.candidates {
                match within(SHORT, self.client.create_network(network_request(spec, subnet))).await {
                    Ok(_) | Err(RuntimeError::Conflict { .. }) => {
                        if let Some(found) = self.network(spec).await? {
                            return Ok(found);
                        }
                    }
                    // The subnet overlaps with another network: the next one may not.
                    Err(error @ RuntimeError::Refused { .. }) => last = error,
                    Err(error) => return Err(error),
                }
            }
            Err(last)
        }
        .boxed()
    }

    fn remove_network<'a>(&'a self, name: &'a str) -> Answer<'a, ()> {
        async move {
            match within(SHORT, self.client.remove_network(name)).await {
                Err(RuntimeError::NotFound { .. }) => Ok(()),
                other => other,
            }
        }
        .boxed()
    }
}

impl Docker {
    async fn network(&self, spec: &NetworkSpec) -> Result<Option<Network>, RuntimeError> {
        let found = match within(SHORT, self.client.inspect_network(&spec.name, None)).await {
            Ok(found) => found,
            Err(RuntimeError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let unusable = || RuntimeError::Refused { message: format!("network {:?} has no usable subnet", spec.name) };
        let mut configs = found.ipam.and_then(|ipam| ipam.config).unwrap_or_default().into_iter();
        let config = configs.find(|c| c.subnet.as_ref().is_some_and(|s| s.contains('.'))).ok_or_else(unusable)?;
        let subnet = config.subnet.ok_or_else(unusable)?;
        // Not every engine names the gateway of a network: it is the subnet's first address.
        let named = config.gateway.and_then(|gateway| gateway.split('/').next()?.parse().ok());
        let gateway = named.or_else(|| first_address(&subnet)).ok_or_else(unusable)?;
        Ok(Some(Network { name: spec.name.clone(), bridge: spec.bridge.clone(), subnet, gateway }))
    }

    async fn stop_signal(&self, id: &str) -> String {
        let found = within(SHORT, self.client.inspect_container(id, None)).await.ok();
        let signal = found.and_then(|found| found.config?.stop_signal).filter(|signal| !signal.is_empty());
        signal.unwrap_or_else(|| "SIGTERM".to_owned())
    }
}

fn first_address(subnet: &str) -> Option<IpAddr> {
    let base: Ipv4Addr = subnet.split('/').next()?.parse().ok()?;
    Some(IpAddr::V4(Ipv4Addr::from_bits(base.to_bits() + 1)))
}

fn equal(label: &Label) -> String {
    format!("{}={}", label.key, label.value)
}

/// Docker pulls every tag of a name that has none.
fn tagged(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains(':') || last.contains('@') { image.to_owned() } else { format!("{image}:latest") }
}

fn network_request(spec: &NetworkSpec, subnet: &str) -> NetworkCreateRequest {
    let options = [("com.docker.network.bridge.name", spec.bridge.as_str())];
    NetworkCreateRequest {
        name: spec.name.clone(),
        driver: Some("bridge".to_owned()),
        ipam: Some(Ipam {
            config: Some(vec![IpamConfig { subnet: Some(subnet.to_owned()), ..IpamConfig::default() }]),
            ..Ipam::default()
        }),
        options: Some(options.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        ..NetworkCreateRequest::default()
    }
}

fn container(found: ContainerInspectResponse) -> Container {
    let config = found.config.unwrap_or_default();
    let labels: BTreeMap<String, String> = config.labels.unwrap_or_default().into_iter().collect();
    let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let created = time(found.created.as_deref()).unwrap_or_default();
    Container {
        id: found.id.unwrap_or_default(),
        name: found.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        labels,
        image: config.image.unwrap_or_default(),
        image_id: found.image.unwrap_or_default(),
        state: state(found.state.unwrap_or_default(), created),
        address: networks.into_values().find_map(|n| n.ip_address.and_then(|ip| ip.parse().ok())),
        created,
    }
}

fn state(state: bollard::models::ContainerState, created: Timestamp) -> State {
    let started = time(state.started_at.as_deref());
    let code = state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1);
    let message = state.error.unwrap_or_default();
    match started {
        Some(started) if state.running == Some(true) => State::Running { started },
        Some(_) => State::Exited(Exited {
            code,
            out_of_memory: state.oom_killed == Some(true),
            started,
            finished: time(state.finished_at.as_deref()).unwrap_or(created),
            message,
        }),
        // The engine tried to start it and could not: it has an exit code (126, 127, 128) but never ran.
        None if code > 0 => {
            State::Exited(Exited { code: 128, out_of_memory: false, started: None, finished: created, message })
        }
        None => State::Created,
    }
}

/// The engine writes year 1 for "never".
fn time(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(|t| t.parse().ok()).filter(|t: &Timestamp| t.as_second() > 0)
}
