//! Makes what a pod consists of: its volumes, its sandbox, its containers; and removes it in the end.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use tokio_util::sync::CancellationToken;

use super::images;
use super::outcome::{Made, Outcome, Problem};
use crate::agent::context::Context;
use crate::agent::events::{Severity, Subject};
use crate::agent::lifecycle::{Task, spec};
use crate::agent::runtime::{ContainerSpec, RuntimeError};
use crate::agent::{blueprint, environment, sources, volumes};

/// Where a container is started.
pub struct Place {
    pub sandbox: String,
    pub address: Option<IpAddr>,
    /// The container whose processes this one sees.
    pub target: Option<String>,
    pub attempt: u32,
    pub backoff_seconds: i64,
    pub cancel: CancellationToken,
}

pub async fn volumes(context: Arc<Context>, pod: Arc<Pod>) -> Outcome {
    let problem = volumes::prepare(&context, &pod).await.err().map(|error| {
        let message = format!("MountVolume.SetUp failed for volume \"{}\" : {}", error.volume, error.why);
        context.events.record(Subject::pod(&pod), Severity::Warning, "FailedMount", &message);
        Problem::new("FailedMount", message)
    });
    Outcome::Made { task: Task::Volumes, made: None, problem }
}

pub async fn sandbox(context: Arc<Context>, pod: Arc<Pod>, attempt: u32) -> Outcome {
    let blueprint = blueprint::sandbox(&pod, attempt, &context.agent_id, &context.network);
    let (id, problem) = match create_and_start(&context, &blueprint).await {
        Ok(id) => {
            if let Some(bridge) = &context.bridge {
                bridge.reflect().await;
            }
            (Some(id), None)
        }
        Err((id, error)) => {
            let message = format!("Failed to create pod sandbox: {error}");
            context.events.record(Subject::pod(&pod), Severity::Warning, "FailedCreatePodSandBox", &message);
            (id, Some(Problem::new("FailedCreatePodSandBox", message)))
        }
    };
    Outcome::Made { task: Task::Sandbox, made: look(&context, id).await, problem }
}

pub async fn container(context: Arc<Context>, pod: Arc<Pod>, name: String, place: Place) -> Outcome {
    let (id, problem) = match start(&context, &pod, &name, place).await {
        Ok(id) => (Some(id), None),
        Err((id, problem)) => (id, Some(problem)),
    };
    Outcome::Made { task: Task::Container(name), made: look(&context, id).await, problem }
}

async fn start(context: &Context, pod: &Pod, name: &str, place: Place) -> Result<String, (Option<String>, Problem)> {
    let plain = |problem: Problem| (None, problem);
    let definition = spec::any_container(pod, name)
        .ok_or_else(|| plain(Problem::new("CreateContainerConfigError", "the pod has no such container")))?;
    let definition = definition.as_ref();
    let subject = || Subject::container(pod, name);
    images::ensure(context, pod, definition, &place.cancel).await.map_err(plain)?;
    let config_error = |message: String| {
        let event = format!("Error: {message}");
        context.events.record(subject(), Severity::Warning, "Failed", &event);
        plain(Problem::new("CreateContainerConfigError", message))
    };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let found = sources::gather(context, namespace, &environment::needs(definition)).await;
    let found = found.map_err(|error| config_error(error.to_string()))?;
    let surroundings = environment::Place {
        node_name: context.node_name.clone(),
        host_ip: context.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        pod_ip: place.address.or(context.host_ip).map(|ip| ip.to_string()).unwrap_or_default(),
    };
    let env = environment::resolve(pod, definition, &surroundings, &found).map_err(|e| config_error(e.to_string()))?;
    let mounts = volumes::mounts(context, pod, definition, &env).map_err(|e| config_error(e.to_string()))?;
    let blueprint = blueprint::container(&blueprint::Parts {
        pod,
        definition,
        attempt: place.attempt,
        backoff_seconds: place.backoff_seconds,
        sandbox: &place.sandbox,
        target: place.target.as_deref(),
        agent_id: &context.agent_id,
        env,
        mounts,
    });
    let blueprint = blueprint.map_err(|error| config_error(error.to_string()))?;
    if place.cancel.is_cancelled() {
        return Err(plain(Problem::new("ContainerCreating", "the pod is being deleted")));
    }
    match create_and_start(context, &blueprint).await {
        Ok(id) => {
            context.events.record(subject(), Severity::Normal, "Created", &format!("Created container: {name}"));
            context.events.record(subject(), Severity::Normal, "Started", &format!("Started container {name}"));
            Ok(id)
        }
        Err((id, error)) => {
            let reason = if id.is_some() { "RunContainerError" } else { "CreateContainerError" };
            context.events.record(subject(), Severity::Warning, "Failed", &format!("Error: {error}"));
            Err((id, Problem::new(reason, error)))
        }
    }
}

/// Gives the id, also of a container that was created and could not be started. One of this name that is there was
/// made by an earlier try whose answer was lost: it is looked at instead of made a second time.
async fn create_and_start(
    context: &Context,
    blueprint: &ContainerSpec,
) -> Result<String, (Option<String>, RuntimeError)> {
    let id = match context.runtime.create(blueprint).await {
        Ok(id) => id,
        Err(error @ RuntimeError::Conflict { .. }) => {
            let there = context.runtime.inspect(&blueprint.name).await.ok().flatten();
            return Err((there.map(|container| container.id), error));
        }
        Err(error) => return Err((None, error)),
    };
    match context.runtime.start(&id).await {
        Ok(()) => Ok(id),
        Err(error) => Err((Some(id), error)),
    }
}

async fn look(context: &Context, id: Option<String>) -> Option<Made> {
    let id = id?;
    // When the engine does not answer, the look that follows is tried until it does.
    let container = context.runtime.inspect(&id).await.ok().flatten();
    Some(Made { id, container })
}

/// Removes the containers and files that the pod has left.
pub async fn clean(context: Arc<Context>, pod: Arc<Pod>, ids: Vec<String>) -> Outcome {
    let mut result = Ok(());
    for id in ids {
        if let Err(error) = context.runtime.remove(&id).await {
            result = Err(error);
        }
    }
    if let Some(uid) = pod.metadata.uid.as_deref() {
        volumes::remove(&context, uid).await;
    }
    Outcome::Cleaned { result }
}
