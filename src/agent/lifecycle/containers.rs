//! The status of each container, in the kubelet's words.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{
    Container as ContainerSpec, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, Pod,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::backoff;
use super::probing::ProbeKind;
use super::seen::{Failure, Hook, Seen, Task};
use super::spec::{self, Role};
use crate::agent::labels;
use crate::agent::runtime::{Container, Exited, State};

/// For so long a container that waits for its restart is shown as ended, so that people see how it ended.
const SHOWN_AS_ENDED: SignedDuration = SignedDuration::from_secs(1);
/// For so long a failed pull is shown as an error, then as a wait.
const SHOWN_AS_FAILED: SignedDuration = SignedDuration::from_secs(2);

pub fn shown_as_ended_until(exited: &Exited) -> Timestamp {
    exited.finished.saturating_add(SHOWN_AS_ENDED).unwrap_or(Timestamp::MAX)
}

pub fn failure_turns_at(failure: &Failure) -> Timestamp {
    failure.at.saturating_add(SHOWN_AS_FAILED).unwrap_or(Timestamp::MAX)
}

/// The time as the API keeps it, in whole seconds: a finer one would differ from itself once it comes back.
pub fn second(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// The container runs and is past its post-start hook and startup probe.
pub fn is_started(definition: &ContainerSpec, container: &Container, seen: &Seen) -> bool {
    let hooked = definition.lifecycle.as_ref().is_some_and(|l| l.post_start.is_some());
    let hook_done = !hooked || seen.memory.hooks.get(&container.id) == Some(&Hook::Done);
    container.is_running() && hook_done && passed(definition, container, ProbeKind::Startup, seen)
}

fn is_ready(definition: &ContainerSpec, container: &Container, seen: &Seen) -> bool {
    is_started(definition, container, seen) && passed(definition, container, ProbeKind::Readiness, seen)
}

fn passed(definition: &ContainerSpec, container: &Container, kind: ProbeKind, seen: &Seen) -> bool {
    let state = seen.memory.probes.get(&(container.id.clone(), kind));
    kind.of(definition).is_none() || state.and_then(|state| state.passed) == Some(true)
}

/// The container's status.
pub fn status(
    pod: &Pod,
    definition: &ContainerSpec,
    role: Role,
    initialized: bool,
    seen: &Seen,
    now: Timestamp,
) -> ContainerStatus {
    let name = &definition.name;
    let latest = seen.latest(name).filter(|c| c.state != State::Created);
    let failure = seen.memory.failures.get(&Task::Container(name.clone()));
    let (recorded, _) = spec::recorded_restarts(pod, name);
    let state = state(pod, (definition, role), initialized, latest, failure, now);
    let is_waiting = state.waiting.is_some();
    let last = match latest {
        // What ended and waits is shown as the last state, beside the reason why it waits.
        Some(ended) if is_waiting => ended.exited().map(|exited| terminated(ended, exited)),
        _ => None,
    };
    let before = || seen.previous(name).and_then(|c| c.exited().map(|exited| terminated(c, exited)));
    let last_state = last
        .or_else(before)
        .map(|terminated| ContainerState { terminated: Some(terminated), ..ContainerState::default() });
    let ready = match (role, latest) {
        (Role::Init, Some(container)) => container.exited().is_some_and(|exited| exited.code == 0),
        // Nobody waits for it.
        (Role::Ephemeral, _) => false,
        (_, Some(container)) => is_ready(definition, container, seen),
        (_, None) => false,
    };
    ContainerStatus {
        name: name.clone(),
        state: Some(state),
        last_state: Some(last_state.unwrap_or_default()),
        ready,
        started: Some(latest.is_some_and(|container| is_started(definition, container, seen))),
        restart_count: latest.map_or(recorded, labels::attempt).try_into().unwrap_or(i32::MAX),
        image: latest.map_or_else(|| definition.image.clone().unwrap_or_default(), |c| c.image.clone()),
        image_id: latest.map(image_id).unwrap_or_default(),
        container_id: latest.map(|container| format!("docker://{}", container.id)),
        ..ContainerStatus::default()
    }
}

fn image_id(container: &Container) -> String {
    match container.image_id.starts_with("sha256:") {
        true => format!("docker://{}", container.image_id),
        false => container.image_id.clone(),
    }
}

fn state(
    pod: &Pod,
    (definition, role): (&ContainerSpec, Role),
    initialized: bool,
    latest: Option<&Container>,
    failure: Option<&Failure>,
    now: Timestamp,
) -> ContainerState {
    let waiting = |reason: &str, message: Option<String>| ContainerState {
        waiting: Some(ContainerStateWaiting { reason: Some(reason.to_owned()), message }),
        ..ContainerState::default()
    };
    if let Some(failure) = failure.filter(|_| !latest.is_some_and(Container::is_running)) {
        return match (failure.reason.as_str(), failure_turns_at(failure) <= now) {
            ("ErrImagePull", true) => {
                let image = definition.image.as_deref().unwrap_or_default();
                let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {}", failure.message);
                waiting("ImagePullBackOff", Some(message))
            }
            (reason, _) => waiting(reason, Some(failure.message.clone())),
        };
    }
    match latest.map(|container| (container, &container.state)) {
        Some((_, State::Running { started })) => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(second(*started)) }),
            ..ContainerState::default()
        },
        Some((container, State::Exited(exited))) => {
            let delay = backoff::delay(container, exited);
            let waits = spec::restarts(pod, role, exited.code)
                && !spec::is_deleting(pod)
                && delay > SignedDuration::ZERO
                && shown_as_ended_until(exited) <= now;
            match waits {
                true => waiting("CrashLoopBackOff", Some(crash_message(pod, container, delay))),
                false => {
                    ContainerState { terminated: Some(terminated(container, exited)), ..ContainerState::default() }
                }
            }
        }
        None if role == Role::Main && !initialized => waiting("PodInitializing", None),
        None if matches!(role, Role::Main | Role::Ephemeral) || spec::inits(pod).is_empty() => {
            waiting("ContainerCreating", None)
        }
        None => waiting("PodInitializing", None),
        Some((_, State::Created)) => waiting("ContainerCreating", None),
    }
}

/// The message of a restart that waits.
pub fn crash_message(pod: &Pod, container: &Container, delay: SignedDuration) -> String {
    let meta = &pod.metadata;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    format!(
        "back-off {} restarting failed container={} pod={}_{}({})",
        go_duration(delay),
        container.label(labels::CONTAINER_NAME),
        text(&meta.name),
        text(&meta.namespace),
        text(&meta.uid)
    )
}

/// `10s`, `2m40s`, `5m0s`, as Go writes durations.
fn go_duration(duration: SignedDuration) -> String {
    match duration.as_secs() {
        seconds @ ..60 => format!("{seconds}s"),
        seconds => format!("{}m{}s", seconds / 60, seconds % 60),
    }
}

fn terminated(container: &Container, exited: &Exited) -> ContainerStateTerminated {
    let reason = match exited {
        Exited { started: None, .. } => "ContainerCannotRun",
        Exited { out_of_memory: true, .. } => "OOMKilled",
        Exited { code: 0, .. } => "Completed",
        _ => "Error",
    };
    ContainerStateTerminated {
        container_id: Some(format!("docker://{}", container.id)),
        exit_code: exited.code,
        reason: Some(reason.to_owned()),
        message: Some(exited.message.clone()).filter(|m| !m.is_empty()),
        started_at: Some(second(exited.started.unwrap_or(exited.finished))),
        finished_at: Some(second(exited.finished)),
        signal: None,
    }
}
