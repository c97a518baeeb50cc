//! Reads a pod's spec: the questions that several decisions ask of it.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod, PodSpec};
use ring::digest;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

/// What a container is for in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs to its end before the containers after it start.
    Init,
    /// Starts like an init container and runs as long as the pod (`restartPolicy: Always`).
    Sidecar,
    Main,
    /// Added to a pod that runs, to look into it; runs once.
    Ephemeral,
}

pub fn of(pod: &Pod) -> Option<&PodSpec> {
    pod.spec.as_ref()
}

pub fn inits(pod: &Pod) -> &[Container] {
    of(pod).and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default()
}

pub fn mains(pod: &Pod) -> &[Container] {
    of(pod).map(|spec| spec.containers.as_slice()).unwrap_or_default()
}

pub fn containers(pod: &Pod) -> impl DoubleEndedIterator<Item = (&Container, Role)> {
    let inits = inits(pod).iter().map(|c| (c, if is_sidecar(c) { Role::Sidecar } else { Role::Init }));
    inits.chain(mains(pod).iter().map(|c| (c, Role::Main)))
}

pub fn container<'a>(pod: &'a Pod, name: &str) -> Option<(&'a Container, Role)> {
    containers(pod).find(|(container, _)| container.name == name)
}

/// The containers that were added to the running pod, in the form of ordinary ones.
pub fn ephemerals(pod: &Pod) -> Vec<Container> {
    let added = of(pod).and_then(|spec| spec.ephemeral_containers.as_deref()).unwrap_or_default();
    added.iter().map(ordinary).collect()
}

fn ordinary(added: &EphemeralContainer) -> Container {
    let added = added.clone();
    Container {
        name: added.name,
        image: added.image,
        command: added.command,
        args: added.args,
        env: added.env,
        env_from: added.env_from,
        image_pull_policy: added.image_pull_policy,
        security_context: added.security_context,
        stdin: added.stdin,
        stdin_once: added.stdin_once,
        tty: added.tty,
        volume_devices: added.volume_devices,
        volume_mounts: added.volume_mounts,
        working_dir: added.working_dir,
        termination_message_path: added.termination_message_path,
        termination_message_policy: added.termination_message_policy,
        ..Container::default()
    }
}

/// Any container of the pod by its name.
pub fn any_container<'a>(pod: &'a Pod, name: &str) -> Option<Cow<'a, Container>> {
    let added = || ephemerals(pod).into_iter().find(|added| added.name == name).map(Cow::Owned);
    container(pod, name).map(|(found, _)| Cow::Borrowed(found)).or_else(added)
}

/// The container whose processes an ephemeral one sees.
pub fn target<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    let mut added = of(pod).and_then(|spec| spec.ephemeral_containers.as_deref()).unwrap_or_default().iter();
    added.find(|added| added.name == name)?.target_container_name.as_deref().filter(|target| !target.is_empty())
}

pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

pub fn restart_policy(pod: &Pod) -> RestartPolicy {
    match of(pod).and_then(|spec| spec.restart_policy.as_deref()) {
        Some("Never") => RestartPolicy::Never,
        Some("OnFailure") => RestartPolicy::OnFailure,
        _ => RestartPolicy::Always,
    }
}

/// Whether a container that ended with `code` is started again.
pub fn restarts(pod: &Pod, role: Role, code: i32) -> bool {
    match (role, restart_policy(pod)) {
        (Role::Ephemeral, _) => false,
        (Role::Sidecar, _) | (Role::Main, RestartPolicy::Always) => true,
        (_, RestartPolicy::Never) => false,
        (Role::Init, _) | (Role::Main, RestartPolicy::OnFailure) => code != 0,
    }
}

pub fn is_deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

pub fn grace_seconds(pod: &Pod) -> i64 {
    let own = of(pod).and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
    pod.metadata.deletion_grace_period_seconds.unwrap_or(own).max(0)
}

/// The pod was ended for good, by us or by somebody else (an eviction).
pub fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Hash of what, when it changes, replaces a running container: its name and image. The rest of a container's
/// definition cannot be changed, and hashing it would restart containers when a default is added.
pub fn definition(container: &Container) -> String {
    let text = format!("{}\n{}", container.name, container.image.as_deref().unwrap_or_default());
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// How often the API says that the container was started again, and whether it ever was started.
pub fn recorded_restarts(pod: &Pod, name: &str) -> (u32, bool) {
    let status = pod.status.as_ref();
    let mains = status.and_then(|s| s.container_statuses.as_deref()).unwrap_or_default();
    let inits = status.and_then(|s| s.init_container_statuses.as_deref()).unwrap_or_default();
    let added = status.and_then(|s| s.ephemeral_container_statuses.as_deref()).unwrap_or_default();
    let found = mains.iter().chain(inits).chain(added).find(|status| status.name == name);
    let count = found.and_then(|status| u32::try_from(status.restart_count).ok()).unwrap_or_default();
    (count, found.is_some_and(|status| status.container_id.as_deref().is_some_and(|id| !id.is_empty())))
}
