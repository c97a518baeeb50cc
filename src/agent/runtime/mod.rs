//! The container engine as the agent sees it: a trait over containers and images, with two implementors.
//! `docker` talks to a Docker engine; `scripted` keeps containers as values, for tests under paused time.
//! Knows nothing of pods: what a container belongs to is in its labels.

mod attached;
mod container;
mod create;
pub mod docker;
mod error;
mod inside;
mod pretend;
mod raw;
pub mod scripted;
mod session;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;

pub use container::{
    Container, ContainerSpec, Exited, Isolation, Mount, Namespaces, NetworkMode, Processes, Resources, Security, State,
};
pub use docker::Docker;
pub use error::RuntimeError;
pub use scripted::Scripted;
pub use session::{Connection, Control, Said, Sample, Session};

use crate::streams::Wanted;

type Answer<'a, T> = BoxFuture<'a, Result<T, RuntimeError>>;

/// A container engine. Every call ends within a bound of its own and can be dropped at any await.
pub trait Runtime: Send + Sync + 'static {
    /// Asks the engine what it is; also the check of its health.
    fn engine(&self) -> Answer<'_, Engine>;

    /// All containers that carry the label, running or not.
    fn containers<'a>(&'a self, label: &'a Label) -> Answer<'a, Vec<Container>>;

    /// One container by id or name; `None` when there is no such container.
    fn inspect<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Container>>;

    /// What happens to containers that carry the label, from `since` on. Ends or fails when the engine does.
    fn changes(&self, label: &Label, since: Timestamp) -> BoxStream<'static, Result<Change, RuntimeError>>;

    /// The image that `name` stands for here, if it is here.
    fn image<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Image>>;

    /// Fetches an image from its registry.
    fn pull<'a>(&'a self, name: &'a str, login: Option<&'a Login>) -> Answer<'a, ()>;

    /// Loads images out of an archive in `docker save` form.
    fn load(&self, archive: Bytes) -> Answer<'_, ()>;

    /// Creates a container and gives its id; it does not run yet.
    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Answer<'a, String>;

    fn start<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;

    /// Sends a signal; a container that does not run or is gone counts as done.
    fn signal<'a>(&'a self, id: &'a str, signal: Signal) -> Answer<'a, ()>;

    /// Removes a container, with force; one that is gone counts as done.
    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;

    /// Runs a command in a container until it ends; output beyond a bound is dropped.
    fn exec<'a>(&'a self, id: &'a str, command: &'a [String], timeout: Duration) -> Answer<'a, ExecOutput>;

    /// Starts a command in a container and gives its streams. Who leaves before its end says so by `Control::abandon`.
    fn exec_attached<'a>(&'a self, id: &'a str, command: &'a [String], wanted: Wanted) -> Answer<'a, Session>;

    /// Gives the streams of the container's own process, from now on.
    fn attach<'a>(&'a self, id: &'a str, wanted: Wanted) -> Answer<'a, Session>;

    /// Connects to a port of a pod at its address.
    fn dial(&self, address: IpAddr, port: u16) -> Answer<'_, Box<dyn Connection>>;

    /// Connects to a port of the pod that this sandbox is of, from within its network: what listens on the pod's
    /// loopback only is reached too. `None` when its network cannot be entered from here.
    fn dial_inside<'a>(&'a self, sandbox: &'a str, port: u16) -> Answer<'a, Option<Box<dyn Connection>>>;

    /// What a container has used; `None` when it does not run.
    fn sample<'a>(&'a self, id: &'a str, now: Timestamp) -> Answer<'a, Option<Sample>>;

    /// Looks at a container from outside, once.
    fn probe<'a>(&'a self, id: &'a str, look: &'a Look, timeout: Duration) -> BoxFuture<'a, Sight>;

    /// The output of a container; the stream is that of the engine, line for line, with a timestamp before each.
    fn logs(&self, id: &str, query: &LogQuery) -> BoxStream<'static, Result<Bytes, RuntimeError>>;

    /// Makes sure that the network of the pods exists.
    fn ensure_network<'a>(&'a self, spec: &'a NetworkSpec) -> Answer<'a, Network>;

    /// Removes a network; one that is gone counts as done.
    fn remove_network<'a>(&'a self, name: &'a str) -> Answer<'a, ()>;
}

/// A label that selects containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub key: &'static str,
    pub value: String,
}

/// What the engine says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Engine {
    /// As in a Node's `containerRuntimeVersion`: `docker://28.5.1`.
    pub version: String,
    pub kernel: String,
    /// For example `Debian GNU/Linux 12 (bookworm)`.
    pub os_image: String,
    /// As Go names it: `amd64`, `arm64`.
    pub architecture: String,
    pub cpus: i64,
    pub memory_bytes: i64,
    /// Where the engine keeps images and containers.
    pub root: std::path::PathBuf,
}

/// Something happened to a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub id: String,
    pub labels: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// As in a container status's `imageID`.
    pub id: String,
    pub size_bytes: i64,
}

/// Name and password for a registry.
#[derive(Clone, Default, PartialEq)]
pub struct Login {
    pub server: String,
    pub user: String,
    pub password: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// The image's stop signal, SIGTERM by default.
    Stop,
    Kill,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecOutput {
    pub exit_code: i64,
    pub output: String,
}

/// How to look at a container.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    Http { host: IpAddr, port: u16, path: String, tls: bool, headers: Vec<(String, String)> },
    Tcp { host: IpAddr, port: u16 },
    Exec { command: Vec<String> },
    Grpc { host: IpAddr, port: u16, service: String },
}

/// What was seen. `Unknown`: the look itself failed, so nothing is known of the container.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    Well,
    Ill(String),
    Unknown(String),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogQuery {
    pub follow: bool,
    pub tail: Option<u64>,
    pub since: Option<Timestamp>,
}

/// A network of pods on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSpec {
    pub name: String,
    /// Name of the bridge device, at most 15 characters.
    pub bridge: String,
    /// Subnets to take the first free one of.
    pub candidates: Vec<String>,
    pub labels: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub name: String,
    pub bridge: String,
    /// For example `10.88.0.0/16`.
    pub subnet: String,
    pub gateway: IpAddr,
}
