//! Turns a pod and what is seen of it into the next actions. Asked again after each thing that happens, so it says
//! what should be going on, and leaves out what already is.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod};

use super::probing::{self, ProbeKind};
use super::seen::{Action, Hook, Next, Seen, Task};
use super::spec::{self, Role};
use super::{backoff, status, stop};
use crate::agent::labels;
use crate::agent::runtime::{Container, Signal, State};

/// What to do now for the pod, and when to ask again.
pub fn next(pod: &Pod, seen: &Seen, now: Timestamp) -> Next {
    let mut next = Next::default();
    if spec::is_deleting(pod) || seen.memory.gone.is_some() {
        stop::pod(&mut next, pod, seen, now);
    } else if spec::has_ended(pod) || status::is_over(pod, seen) {
        wind_down(&mut next, pod, seen, now);
    } else {
        run(&mut next, pod, seen, now);
    }
    next.actions.retain(|action| !seen.is_busy(&action.task()));
    next
}

/// The pod has run to its end: its sidecars and sandbox go, its containers stay for their logs.
fn wind_down(next: &mut Next, pod: &Pod, seen: &Seen, now: Timestamp) {
    for container in seen.running() {
        if !stop::go_on(next, pod, seen, container, now) {
            let why = format!("Stopping container {}", container.label(labels::CONTAINER_NAME));
            next.act(stop::stop(container, stop::deadline(now, spec::grace_seconds(pod)), why));
        }
    }
    if seen.running().next().is_none()
        && let Some(sandbox) = seen.running_sandbox()
    {
        next.act(Action::Signal { id: sandbox.id.clone(), signal: Signal::Kill });
    }
}

fn run(next: &mut Next, pod: &Pod, seen: &Seen, now: Timestamp) {
    if !seen.memory.volumes_ready || seen.memory.volumes_stale {
        match seen.held_until(&Task::Volumes, now) {
            Some(at) => next.wake_at(at),
            None => next.act(Action::Volumes),
        }
    }
    match seen.sandbox() {
        Some(sandbox) if sandbox.is_running() => containers(next, pod, seen, sandbox, now),
        lost_or_new => sandbox(next, pod, seen, lost_or_new, now),
    }
    // Older sandboxes have nothing to tell.
    let newest = seen.sandbox().map(|c| c.id.as_str());
    for old in seen.containers.values().filter(|c| labels::is_sandbox(c) && Some(c.id.as_str()) != newest) {
        next.act(Action::Remove { id: old.id.clone() });
    }
}

/// There is no sandbox that runs. Containers of a lost one have lost their network: they end before there is a new one.
fn sandbox(next: &mut Next, pod: &Pod, seen: &Seen, old: Option<&Container>, now: Timestamp) {
    if seen.is_busy(&Task::Sandbox) {
        return;
    }
    let mut any = false;
    for container in seen.running() {
        any = true;
        if !stop::go_on(next, pod, seen, container, now) {
            let why = "Pod sandbox changed, it will be killed and re-created.".to_owned();
            next.act(stop::stop(container, stop::deadline(now, spec::grace_seconds(pod)), why));
        }
    }
    if any || !seen.memory.volumes_ready {
        return;
    }
    match seen.held_until(&Task::Sandbox, now) {
        Some(at) => next.wake_at(at),
        None => next.act(Action::CreateSandbox { attempt: old.map_or(0, |c| labels::attempt(c) + 1) }),
    }
}

fn containers(next: &mut Next, pod: &Pod, seen: &Seen, sandbox: &Container, now: Timestamp) {
    let here = |c: &&Container| c.label(labels::SANDBOX) == sandbox.id;
    let begun = |name: &str| seen.latest(name).filter(here).is_some_and(|c| c.state != State::Created);
    let initialized = spec::mains(pod).iter().any(|main| begun(&main.name));
    for init in spec::inits(pod) {
        let latest = seen.latest(&init.name).filter(here);
        if spec::is_sidecar(init) {
            keep(next, pod, init, Role::Sidecar, seen, now);
            if !initialized && !latest.is_some_and(|c| status::is_started(init, c, seen)) {
                return;
            }
        } else if !initialized {
            match latest.map(|c| &c.state) {
                Some(State::Exited(exited)) if exited.code == 0 => {}
                // Those of a lost sandbox have run, but for the network that is gone: once more.
                None if seen.latest(&init.name).is_some() => {
                    again(next, pod, init, seen, now);
                    return;
                }
                _ => {
                    keep(next, pod, init, Role::Init, seen, now);
                    return;
                }
            }
        }
    }
    for main in spec::mains(pod) {
        keep(next, pod, main, Role::Main, seen, now);
    }
    for added in spec::ephemerals(pod) {
        // One that has run is over, also when nothing of it is left here.
        if seen.latest(&added.name).is_some() || !spec::recorded_restarts(pod, &added.name).1 {
            keep(next, pod, &added, Role::Ephemeral, seen, now);
        }
    }
}

