//! Finds the container that a request means.

use std::net::{IpAddr, Ipv4Addr};

use http::StatusCode;

use crate::agent::labels;
use crate::agent::runtime::{Container, Label, Runtime, RuntimeError, State};
use crate::streams::{Refusal, Target};

/// The containers of a pod on this node: by its uid where that is given, which spares looking at all of the node.
///
/// # Errors
/// When the engine does not answer.
pub async fn of_pod(runtime: &dyn Runtime, agent_id: &str, target: &Target) -> Result<Vec<Container>, RuntimeError> {
    let label = match target.pod_uid.as_str() {
        "" => labels::of_agent(agent_id),
        uid => Label { key: labels::POD_UID, value: uid.to_owned() },
    };
    let mut found = runtime.containers(&label).await?;
    found.retain(|c| {
        c.label(labels::AGENT) == agent_id
            && c.label(labels::POD_NAMESPACE) == target.namespace
            && c.label(labels::POD_NAME) == target.pod
    });
    Ok(found)
}

/// The attempts of the container that have begun, oldest first. A pod of the same name that is on its way out is older.
pub fn attempts(of_pod: Vec<Container>, container: &str) -> Vec<Container> {
    let is_meant = |c: &Container| {
        c.label(labels::CONTAINER_NAME) == container && !labels::is_sandbox(c) && c.state != State::Created
    };
    let mut attempts: Vec<Container> = of_pod.into_iter().filter(is_meant).collect();
    attempts.sort_by_key(|c| (c.created, labels::attempt(c)));
    attempts
}

/// The container that holds the network of a pod.
pub fn sandbox(of_pod: &[Container]) -> Option<&Container> {
    of_pod.iter().filter(|c| labels::is_sandbox(c) && c.is_running()).max_by_key(|c| c.created)
}

/// Where the ports of a pod are: the address of its sandbox, or this machine for a pod in its network.
pub fn address(sandbox: &Container) -> IpAddr {
    sandbox.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// The engine's failure, as what a client is told.
pub fn failed(error: &RuntimeError) -> Refusal {
    let status = match error {
        RuntimeError::Unreachable { .. } | RuntimeError::TimedOut { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refusal::new(status, error.to_string())
}
