//! A container as a value: what to create, and what the engine reports of one that is there.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;

/// A container to be created.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerSpec {
    pub name: String,
    pub image: String,
    pub labels: BTreeMap<String, String>,
    /// Replaces the image's entry point.
    pub command: Option<Vec<String>>,
    /// Replaces the image's arguments.
    pub args: Option<Vec<String>>,
    pub env: Vec<(String, String)>,
    pub working_dir: Option<String>,
    pub mounts: Vec<Mount>,
    pub resources: Resources,
    pub security: Security,
    pub isolation: Isolation,
    pub tty: bool,
    pub stdin: bool,
    /// The first to attach to stdin closes it by leaving.
    pub stdin_once: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    pub source: PathBuf,
    pub target: String,
    pub read_only: bool,
    /// `HostToContainer` (`rslave`) or `Bidirectional` (`rshared`) of the mount's propagation.
    pub propagation: Option<String>,
}

/// Limits of the control group; `None` for unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Resources {
    pub memory_bytes: Option<i64>,
    pub cpu_shares: Option<i64>,
    /// Microseconds of processor time in each 100 ms.
    pub cpu_quota: Option<i64>,
    /// How early the kernel takes it when memory runs out (-1000 to 1000).
    pub oom_score: i64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Security {
    pub privileged: bool,
    /// `UID`, `UID:GID` or empty for the image's.
    pub user: String,
    pub groups: Vec<String>,
    pub add: Vec<String>,
    pub drop: Vec<String>,
    pub read_only_root: bool,
    pub no_new_privileges: bool,
}

/// Which namespaces the container has, joins or shares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Isolation {
    pub network: NetworkMode,
    pub namespaces: Namespaces,
    pub processes: Processes,
    /// Only for a container that has a network of its own.
    pub hostname: Option<String>,
    pub hosts: Vec<(String, String)>,
    pub dns_servers: Vec<String>,
    pub dns_searches: Vec<String>,
    pub dns_options: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum NetworkMode {
    #[default]
    None,
    Host,
    Named(String),
    /// That of the container with this id.
    Container(String),
}

/// Inter-process communication: shared with the pod's other containers, or the host's.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Namespaces {
    #[default]
    Shareable,
    Host,
    Container(String),
}

/// Which processes the container sees.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Processes {
    #[default]
    Own,
    Host,
    /// Those of the container with this id.
    Container(String),
}

/// A container that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub image: String,
    pub image_id: String,
    pub state: State,
    /// Of a container that has a network of its own.
    pub address: Option<IpAddr>,
    pub created: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub enum State {
    Created,
    Running { started: Timestamp },
    Exited(Exited),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Exited {
    pub code: i32,
    pub out_of_memory: bool,
    /// `None`: it could not be started.
    pub started: Option<Timestamp>,
    pub finished: Timestamp,
    /// What the engine has to say, for example why it could not be started.
    pub message: String,
}

impl Container {
    pub fn label(&self, key: &str) -> &str {
        self.labels.get(key).map_or("", String::as_str)
    }

    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    pub fn started(&self) -> Option<Timestamp> {
        match &self.state {
            State::Created => None,
            State::Running { started } => Some(*started),
            State::Exited(exited) => exited.started,
        }
    }

    pub fn exited(&self) -> Option<&Exited> {
        match &self.state {
            State::Exited(exited) => Some(exited),
            State::Created | State::Running { .. } => None,
        }
    }
}
