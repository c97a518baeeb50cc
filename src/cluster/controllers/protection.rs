//! Lets volumes and claims go once nothing uses them: takes off the finalizers that kept them meanwhile.
//! (Kubernetes documentation, "Storage Object in Use Protection".)

use std::sync::Arc;

use serde_json::{Value, json};

use super::engine::{Controller, Failure, Next, Source};
use crate::cluster::registry::{Author, Patch, Registry, Target, WriteOptions};
use crate::cluster::store::{Event, Snapshot};
use crate::object::{Object, ObjectKey, Reason, kinds};

const OF_CLAIMS: &str = "kubernetes.io/pvc-protection";
const OF_VOLUMES: &str = "kubernetes.io/pv-protection";

pub struct ProtectionController {
    registry: Registry,
    author: Author,
}

impl Controller for ProtectionController {
    fn name(&self) -> &'static str {
        "storage-protection"
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::own(kinds::CLAIM), Source::own(kinds::VOLUME), Source::new(kinds::POD, claims_of_ended_pod)]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key).filter(|object| object.meta.is_deleting()) else { return Ok(Next::Done) };
        let finalizer = if key.kind == kinds::CLAIM { OF_CLAIMS } else { OF_VOLUMES };
        if !object.meta.finalizers.iter().any(|f| f == finalizer) || in_use(&snapshot, object) {
            return Ok(Next::Done);
        }
        let rest: Vec<&String> = object.meta.finalizers.iter().filter(|f| *f != finalizer).collect();
        let version = object.meta.revision.to_string();
        let patch = Patch::Merge(json!({"metadata": {"finalizers": rest, "resourceVersion": version}}));
        match self.registry.patch(&self.author, &Target::from(key), patch, WriteOptions::default()).await {
            Err(error) if error.reason == Reason::NotFound => Ok(Next::Done),
            Err(error) => Err(Failure::Refused(error)),
            Ok(_) => Ok(Next::Done),
        }
    }
}

impl ProtectionController {
    pub fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), author: Author::controller("storage-protection-controller") }
    }
}

/// A claim is in use while a pod that mounts it is on a node and has not ended; a volume while it is bound to a claim.
fn in_use(snapshot: &Snapshot, object: &Object) -> bool {
    if object.key.kind == kinds::VOLUME {
        return object.value()["status"]["phase"] == "Bound";
    }
    let pods = snapshot.list(kinds::POD, &object.key.namespace).filter(|pod| pod.meta.node.is_some());
    pods.into_iter().any(|pod| {
        let pod = pod.value();
        !has_ended(&pod) && claims_of_pod(&pod).any(|name| name == object.key.name)
    })
}

fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// The claims that a pod mounts; those that it has made for itself bear its name and the volume's.
pub fn claims_of_pod(pod: &Value) -> impl Iterator<Item = String> {
    pod["spec"]["volumes"].as_array().into_iter().flatten().filter_map(|volume| {
        if volume["ephemeral"].is_object() {
            return Some(format!("{}-{}", pod["metadata"]["name"].as_str()?, volume["name"].as_str()?));
        }
        volume["persistentVolumeClaim"]["claimName"].as_str().map(str::to_owned)
    })
}

/// Claims that are being deleted and may have been held by the pod that changed.
fn claims_of_ended_pod(snapshot: &Snapshot, event: &Event) -> Vec<ObjectKey> {
    let pod = &event.object;
    let mut deleting = snapshot.list(kinds::CLAIM, &pod.key.namespace).filter(|c| c.meta.is_deleting()).peekable();
    if deleting.peek().is_none() {
        return Vec::new();
    }
    let named: Vec<String> = claims_of_pod(&pod.value()).collect();
    deleting.filter(|claim| named.contains(&claim.key.name)).map(|claim| claim.key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::controllers::start_workloads;
    use crate::cluster::registry::DeleteOptions;
    use crate::cluster::store::Store;
    use crate::object::Clock;
    use crate::tasks::Tasks;

    #[tokio::test(start_paused = true)]
    async fn a_claim_goes_when_the_last_pod_that_mounts_it_has_ended() {
        let tasks = Tasks::default();
        let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
        let author = Author::controller("test");
        let make = async |kind, namespace: &str, object: Value| {
            registry.create(&author, kind, namespace, object, WriteOptions::default()).await.unwrap();
        };
        make(kinds::NAMESPACE, "", json!({"metadata": {"name": "d"}})).await;
        let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        make(kinds::CLAIM, "d", json!({"metadata": {"name": "c"}, "spec": spec})).await;
        let volume = json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}});
        let spec = json!({"nodeName": "n", "volumes": [volume], "containers": [{"name": "c", "image": "i"}]});
        make(kinds::POD, "d", json!({"metadata": {"name": "p"}, "spec": spec})).await;
        start_workloads(&registry, &tasks);

        let claim = ObjectKey::new(kinds::CLAIM, "d", "c");
        registry.delete(&author, &claim, &DeleteOptions::default()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        assert!(registry.get(&claim).is_ok(), "a pod mounts it");

        let pod = Target::status(ObjectKey::new(kinds::POD, "d", "p"));
        let ended = Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
        registry.patch(&author, &pod, ended, WriteOptions::default()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        assert!(registry.get(&claim).is_err(), "nothing holds it any more");
    }
}
