//! What is known of a pod on this node, and what can be done about it, as values.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::probing::{ProbeKind, ProbeState};
use crate::agent::labels;
use crate::agent::runtime::{Container, Signal};

/// All that the decisions look at beside the pod itself.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The containers of the pod that the engine has, by id.
    pub containers: BTreeMap<String, Container>,
    pub memory: Memory,
}

/// What only the running agent knows. Losing it costs time, never a restart: it is rebuilt from the engine.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// What is under way; it is not begun a second time.
    pub busy: BTreeSet<Task>,
    /// Why a container (or the sandbox, or the volumes) could not be made, until it can.
    pub failures: BTreeMap<Task, Failure>,
    pub probes: BTreeMap<(String, ProbeKind), ProbeState>,
    /// The post-start hook of a container, by id.
    pub hooks: BTreeMap<String, Hook>,
    pub stopping: BTreeMap<String, Stopping>,
    /// When the pod was seen to be gone from the API, and the seconds of grace that it had left.
    pub gone: Option<(Timestamp, i64)>,
    pub volumes_ready: bool,
    /// What the volumes are made from has changed since.
    pub volumes_stale: bool,
    /// No new connection comes to the pod through a Service.
    pub drained: bool,
    /// The API has let go of the pod.
    pub deleted: bool,
    /// All that the pod had here is removed.
    pub cleaned: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// As in a waiting container's state, for example `ErrImagePull`.
    pub reason: String,
    pub message: String,
    pub at: Timestamp,
    /// How often in a row.
    pub count: u32,
    pub retry_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Running,
    Done,
}

/// A running container that is to end.
#[derive(Clone, Debug, PartialEq)]
pub struct Stopping {
    /// When it is killed.
    pub deadline: Timestamp,
    /// `None` before the pre-stop hook has begun.
    pub hook: Option<Hook>,
    pub stop_sent: Option<Timestamp>,
    pub kill_sent: Option<Timestamp>,
}

/// Something to do. Each is done at most once at a time, by its `Task`.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Makes the pod's volumes.
    Volumes,
    CreateSandbox {
        attempt: u32,
    },
    /// Creates and starts a container; its own restart waits for `backoff` after its end.
    Start {
        container: String,
        attempt: u32,
        backoff: SignedDuration,
    },
    Remove {
        id: String,
    },
    /// Begins to stop a container: writes it into memory, says why in an event.
    Stop {
        id: String,
        deadline: Timestamp,
        why: String,
    },
    PostStart {
        id: String,
    },
    PreStop {
        id: String,
    },
    Signal {
        id: String,
        signal: Signal,
    },
    Probe {
        id: String,
        kind: ProbeKind,
    },
    /// Takes the pod out of the Services of this node.
    Drain,
    /// Tells the API that nothing of the pod runs any more.
    Delete,
    /// Removes what the pod has left on this node.
    Clean,
}

/// The name of something that goes on at most once at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    Volumes,
    Sandbox,
    Container(String),
    Remove(String),
    Stop(String),
    Hook(String),
    Signal(String, Signal),
    Probe(String, ProbeKind),
    Drain,
    Delete,
    Clean,
}

impl Action {
    pub fn task(&self) -> Task {
        match self {
            Self::Volumes => Task::Volumes,
            Self::CreateSandbox { .. } => Task::Sandbox,
            Self::Start { container, .. } => Task::Container(container.clone()),
            Self::Remove { id } => Task::Remove(id.clone()),
            Self::Stop { id, .. } => Task::Stop(id.clone()),
            Self::PostStart { id } | Self::PreStop { id } => Task::Hook(id.clone()),
            Self::Signal { id, signal } => Task::Signal(id.clone(), *signal),
            Self::Probe { id, kind } => Task::Probe(id.clone(), *kind),
            Self::Drain => Task::Drain,
            Self::Delete => Task::Delete,
            Self::Clean => Task::Clean,
        }
    }
}

/// What to do now, and when to ask again if nothing happens before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Next {
    pub actions: Vec<Action>,
    pub wake: Option<Timestamp>,
}

impl Next {
    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// For what only changes how the pod is shown.
    pub(super) fn wake_if_later(&mut self, at: Timestamp, now: Timestamp) {
        if at > now {
            self.wake_at(at);
        }
    }

    pub(super) fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |earlier| earlier.min(at)));
    }
}

impl Seen {
    /// The newest sandbox.
    pub fn sandbox(&self) -> Option<&Container> {
        self.containers.values().filter(|c| labels::is_sandbox(c)).max_by_key(|c| (labels::attempt(c), c.created))
    }

    /// The sandbox that runs, which is the newest one or none.
    pub fn running_sandbox(&self) -> Option<&Container> {
        self.sandbox().filter(|c| c.is_running())
    }

    /// The attempts of the pod's container `name`, oldest first.
    pub fn attempts(&self, name: &str) -> Vec<&Container> {
        let of_name = |c: &&Container| !labels::is_sandbox(c) && c.label(labels::CONTAINER_NAME) == name;
        let mut attempts: Vec<_> = self.containers.values().filter(of_name).collect();
        attempts.sort_by_key(|c| (labels::attempt(c), c.created));
        attempts
    }

    pub fn latest(&self, name: &str) -> Option<&Container> {
        self.attempts(name).last().copied()
    }

    /// The attempt before the latest one.
    pub fn previous(&self, name: &str) -> Option<&Container> {
        self.attempts(name).iter().rev().nth(1).copied()
    }

    /// The containers that run, without the sandbox.
    pub fn running(&self) -> impl Iterator<Item = &Container> {
        self.containers.values().filter(|c| !labels::is_sandbox(c) && c.is_running())
    }

    pub fn is_busy(&self, task: &Task) -> bool {
        self.memory.busy.contains(task)
    }

    /// When the task may be tried again, if it failed and that is not yet.
    pub fn held_until(&self, task: &Task, now: Timestamp) -> Option<Timestamp> {
        self.memory.failures.get(task).map(|f| f.retry_at).filter(|at| *at > now)
    }
}