/// Makes a container run, as far as its policy wants that.
fn keep(next: &mut Next, pod: &Pod, definition: &ContainerSpec, role: Role, seen: &Seen, now: Timestamp) {
    let name = &definition.name;
    if seen.is_busy(&Task::Container(name.clone())) {
        return;
    }
    let Some(latest) = seen.latest(name) else {
        // Removed by hand or lost with the engine's disk: it counts as a restart if it ever ran.
        let (count, ever) = spec::recorded_restarts(pod, name);
        start(next, name, if ever { count + 1 } else { count }, SignedDuration::ZERO, seen, now);
        return;
    };
    match &latest.state {
        // It was made by an agent that died before it could start it.
        State::Created => next.act(Action::Remove { id: latest.id.clone() }),
        State::Running { .. } => watch(next, pod, definition, latest, seen, now),
        State::Exited(exited) if spec::restarts(pod, role, exited.code) => {
            let at = backoff::restart_at(latest, exited);
            if at > now {
                next.wake_at(at);
                next.wake_if_later(status::shown_as_ended_until(exited), now);
            } else {
                let delay = backoff::delay(latest, exited);
                start(next, name, labels::attempt(latest) + 1, backoff::next_backoff(delay), seen, now);
            }
        }
        State::Exited(_) => {}
    }
    // One that has ended is kept for its log; those before it are not.
    for old in seen.attempts(name).into_iter().rev().skip(2) {
        next.act(Action::Remove { id: old.id.clone() });
    }
}

fn again(next: &mut Next, pod: &Pod, definition: &ContainerSpec, seen: &Seen, now: Timestamp) {
    match seen.latest(&definition.name) {
        Some(old) if old.exited().is_some() && !seen.is_busy(&Task::Container(definition.name.clone())) => {
            start(next, &definition.name, labels::attempt(old) + 1, SignedDuration::ZERO, seen, now);
        }
        _ => keep(next, pod, definition, Role::Init, seen, now),
    }
}

fn start(next: &mut Next, name: &str, attempt: u32, backoff: SignedDuration, seen: &Seen, now: Timestamp) {
    if !seen.memory.volumes_ready {
        return;
    }
    let task = Task::Container(name.to_owned());
    match seen.held_until(&task, now) {
        Some(at) => {
            next.wake_at(at);
            if let Some(failure) = seen.memory.failures.get(&task) {
                next.wake_if_later(status::failure_turns_at(failure), now);
            }
        }
        None => next.act(Action::Start { container: name.to_owned(), attempt, backoff }),
    }
}

/// A container that runs: its hook, its probes, and whether it has to end.
fn watch(next: &mut Next, pod: &Pod, definition: &ContainerSpec, container: &Container, seen: &Seen, now: Timestamp) {
    if stop::go_on(next, pod, seen, container, now) {
        return;
    }
    let id = &container.id;
    let name = &definition.name;
    let grace = |own: Option<i64>| stop::deadline(now, own.unwrap_or(spec::grace_seconds(pod)).max(0));
    if container.label(labels::DEFINITION) != spec::definition(definition) {
        let why = format!("Container {name} definition changed, will be restarted");
        next.act(stop::stop(container, grace(None), why));
        return;
    }
    let post_start = definition.lifecycle.as_ref().is_some_and(|l| l.post_start.is_some());
    if post_start && seen.memory.hooks.get(id) != Some(&Hook::Done) {
        if !seen.memory.hooks.contains_key(id) {
            next.act(Action::PostStart { id: id.clone() });
        }
        return;
    }
    let state = |kind| seen.memory.probes.get(&(id.clone(), kind));
    let starting_up =
        definition.startup_probe.is_some() && state(ProbeKind::Startup).and_then(|state| state.passed) != Some(true);
    let kinds: &[ProbeKind] =
        if starting_up { &[ProbeKind::Startup] } else { &[ProbeKind::Readiness, ProbeKind::Liveness] };
    for &kind in kinds {
        let Some(probe) = kind.of(definition) else { continue };
        if kind != ProbeKind::Readiness && state(kind).and_then(|state| state.passed) == Some(false) {
            let why = format!("Container {name} failed {} probe, will be restarted", kind.word().to_lowercase());
            next.act(stop::stop(container, grace(probe.termination_grace_period_seconds), why));
            return;
        }
        let started = container.started().unwrap_or(now);
        let due = state(kind).map_or_else(|| probing::first_due(probe, started), |state| state.due);
        if due <= now {
            next.act(Action::Probe { id: id.clone(), kind });
        } else {
            next.wake_at(due);
        }
    }
}
