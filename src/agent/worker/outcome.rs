//! What came of an action, and how it changes what is known of the pod.

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use super::Worker;
use crate::agent::context::ApiFailure;
use crate::agent::events::Subject;
use crate::agent::labels;
use crate::agent::lifecycle::probing::{self, ProbeKind, ProbeState};
use crate::agent::lifecycle::{self, Failure, Hook, Seen, Task, spec};
use crate::agent::runtime::{Container, RuntimeError, Sight, Signal, State};

pub enum Outcome {
    Looked {
        id: String,
        found: Result<Option<Container>, RuntimeError>,
    },
    /// A sandbox, a container or the volumes: made, or not.
    Made {
        task: Task,
        made: Option<Made>,
        problem: Option<Problem>,
    },
    Removed {
        id: String,
    },
    PostStarted {
        id: String,
        failure: Option<String>,
    },
    PreStopped {
        id: String,
        failure: Option<String>,
    },
    Signalled {
        id: String,
        signal: Signal,
        result: Result<(), RuntimeError>,
    },
    Sighted {
        id: String,
        kind: ProbeKind,
        sight: Sight,
    },
    Drained,
    Deleted {
        result: Result<(), ApiFailure>,
    },
    Cleaned {
        result: Result<(), RuntimeError>,
    },
    Reported {
        status: Box<PodStatus>,
        result: Result<(), ApiFailure>,
    },
}

/// A container that was made, as it was seen right after.
pub struct Made {
    pub id: String,
    pub container: Option<Container>,
}

/// Why something could not be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// As in a waiting container's state.
    pub reason: &'static str,
    pub message: String,
}

impl Problem {
    pub fn new(reason: &'static str, message: impl ToString) -> Self {
        Self { reason, message: message.to_string() }
    }
}

impl Worker {
    pub(super) fn apply(&mut self, outcome: Outcome) {
        let now = self.context.clock.now();
        match outcome {
            Outcome::Looked { id, found } => self.looked(id, found),
            Outcome::Made { task, made, problem } => {
                self.seen.memory.busy.remove(&task);
                if let Some(Made { id, container }) = made {
                    // It is known before its task is over: else the next decision would make it a second time. What a
                    // look has found meanwhile is newer.
                    if let Some(container) = container {
                        self.seen.containers.entry(id.clone()).or_insert(container);
                    }
                    self.look(id);
                }
                match problem {
                    None => {
                        self.seen.memory.failures.remove(&task);
                        self.seen.memory.volumes_ready |= task == Task::Volumes;
                    }
                    Some(problem) => self.failed(task, problem),
                }
            }
            Outcome::Removed { id } => {
                self.seen.memory.busy.remove(&Task::Remove(id.clone()));
                self.look(id);
            }
            Outcome::PostStarted { id, failure } => {
                self.seen.memory.busy.remove(&Task::Hook(id.clone()));
                self.seen.memory.hooks.insert(id.clone(), Hook::Done);
                if let (Some(why), Some(container)) = (failure, self.seen.containers.get(&id).cloned()) {
                    let name = container.label(labels::CONTAINER_NAME).to_owned();
                    self.warn(Subject::container(&self.pod, &name), "FailedPostStartHook", &why);
                    let deadline = now.saturating_add(SignedDuration::from_secs(spec::grace_seconds(&self.pod)));
                    self.stop(&id, deadline.unwrap_or(now), "FailedPostStartHook".to_owned());
                }
            }
            Outcome::PreStopped { id, failure } => {
                self.seen.memory.busy.remove(&Task::Hook(id.clone()));
                if let Some(stopping) = self.seen.memory.stopping.get_mut(&id) {
                    stopping.hook = Some(Hook::Done);
                }
                if let (Some(why), Some(container)) = (failure, self.seen.containers.get(&id)) {
                    let name = container.label(labels::CONTAINER_NAME).to_owned();
                    self.warn(Subject::container(&self.pod, &name), "FailedPreStopHook", &why);
                }
            }
            Outcome::Signalled { id, signal, result } => {
                self.seen.memory.busy.remove(&Task::Signal(id.clone(), signal));
                if let (Ok(()), Some(stopping)) = (&result, self.seen.memory.stopping.get_mut(&id)) {
                    match signal {
                        Signal::Stop => stopping.stop_sent = Some(now),
                        Signal::Kill => stopping.kill_sent = Some(now),
                    }
                }
                if let Err(error) = result {
                    tracing::warn!(%id, %error, "a signal could not be sent");
                }
                self.look(id);
            }
            Outcome::Sighted { id, kind, sight } => self.sighted(&id, kind, &sight),
            Outcome::Drained => {
                self.seen.memory.busy.remove(&Task::Drain);
                self.seen.memory.drained = true;
            }
            Outcome::Deleted { result } => {
                self.seen.memory.busy.remove(&Task::Delete);
                match result {
                    Ok(()) => self.seen.memory.deleted = true,
                    Err(error) if matches!(error.code(), Some(404 | 409)) => self.seen.memory.deleted = true,
                    Err(error) => self.failed(Task::Delete, Problem::new("DeleteFailed", error)),
                }
            }
            Outcome::Cleaned { result } => {
                self.seen.memory.busy.remove(&Task::Clean);
                match result {
                    Ok(()) => self.seen.memory.cleaned = true,
                    Err(error) => self.failed(Task::Clean, Problem::new("CleanFailed", error)),
                }
            }
            Outcome::Reported { status, result } => self.reported(*status, result),
        }
    }

