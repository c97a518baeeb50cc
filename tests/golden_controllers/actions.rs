//! What the script of a recorded case does: API calls, and what its kubelet reports of pods.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use windlass::cluster::registry::{DeleteOptions, Propagation};
use windlass::object::clock::rfc3339;
use windlass::object::{ApiError, kinds};

use crate::cluster::{Cluster, NAMESPACE, bind_to};
use crate::picture::Picture;

#[derive(Default)]
pub struct Script {
    /// The addresses given to pods so far.
    addresses: BTreeMap<String, String>,
}

impl Script {
    /// Does one action; gives null, or the error as recorded.
    pub async fn act(&mut self, cluster: &Cluster, picture: &Picture, case: &Value, action: &Value) -> Value {
        let text = |name: &str| action[name].as_str().unwrap_or_default();
        let outcome = match text("op") {
            "create-initial" => create_initial(cluster, case).await,
            "create" | "add-node" => create(cluster, action["object"].clone()).await,
            "patch" => match kind(text("kind")) {
                Some(kind) => cluster.patch(kind, text("name"), action["patch"].clone()).await,
                None => Err(unknown(text("kind"))),
            },
            "delete" => delete(cluster, action).await,
            "pods" => {
                self.set_pods(cluster, picture, action).await;
                Ok(())
            }
            "finish-deletions" => {
                cluster.finish_deletions().await;
                Ok(())
            }
            "pod-delete" => {
                for pod in picture.select(cluster, action) {
                    let name = pod["metadata"]["name"].as_str().unwrap();
                    cluster.delete(kinds::POD, name, DeleteOptions::default()).await.unwrap();
                }
                Ok(())
            }
            "pod-patch" => {
                for pod in picture.select(cluster, action) {
                    let name = pod["metadata"]["name"].as_str().unwrap();
                    cluster.patch(kinds::POD, name, action["patch"].clone()).await.unwrap();
                }
                Ok(())
            }
            "evict" => {
                let chosen = if action["select"].is_object() { picture.select(cluster, action) } else { Vec::new() };
                let name = chosen.first().and_then(|pod| pod["metadata"]["name"].as_str());
                cluster.evict(name.unwrap_or(text("name"))).await
            }
            "bind" => {
                for pod in picture.select(cluster, action) {
                    bind_to(&cluster.registry, pod["metadata"]["name"].as_str().unwrap(), text("node")).await;
                }
                Ok(())
            }
            "wait" => {
                tokio::time::sleep(Duration::from_secs(action["seconds"].as_u64().unwrap())).await;
                Ok(())
            }
            "wait-until-next-minute" => {
                let second = cluster.registry.clock().now().as_second();
                let seconds = 60 - second.rem_euclid(60) + action["plusSeconds"].as_i64().unwrap_or(0);
                tokio::time::sleep(Duration::from_secs(seconds.try_into().unwrap())).await;
                Ok(())
            }
            "set-owners" => set_owners(cluster, action).await,
            other => Err(unknown(other)),
        };
        match outcome {
            Ok(()) => Value::Null,
            Err(e) => json!({"code": e.reason.code(), "reason": e.reason.to_string(),
                "message": e.message.replace(NAMESPACE, "<ns>")}),
        }
    }

    /// The kubelet sets the selected pods to a state.
    async fn set_pods(&mut self, cluster: &Cluster, picture: &Picture, action: &Value) {
        for pod in picture.select(cluster, action) {
            let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
            let next = self.addresses.len() + 1;
            let ip = self.addresses.entry(name).or_insert_with(|| format!("10.1.0.{next}")).clone();
            cluster.report(&pod, status(cluster, &pod, action, &ip)).await;
        }
    }
}

fn status(cluster: &Cluster, pod: &Value, action: &Value, ip: &str) -> Value {
    let now = rfc3339(cluster.registry.clock().now());
    let state = action["set"].as_str().unwrap();
    let ready = state == "ready";
    let (phase, container) = match state {
        "ready" | "notready" => ("Running", json!({"running": {"startedAt": now}})),
        "pending" => ("Pending", json!({"waiting": {"reason": "ContainerCreating"}})),
        "failed" => ("Failed", json!({"terminated": {"exitCode": action["exitCode"].as_i64().unwrap_or(1)}})),
        _ => ("Succeeded", json!({"terminated": {"exitCode": 0}})),
    };
    let before = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let condition = |kind: &str| {
        let value = if ready { "True" } else { "False" };
        let same = before.iter().find(|c| c["type"] == kind && c["status"] == value);
        let since = same.map_or(json!(now), |c| c["lastTransitionTime"].clone());
        json!({"type": kind, "status": value, "lastTransitionTime": since})
    };
    let mut conditions: Vec<Value> =
        before.iter().filter(|c| c["type"] != "Ready" && c["type"] != "ContainersReady").cloned().collect();
    conditions.extend([condition("Ready"), condition("ContainersReady")]);
    let mut status = json!({"phase": phase, "conditions": conditions,
        "containerStatuses": [{"name": "app", "image": "app:1", "imageID": "", "ready": ready, "state": container,
            "restartCount": action["restarts"].as_i64().unwrap_or(0)}]});
    if state != "pending" {
        status["podIP"] = json!(ip);
        status["podIPs"] = json!([{"ip": ip}]);
    }
    status
}

async fn create_initial(cluster: &Cluster, case: &Value) -> Result<(), ApiError> {
    for object in case["initial"].as_array().unwrap() {
        create(cluster, object.clone()).await?;
    }
    Ok(())
}

async fn create(cluster: &Cluster, object: Value) -> Result<(), ApiError> {
    let name = object["kind"].as_str().unwrap_or_default();
    if kind(name).is_none() {
        return Err(unknown(name));
    }
    cluster.create(object).await
}

async fn delete(cluster: &Cluster, action: &Value) -> Result<(), ApiError> {
    let propagation = match action["propagation"].as_str() {
        Some("Foreground") => Some(Propagation::Foreground),
        Some("Orphan") => Some(Propagation::Orphan),
        Some("Background") => Some(Propagation::Background),
        _ => None,
    };
    let options = DeleteOptions { propagation, ..DeleteOptions::default() };
    let name = action["name"].as_str().unwrap().replace("<ns>", NAMESPACE);
    let kind = kind(action["kind"].as_str().unwrap()).ok_or_else(|| unknown("kind"))?;
    cluster.delete(kind, &name, options).await
}

async fn set_owners(cluster: &Cluster, action: &Value) -> Result<(), ApiError> {
    let kind = kind(action["kind"].as_str().unwrap()).ok_or_else(|| unknown("kind"))?;
    let reference = |owner: &Value| {
        let name = owner["name"].as_str().unwrap();
        let uid = cluster.get(kind, name).unwrap()["metadata"]["uid"].clone();
        let mut reference = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "name": name, "uid": uid});
        if let Some(blocks) = owner.get("blockOwnerDeletion") {
            reference["blockOwnerDeletion"] = blocks.clone();
        }
        reference
    };
    let owners: Vec<Value> = action["owners"].as_array().unwrap().iter().map(reference).collect();
    let patch = json!({"metadata": {"ownerReferences": owners}});
    cluster.patch(kind, action["name"].as_str().unwrap(), patch).await
}

fn kind(name: &str) -> Option<&'static windlass::object::Kind> {
    kinds::all().iter().find(|k| k.kind == name)
}

fn unknown(what: &str) -> ApiError {
    ApiError::bad_request(format!("the replay does not know {what}"))
}
