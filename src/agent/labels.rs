//! The labels by which the agent knows its containers again. All that a restart of the agent needs is in them.

use crate::agent::runtime::{Container, Label};

/// Which agent a container belongs to.
pub const AGENT: &str = "windlass.dev/agent";
/// `sandbox` or `container`.
pub const ROLE: &str = "windlass.dev/role";
/// How often the container (or sandbox) of this name has been started before, from 0.
pub const ATTEMPT: &str = "windlass.dev/attempt";
/// Hash of the part of the container's definition whose change replaces it.
pub const DEFINITION: &str = "windlass.dev/definition";
/// Id of the sandbox that it runs in.
pub const SANDBOX: &str = "windlass.dev/sandbox";
/// Seconds of grace that the pod gives its containers, for when the pod itself is gone.
pub const GRACE: &str = "windlass.dev/grace-seconds";
/// Seconds that its restart waits for after it has ended.
pub const BACKOFF: &str = "windlass.dev/backoff-seconds";

// As the kubelet labels its containers, because people's tools know these.
pub const POD_NAME: &str = "io.kubernetes.pod.name";
pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
pub const POD_UID: &str = "io.kubernetes.pod.uid";
pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";

pub const ROLE_SANDBOX: &str = "sandbox";
pub const ROLE_CONTAINER: &str = "container";

/// Selects the containers of one agent.
pub fn of_agent(id: &str) -> Label {
    Label { key: AGENT, value: id.to_owned() }
}

pub fn is_sandbox(container: &Container) -> bool {
    container.label(ROLE) == ROLE_SANDBOX
}

pub fn attempt(container: &Container) -> u32 {
    container.label(ATTEMPT).parse().unwrap_or_default()
}
