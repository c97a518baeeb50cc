//! Waits for what the cluster is to come to, by watches, and shows pods as kubectl would.

use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::runtime::wait::{Condition, await_condition};
use serde::de::DeserializeOwned;

use super::super::client;
use super::super::output::{ago, table};
use crate::object::SYSTEM_NAMESPACE;
use crate::object::application::Application;

/// Longest wait for anything in the story; on a slow machine the first image import takes some seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until the object `name` is as `condition` wants it.
pub async fn until<K>(api: Api<K>, name: &str, what: &str, condition: impl Condition<K>) -> anyhow::Result<K>
where
    K: Clone + std::fmt::Debug + Send + DeserializeOwned + kube::Resource + 'static,
{
    let reached = tokio::time::timeout(PATIENCE, await_condition(api, name, condition)).await;
    let reached = reached.map_err(|_| anyhow!("{what}: not within {PATIENCE:?}"))?;
    reached.with_context(|| what.to_owned())?.with_context(|| format!("{what}: {name} is gone"))
}

/// Rolled out: all replicas are of the latest template, available, and no older one is left.
pub fn rolled_out(deployment: Option<&Deployment>) -> bool {
    let Some(deployment) = deployment else { return false };
    let Some(status) = &deployment.status else { return false };
    let wanted = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    status.observed_generation >= deployment.metadata.generation
        && status.updated_replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted
        && status.replicas.unwrap_or(0) == wanted
}

/// Waits until the Application `name` has synced `commit` and is healthy.
pub async fn healthy_at(kube: &kube::Client, name: &str, commit: &str) -> anyhow::Result<Application> {
    let wanted = commit.to_owned();
    let condition = move |object: Option<&kube::api::DynamicObject>| {
        let Some(status) = object.map(|o| &o.data["status"]) else { return false };
        status["sync"]["revision"] == wanted.as_str()
            && status["sync"]["status"] == "Synced"
            && status["health"]["status"] == "Healthy"
    };
    let what = format!("commit {} synced and healthy", client_short(commit));
    let api = client::applications(kube, SYSTEM_NAMESPACE);
    let reached = tokio::time::timeout(PATIENCE, await_condition(api, name, condition)).await;
    let object = reached.map_err(|_| anyhow!("{what}: not within {PATIENCE:?}"))?.context(what)?;
    Ok(serde_json::from_value(serde_json::to_value(object)?)?)
}

fn client_short(commit: &str) -> &str {
    super::super::output::short(commit)
}

pub async fn pods(kube: &kube::Client, namespace: &str) -> anyhow::Result<Vec<Pod>> {
    let listed = Api::<Pod>::namespaced(kube.clone(), namespace).list(&ListParams::default()).await;
    Ok(listed.context("cannot list the pods")?.items)
}

/// The ReplicaSets that have pods, by name.
pub async fn active_replica_sets(kube: &kube::Client, namespace: &str) -> anyhow::Result<Vec<String>> {
    let all = Api::<ReplicaSet>::namespaced(kube.clone(), namespace).list(&ListParams::default()).await?;
    let active = |set: &ReplicaSet| set.spec.as_ref().and_then(|s| s.replicas).unwrap_or(0) > 0;
    Ok(all.items.into_iter().filter(active).filter_map(|set| set.metadata.name).collect())
}

/// The pods as `kubectl get pods` shows them, with their image.
pub fn pod_table(pods: &[Pod], now: Timestamp) -> String {
    let row = |pod: &Pod| {
        let statuses = pod.status.as_ref().and_then(|s| s.container_statuses.as_deref()).unwrap_or_default();
        let image = pod.spec.as_ref().and_then(|s| s.containers.first()).and_then(|c| c.image.clone());
        vec![
            pod.metadata.name.clone().unwrap_or_default(),
            format!("{}/{}", statuses.iter().filter(|s| s.ready).count(), statuses.len()),
            match pod.metadata.deletion_timestamp {
                Some(_) => "Terminating".to_owned(),
                None => pod.status.as_ref().and_then(|s| s.phase.clone()).unwrap_or_default(),
            },
            statuses.iter().map(|s| s.restart_count).sum::<i32>().to_string(),
            ago(pod.metadata.creation_timestamp.as_ref().map(|t| t.0.to_string()).as_deref(), now),
            image.unwrap_or_default(),
        ]
    };
    table(&["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IMAGE"], &pods.iter().map(row).collect::<Vec<_>>())
}