    fn looked(&mut self, id: String, found: Result<Option<Container>, RuntimeError>) {
        self.looking.remove(&id);
        let again = self.look_again.remove(&id);
        match found {
            Ok(Some(container)) => {
                if !container.is_running() {
                    self.forget_running(&id);
                }
                if container.state != State::Created {
                    self.seen.memory.failures.remove(&Task::Container(container.label(labels::CONTAINER_NAME).into()));
                }
                if let (Some(before), Some(exited)) = (self.seen.containers.get(&id), container.exited())
                    && before.is_running()
                {
                    tracing::info!(container = %container.name, code = exited.code, "a container ended");
                }
                self.seen.containers.insert(id.clone(), container);
            }
            Ok(None) => {
                self.forget_running(&id);
                self.seen.memory.hooks.remove(&id);
                self.seen.containers.remove(&id);
            }
            // The engine is away: the watch of its changes starts again when it is back, and pokes.
            Err(error) => tracing::debug!(%id, %error, "a container could not be looked at"),
        }
        if again {
            self.look(id);
        }
    }

    fn forget_running(&mut self, id: &str) {
        self.seen.memory.stopping.remove(id);
        self.seen.memory.probes.retain(|(of, _), _| of != id);
    }

    fn failed(&mut self, task: Task, problem: Problem) {
        let now = self.context.clock.now();
        self.seen.memory.volumes_stale |= task == Task::Volumes;
        let before = self.seen.memory.failures.get(&task);
        let count = before.map_or(0, |failure| failure.count) + 1;
        tracing::debug!(?task, reason = problem.reason, message = problem.message, "not done, will be tried again");
        let retry_at = match problem.reason {
            "ErrImagePull" | "ErrImageNeverPull" | "CreateContainerError" => lifecycle::image_retry(count, now),
            // What these wait for (a ConfigMap, the API) comes any moment.
            _ => now.saturating_add(SignedDuration::from_secs(i64::from(count.min(5)))).unwrap_or(now),
        };
        let failure = Failure { reason: problem.reason.into(), message: problem.message, at: now, count, retry_at };
        self.seen.memory.failures.insert(task, failure);
    }

    fn sighted(&mut self, id: &str, kind: ProbeKind, sight: &Sight) {
        let now = self.context.clock.now();
        let key = (id.to_owned(), kind);
        self.seen.memory.busy.remove(&Task::Probe(id.to_owned(), kind));
        let Some(container) = self.seen.containers.get(id).filter(|c| c.is_running()) else { return };
        let name = container.label(labels::CONTAINER_NAME).to_owned();
        let started = container.started().unwrap_or(now);
        let pod = self.pod.clone();
        let Some(probe) = spec::container(&pod, &name).and_then(|(definition, _)| kind.of(definition)) else { return };
        let state = self.seen.memory.probes.get(&key).copied();
        let state = state.unwrap_or_else(|| probing::initial(probe, started));
        let outcome = probing::record(kind, probe, state, sight, now);
        self.seen.memory.probes.insert(key, outcome.state);
        if let Some(complaint) = outcome.complaint {
            self.warn(Subject::container(&pod, &name), "Unhealthy", &complaint);
        }
    }
}

/// What an agent that has just started takes over from the one before: a container that was ready stays ready until a
/// probe says otherwise, and hooks are not run a second time.
pub fn adopt(pod: &Pod, seen: &mut Seen) {
    let statuses = pod.status.as_ref();
    let mains = statuses.and_then(|s| s.container_statuses.as_deref()).unwrap_or_default();
    let inits = statuses.and_then(|s| s.init_container_statuses.as_deref()).unwrap_or_default();
    let known = |id: &str| -> Option<&ContainerStatus> {
        mains.iter().chain(inits).find(|s| s.container_id.as_deref() == Some(&format!("docker://{id}")))
    };
    for container in seen.containers.values().filter(|c| c.is_running() && !labels::is_sandbox(c)) {
        let Some(started) = container.started() else { continue };
        seen.memory.hooks.insert(container.id.clone(), Hook::Done);
        let Some((definition, _)) = spec::container(pod, container.label(labels::CONTAINER_NAME)) else { continue };
        let status = known(&container.id);
        let believed = [
            (ProbeKind::Startup, status.is_some_and(|s| s.started == Some(true))),
            (ProbeKind::Readiness, status.is_some_and(|s| s.ready)),
        ];
        for (kind, passed) in believed {
            if let (true, Some(probe)) = (passed, kind.of(definition)) {
                let state = ProbeState { passed: Some(true), ..probing::initial(probe, started) };
                seen.memory.probes.insert((container.id.clone(), kind), state);
            }
        }
    }
}
