//! The status of a pod out of what is seen of it: phase, conditions, addresses, containers.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, HostIP, Pod, PodIP, PodStatus};

pub use super::containers::{failure_turns_at, is_started, shown_as_ended_until};
use super::seen::Seen;
use super::spec::{self, RestartPolicy, Role};
use super::{conditions, containers};
use crate::agent::runtime::{Container, State};

/// The status to report. Times of conditions and the start are kept from the pod's present status.
pub fn status(pod: &Pod, seen: &Seen, host: Option<std::net::IpAddr>, now: Timestamp) -> PodStatus {
    let current = pod.status.clone().unwrap_or_default();
    let initialized = is_initialized(pod, seen);
    let of_role = |wanted: fn(Role) -> bool| {
        let chosen = spec::containers(pod).filter(move |(_, role)| wanted(*role));
        chosen.map(|(c, role)| containers::status(pod, c, role, initialized, seen, now)).collect::<Vec<_>>()
    };
    let inits = of_role(|role| role != Role::Main);
    let mains = of_role(|role| role == Role::Main);
    let added = spec::ephemerals(pod);
    let added = added.iter().map(|c| containers::status(pod, c, Role::Ephemeral, initialized, seen, now));
    // Who has ended stays so: a phase never comes back from there.
    let phase = match current.phase.as_deref() {
        Some(over @ ("Succeeded" | "Failed")) => over,
        _ => phase(pod, seen, &mains),
    };
    let host_network = spec::of(pod).is_some_and(|spec| spec.host_network == Some(true));
    let own = seen.running_sandbox().and_then(|sandbox| sandbox.address);
    let ip = if host_network { host } else { own }.map(|ip| ip.to_string()).or_else(|| current.pod_ip.clone());
    PodStatus {
        phase: Some(phase.to_owned()),
        conditions: Some(conditions::conditions(pod, seen, phase, initialized, &inits, &mains, now)),
        start_time: current.start_time.or(Some(containers::second(now))),
        host_ip: host.map(|ip| ip.to_string()),
        host_ips: host.map(|ip| vec![HostIP { ip: ip.to_string() }]),
        pod_ips: ip.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip: ip,
        init_container_statuses: Some(inits).filter(|list| !list.is_empty()),
        container_statuses: Some(mains),
        ephemeral_container_statuses: Some(added.collect()).filter(|list: &Vec<_>| !list.is_empty()),
        ..current
    }
}

/// No container of the pod runs, and none will be started again.
pub fn is_over(pod: &Pod, seen: &Seen) -> bool {
    let policy = spec::restart_policy(pod);
    if policy == RestartPolicy::Always || spec::mains(pod).is_empty() {
        return false;
    }
    let ended = |name: &str| seen.latest(name).and_then(Container::exited).map(|exited| exited.code);
    let failed_init = spec::containers(pod).any(|(container, role)| {
        role == Role::Init && policy == RestartPolicy::Never && ended(&container.name).is_some_and(|code| code != 0)
    });
    let all_ended = spec::mains(pod)
        .iter()
        .all(|main| ended(&main.name).is_some_and(|code| !spec::restarts(pod, Role::Main, code)));
    failed_init || all_ended
}

/// All init containers have ended well and all sidecars have started; or a main container has run, so they had.
pub fn is_initialized(pod: &Pod, seen: &Seen) -> bool {
    let begun = |name: &str| seen.latest(name).is_some_and(|c| c.state != State::Created);
    let mains_begun = spec::mains(pod).iter().any(|main| begun(&main.name));
    mains_begun
        || spec::containers(pod).all(|(container, role)| {
            let latest = seen.latest(&container.name);
            match role {
                Role::Main | Role::Ephemeral => true,
                Role::Init => latest.and_then(Container::exited).is_some_and(|exited| exited.code == 0),
                Role::Sidecar => latest.is_some_and(|c| containers::is_started(container, c, seen)),
            }
        })
}

fn phase(pod: &Pod, seen: &Seen, mains: &[ContainerStatus]) -> &'static str {
    let deleting = spec::is_deleting(pod);
    if is_over(pod, seen) {
        let ended_well =
            |name: &str| seen.latest(name).and_then(Container::exited).is_some_and(|exited| exited.code == 0);
        return if spec::mains(pod).iter().all(|main| ended_well(&main.name)) { "Succeeded" } else { "Failed" };
    }
    let exits: Vec<Option<i32>> =
        mains.iter().map(|s| s.state.as_ref()?.terminated.as_ref().map(|t| t.exit_code)).collect();
    if deleting && !exits.is_empty() && exits.iter().all(Option::is_some) {
        return if exits.iter().all(|code| *code == Some(0)) { "Succeeded" } else { "Failed" };
    }
    let begun = |status: &ContainerStatus| status.container_id.is_some();
    if mains.iter().all(begun) && !mains.is_empty() { "Running" } else { "Pending" }
}
