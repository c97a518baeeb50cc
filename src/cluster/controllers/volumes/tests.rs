//! Claims, volumes and the pods that mount them, with the controllers and the scheduler at work under paused time.

use std::time::Duration;

use serde_json::{Value, json};

use super::VolumeController;
use crate::cluster::controllers::engine;
use crate::cluster::controllers::protection::ProtectionController;
use crate::cluster::registry::{Author, DeleteOptions, Patch, Registry, Target, WriteOptions, bootstrap_storage};
use crate::cluster::scheduler;
use crate::cluster::store::Store;
use crate::object::{Clock, Kind, ObjectKey, kinds, local_path};
use crate::tasks::Tasks;

struct Cluster {
    registry: Registry,
    _tasks: Tasks,
}

impl Cluster {
    async fn start() -> Self {
        let tasks = Tasks::default();
        let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
        bootstrap_storage(&registry).await.unwrap();
        engine::start(VolumeController::new(&registry), registry.store(), &tasks);
        engine::start(ProtectionController::new(&registry), registry.store(), &tasks);
        scheduler::start(registry.clone(), &tasks);
        let cluster = Self { registry, _tasks: tasks };
        cluster.make(kinds::NAMESPACE, json!({"metadata": {"name": "d"}})).await;
        for node in ["a", "b"] {
            cluster
                .make(
                    kinds::NODE,
                    json!({"metadata": {"name": node, "labels": {"kubernetes.io/hostname": node},
                        "annotations": {(local_path::DIRECTORY): "/data/volumes"}},
                        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}}}),
                )
                .await;
        }
        cluster
    }

    async fn make(&self, kind: &'static Kind, object: Value) {
        let namespace = if kind.namespaced { "d" } else { "" };
        let author = Author::controller("test");
        self.registry.create(&author, kind, namespace, object, WriteOptions::default()).await.unwrap();
    }

    async fn claim(&self, name: &str, spec: Value) {
        let mut whole = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        json_patch::merge(&mut whole, &spec);
        self.make(kinds::CLAIM, json!({"metadata": {"name": name}, "spec": whole})).await;
        self.settle().await;
    }

    async fn volume(&self, name: &str, size: &str, spec: Value) {
        let mut whole = json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size},
            "storageClassName": "", "hostPath": {"path": "/srv"}});
        json_patch::merge(&mut whole, &spec);
        self.make(kinds::VOLUME, json!({"metadata": {"name": name}, "spec": whole})).await;
        self.settle().await;
    }

    async fn pod(&self, name: &str, claim: &str) {
        let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]);
        let spec = json!({"volumes": volumes, "containers": [{"name": "c", "image": "i"}]});
        self.make(kinds::POD, json!({"metadata": {"name": name}, "spec": spec})).await;
        self.settle().await;
    }

    async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }

    async fn delete(&self, kind: &'static Kind, name: &str, grace: Option<i64>) {
        let options = DeleteOptions { grace_period_seconds: grace, ..DeleteOptions::default() };
        self.registry.delete(&Author::controller("test"), &self.key(kind, name), &options).await.unwrap();
        self.settle().await;
    }

    fn key(&self, kind: &'static Kind, name: &str) -> ObjectKey {
        ObjectKey::new(kind, if kind.namespaced { "d" } else { "" }, name)
    }

    fn find(&self, kind: &'static Kind, name: &str) -> Option<Value> {
        self.registry.get(&self.key(kind, name)).ok().map(|object| object.value())
    }

    fn get(&self, kind: &'static Kind, name: &str) -> Value {
        self.find(kind, name).unwrap()
    }

    fn phase(&self, kind: &'static Kind, name: &str) -> String {
        self.get(kind, name)["status"]["phase"].as_str().unwrap_or_default().to_owned()
    }

    fn told(&self, name: &str, reason: &str) -> Option<String> {
        let snapshot = self.registry.snapshot();
        let event = |event: &Value| event["involvedObject"]["name"] == name && event["reason"] == reason;
        let found = snapshot.list(kinds::EVENT, "").map(|object| object.value()).find(event)?;
        found["message"].as_str().map(str::to_owned)
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_gets_the_smallest_volume_that_suits_and_leaves_it_released() {
    let cluster = Cluster::start().await;
    cluster.volume("large", "9Gi", json!({})).await;
    cluster.volume("small", "2Gi", json!({})).await;
    assert_eq!(cluster.phase(kinds::VOLUME, "small"), "Available");
    cluster.claim("c", json!({"storageClassName": ""})).await;
    assert_eq!(
        (cluster.phase(kinds::CLAIM, "c"), cluster.phase(kinds::VOLUME, "small")),
        ("Bound".into(), "Bound".into())
    );
    let claim = cluster.get(kinds::CLAIM, "c");
    assert_eq!(claim["spec"]["volumeName"], "small");
    assert_eq!(claim["status"]["capacity"]["storage"], "2Gi");
    assert_eq!(cluster.get(kinds::VOLUME, "small")["spec"]["claimRef"]["uid"], claim["metadata"]["uid"]);

    cluster.claim("too-much", json!({"storageClassName": "", "resources": {"requests": {"storage": "1Ti"}}})).await;
    assert_eq!(cluster.phase(kinds::CLAIM, "too-much"), "Pending");
    let why = "no persistent volumes available for this claim and no storage class is set";
    assert_eq!(cluster.told("too-much", "FailedBinding").as_deref(), Some(why));

    cluster.delete(kinds::CLAIM, "c", None).await;
    assert!(cluster.find(kinds::CLAIM, "c").is_none());
    assert_eq!(cluster.phase(kinds::VOLUME, "small"), "Released");
    cluster.claim("again", json!({"storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}})).await;
    assert_eq!(cluster.get(kinds::CLAIM, "again")["spec"]["volumeName"], "large", "what was released is nobody's");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_names_its_volume_hears_why_it_cannot_have_it() {
    let cluster = Cluster::start().await;
    cluster.volume("v", "1Gi", json!({})).await;
    cluster
        .claim(
            "large",
            json!({"storageClassName": "", "volumeName": "v", "resources": {"requests": {"storage": "2Gi"}}}),
        )
        .await;
    let why = "Cannot bind to requested volume \"v\": requested PV is too small";
    assert_eq!(cluster.told("large", "VolumeMismatch").as_deref(), Some(why));
    cluster.claim("one", json!({"storageClassName": "", "volumeName": "v"})).await;
    assert_eq!(cluster.phase(kinds::CLAIM, "one"), "Bound");
    cluster.claim("two", json!({"storageClassName": "", "volumeName": "v"})).await;
    let why = "volume \"v\" already bound to a different claim.";
    assert_eq!(cluster.told("two", "FailedBinding").as_deref(), Some(why));
    cluster.claim("early", json!({"storageClassName": "", "volumeName": "later"})).await;
    cluster.volume("later", "1Gi", json!({})).await;
    assert_eq!(cluster.phase(kinds::CLAIM, "early"), "Bound");
}

#[tokio::test(start_paused = true)]
async fn a_local_volume_is_made_where_the_first_pod_goes_and_goes_with_its_claim() {
    let cluster = Cluster::start().await;
    cluster.claim("c", json!({})).await;
    assert_eq!(cluster.get(kinds::CLAIM, "c")["spec"]["storageClassName"], "local-path");
    assert_eq!(cluster.phase(kinds::CLAIM, "c"), "Pending");
    let waits = "waiting for first consumer to be created before binding";
    assert_eq!(cluster.told("c", "WaitForFirstConsumer").as_deref(), Some(waits));

    cluster.pod("one", "c").await;
    let claim = cluster.get(kinds::CLAIM, "c");
    assert_eq!(claim["status"]["phase"], "Bound");
    let node = cluster.get(kinds::POD, "one")["spec"]["nodeName"].as_str().unwrap().to_owned();
    let name = claim["spec"]["volumeName"].as_str().unwrap().to_owned();
    let volume = cluster.get(kinds::VOLUME, &name);
    assert_eq!(volume["spec"]["hostPath"]["path"], format!("/data/volumes/{name}"));
    assert_eq!(volume["metadata"]["labels"][local_path::NODE], node.as_str());
    for other in ["two", "three", "four"] {
        cluster.pod(other, "c").await;
        assert_eq!(cluster.get(kinds::POD, other)["spec"]["nodeName"], node.as_str());
    }

    cluster.delete(kinds::CLAIM, "c", None).await;
    assert!(cluster.find(kinds::CLAIM, "c").is_some(), "pods mount it");
    for pod in ["one", "two", "three", "four"] {
        cluster.delete(kinds::POD, pod, Some(0)).await;
    }
    assert!(cluster.find(kinds::CLAIM, "c").is_none());
    let volume = cluster.get(kinds::VOLUME, &name);
    assert_eq!(
        (&volume["status"]["phase"], volume["metadata"]["deletionTimestamp"].is_null()),
        (&json!("Released"), false)
    );
    assert_eq!(volume["metadata"]["finalizers"], json!([local_path::FINALIZER]));
    // The agent of its node would remove the directory now; without the machine there is nothing to remove.
    cluster.delete(kinds::NODE, &node, None).await;
    assert!(cluster.find(kinds::VOLUME, &name).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_pod_goes_where_a_volume_that_somebody_made_is() {
    let cluster = Cluster::start().await;
    cluster
        .make(
            kinds::STORAGE_CLASS,
            json!({"metadata": {"name": "disks"}, "provisioner": "kubernetes.io/no-provisioner",
                "volumeBindingMode": "WaitForFirstConsumer"}),
        )
        .await;
    cluster.claim("c", json!({"storageClassName": "disks"})).await;
    cluster.pod("p", "c").await;
    let why = "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind. \
        no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
    assert_eq!(cluster.told("p", "FailedScheduling").as_deref(), Some(why));
    let on_b = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": ["b"]}]}]}});
    let spec = json!({"storageClassName": "disks", "hostPath": null, "local": {"path": "/disk"}, "nodeAffinity": on_b});
    cluster.volume("disk", "5Gi", spec).await;
    assert_eq!(cluster.get(kinds::POD, "p")["spec"]["nodeName"], "b");
    assert_eq!(cluster.get(kinds::CLAIM, "c")["spec"]["volumeName"], "disk");
    assert_eq!(cluster.phase(kinds::VOLUME, "disk"), "Bound");
}

#[tokio::test(start_paused = true)]
async fn a_pod_whose_claim_is_missing_or_unbound_says_so() {
    let cluster = Cluster::start().await;
    cluster.pod("early", "late").await;
    let why = "0/2 nodes are available: persistentvolumeclaim \"late\" not found.";
    assert!(cluster.told("early", "FailedScheduling").unwrap().starts_with(why));
    cluster.claim("late", json!({"storageClassName": ""})).await;
    let why = "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    let told = |cluster: &Cluster| {
        let snapshot = cluster.registry.snapshot();
        snapshot.list(kinds::EVENT, "").any(|e| e.value()["message"].as_str().is_some_and(|m| m.starts_with(why)))
    };
    assert!(told(&cluster));
    cluster.volume("v", "1Gi", json!({})).await;
    // Its pause after the refusals.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(cluster.get(kinds::POD, "early")["spec"]["nodeName"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_goes_under_its_claim_is_lost() {
    let cluster = Cluster::start().await;
    cluster.volume("v", "1Gi", json!({})).await;
    cluster.claim("c", json!({"storageClassName": ""})).await;
    cluster.delete(kinds::VOLUME, "v", None).await;
    assert!(cluster.find(kinds::VOLUME, "v").is_some(), "it is in use");
    let patch = Patch::Merge(json!({"metadata": {"finalizers": []}}));
    let target = Target::from(cluster.key(kinds::VOLUME, "v"));
    cluster.registry.patch(&Author::controller("test"), &target, patch, WriteOptions::default()).await.unwrap();
    cluster.settle().await;
    assert_eq!(cluster.phase(kinds::CLAIM, "c"), "Lost");
    let why = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
    assert_eq!(cluster.told("c", "ClaimLost").as_deref(), Some(why));
}
