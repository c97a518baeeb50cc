//! How running containers end: pre-stop hook, SIGTERM, grace, SIGKILL; and how a whole pod ends.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::seen::{Action, Hook, Next, Seen, Task};
use super::spec::{self, Role};
use crate::agent::labels;
use crate::agent::runtime::{Container, Signal};

/// What a container gets after SIGTERM in any case, also when its hook has used up the grace period.
const LEAST_GRACE: SignedDuration = SignedDuration::from_secs(2);
/// A kill that has had no effect for so long is sent again.
const KILL_AGAIN: SignedDuration = SignedDuration::from_secs(10);

fn after(time: Timestamp, wait: SignedDuration) -> Timestamp {
    time.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// The end of the grace period that starts now.
pub(super) fn deadline(now: Timestamp, grace_seconds: i64) -> Timestamp {
    after(now, SignedDuration::from_secs(grace_seconds))
}

/// Goes on stopping a container, where that has begun. `false`: it has not.
pub(super) fn go_on(next: &mut Next, pod: &Pod, seen: &Seen, container: &Container, now: Timestamp) -> bool {
    let Some(stopping) = seen.memory.stopping.get(&container.id) else { return false };
    let id = || container.id.clone();
    let definition = spec::container(pod, container.label(labels::CONTAINER_NAME)).map(|(c, _)| c);
    let has_hook = definition.and_then(|c| c.lifecycle.as_ref()).is_some_and(|l| l.pre_stop.is_some());
    let Some(sent) = stopping.stop_sent else {
        let hook_over = !has_hook || stopping.hook == Some(Hook::Done) || stopping.deadline <= now;
        if hook_over {
            next.act(Action::Signal { id: id(), signal: Signal::Stop });
        } else {
            if stopping.hook.is_none() {
                next.act(Action::PreStop { id: id() });
            }
            next.wake_at(stopping.deadline);
        }
        return true;
    };
    let kill_at = match stopping.kill_sent {
        Some(killed) => after(killed, KILL_AGAIN),
        None if has_hook => stopping.deadline.max(after(sent, LEAST_GRACE)),
        None => stopping.deadline.max(sent),
    };
    if kill_at <= now {
        next.act(Action::Signal { id: id(), signal: Signal::Kill });
    } else {
        next.wake_at(kill_at);
    }
    true
}

/// Ends a pod that is being deleted, or that is gone from the API.
pub(super) fn pod(next: &mut Next, pod: &Pod, seen: &Seen, now: Timestamp) {
    let deadline = match (&seen.memory.gone, &pod.metadata.deletion_timestamp) {
        (Some((at, grace)), _) => deadline(*at, *grace),
        (None, Some(deleted)) => deleted.0,
        (None, None) => deadline(now, spec::grace_seconds(pod)),
    };
    let starting = |task: &Task| matches!(task, Task::Container(_) | Task::Sandbox | Task::Volumes);
    let still_starting = seen.memory.busy.iter().any(starting);
    if seen.running().next().is_some() {
        if !seen.memory.drained {
            next.act(Action::Drain);
            next.wake_at(deadline);
            if deadline > now {
                return;
            }
        }
        stop_in_order(next, pod, seen, deadline, now);
        return;
    }
    if still_starting {
        // What is being started is stopped as soon as it is seen; its end is an event.
        return;
    }
    if let Some(sandbox) = seen.containers.values().find(|c| labels::is_sandbox(c) && c.is_running()) {
        next.act(Action::Signal { id: sandbox.id.clone(), signal: Signal::Kill });
        next.wake_at(after(now, KILL_AGAIN));
        return;
    }
    if seen.memory.gone.is_none() && !seen.memory.deleted {
        match seen.held_until(&Task::Delete, now) {
            Some(at) => next.wake_at(at),
            None => next.act(Action::Delete),
        }
        return;
    }
    if !seen.memory.cleaned {
        match seen.held_until(&Task::Clean, now) {
            Some(at) => next.wake_at(at),
            None => next.act(Action::Clean),
        }
    }
}

/// Main containers first and together, then the sidecars, the last one first.
fn stop_in_order(next: &mut Next, pod: &Pod, seen: &Seen, deadline: Timestamp, now: Timestamp) {
    let is_sidecar =
        |c: &Container| matches!(spec::container(pod, c.label(labels::CONTAINER_NAME)), Some((_, Role::Sidecar)));
    let (sidecars, others): (Vec<_>, Vec<_>) = seen.running().partition(|c| is_sidecar(c));
    let now_or_never = if others.is_empty() || deadline <= now {
        let position = |c: &Container| spec::inits(pod).iter().position(|i| i.name == c.label(labels::CONTAINER_NAME));
        let last = sidecars.iter().max_by_key(|c| position(c)).copied();
        if deadline <= now { sidecars } else { last.into_iter().collect() }
    } else {
        Vec::new()
    };
    for container in others.into_iter().chain(now_or_never) {
        if go_on(next, pod, seen, container, now) {
            // A shorter grace period than before (a second delete) counts from now on.
            if seen.memory.stopping.get(&container.id).is_some_and(|s| s.deadline > deadline) {
                next.act(stop(container, deadline, String::new()));
            }
        } else {
            let name = container.label(labels::CONTAINER_NAME);
            next.act(stop(container, deadline, format!("Stopping container {name}")));
        }
    }
}

pub(super) fn stop(container: &Container, deadline: Timestamp, why: String) -> Action {
    Action::Stop { id: container.id.clone(), deadline, why }
}
