//! What becomes of nodes that fall silent or go, and of their pods: one is abandoned, a whole cluster never is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use windlass::cluster::controllers;
use windlass::cluster::registry::{Author, DeleteOptions, Patch, Registry, Target, WriteOptions};
use windlass::object::clock::rfc3339_micro;
use windlass::object::kinds;

use crate::cluster::{Cluster, NAMESPACE};

const LEASES: &str = "kube-node-lease";

/// Nodes that renew their leases every ten seconds, unless they are silent.
struct Fleet {
    cluster: Cluster,
    silent: Arc<Mutex<BTreeSet<String>>>,
}

impl Fleet {
    async fn start(nodes: usize) -> Self {
        let cluster = Cluster::start().await;
        let leases = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": LEASES}});
        cluster.create(leases).await.unwrap();
        for n in 1..=nodes {
            let ready = json!([{"type": "Ready", "status": "True", "reason": "KubeletReady"}]);
            let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("n{n}")},
                "status": {"conditions": ready}});
            cluster.create(node).await.unwrap();
            let lease = json!({"metadata": {"name": format!("n{n}")}, "spec": {"holderIdentity": format!("n{n}")}});
            let author = Author::controller("kubelet");
            let registry = &cluster.registry;
            registry.create(&author, kinds::LEASE, LEASES, lease, WriteOptions::default()).await.unwrap();
        }
        let silent = Arc::new(Mutex::new(BTreeSet::new()));
        cluster.tasks.spawn("hearts", beat(cluster.registry.clone(), silent.clone()));
        controllers::start_nodes(&cluster.registry, &cluster.tasks);
        Self { cluster, silent }
    }

    fn silence(&self, node: &str) {
        self.silent.lock().unwrap().insert(node.to_owned());
    }

    async fn run_a_pod_on(&self, node: &str) {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("on-{node}")},
            "spec": {"nodeName": node, "containers": [{"name": "app", "image": "app:1"}]}});
        self.cluster.create(pod.clone()).await.unwrap();
        self.cluster.report(&pod, self.cluster.ready(true)).await;
    }

    fn ready(&self, node: &str) -> Value {
        let object = self.cluster.get(kinds::NODE, node).unwrap();
        let conditions = object["status"]["conditions"].as_array().unwrap();
        conditions.iter().find(|c| c["type"] == "Ready").unwrap()["status"].clone()
    }

    fn taints(&self, node: &str) -> Vec<String> {
        let object = self.cluster.get(kinds::NODE, node).unwrap();
        let taints = object["spec"]["taints"].as_array().into_iter().flatten();
        taints.map(|t| format!("{}:{}", t["key"].as_str().unwrap(), t["effect"].as_str().unwrap())).collect()
    }

    fn is_leaving(&self, pod: &str) -> bool {
        self.cluster.get(kinds::POD, pod).is_none_or(|p| !p["metadata"]["deletionTimestamp"].is_null())
    }
}

async fn beat(registry: Registry, silent: Arc<Mutex<BTreeSet<String>>>) {
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let nodes: Vec<String> = registry.snapshot().list(kinds::NODE, "").map(|n| n.key.name.clone()).collect();
        for node in nodes {
            if silent.lock().unwrap().contains(&node) {
                continue;
            }
            let now = rfc3339_micro(registry.clock().now());
            let patch = Patch::Merge(json!({"spec": {"renewTime": now}}));
            let target = Target::new(kinds::LEASE, LEASES, &node);
            registry.patch(&Author::controller("kubelet"), &target, patch, WriteOptions::default()).await.unwrap();
        }
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_abandoned_and_the_others_are_left_alone() {
    let fleet = Fleet::start(3).await;
    fleet.run_a_pod_on("n1").await;
    fleet.run_a_pod_on("n2").await;
    pass(60).await;
    assert_eq!(fleet.ready("n1"), "True");
    fleet.silence("n1");
    pass(55).await;
    assert_eq!(fleet.ready("n1"), "Unknown");
    let unreachable = ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"];
    assert_eq!(fleet.taints("n1"), unreachable);
    let pod = fleet.cluster.get(kinds::POD, "on-n1").unwrap();
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "False"), "{pod:#}");
    assert!(!fleet.is_leaving("on-n1"), "it tolerates this for five minutes");
    pass(300).await;
    assert!(fleet.is_leaving("on-n1"));
    assert!(!fleet.is_leaving("on-n2"));
    assert_eq!((fleet.ready("n2"), fleet.taints("n2").len()), (json!("True"), 0));
}

#[tokio::test(start_paused = true)]
async fn when_all_nodes_fall_silent_nobody_is_evicted() {
    let fleet = Fleet::start(3).await;
    for node in ["n1", "n2", "n3"] {
        fleet.run_a_pod_on(node).await;
        fleet.silence(node);
    }
    pass(3600).await;
    for node in ["n1", "n2", "n3"] {
        assert_eq!(fleet.ready(node), "Unknown");
        assert!(!fleet.taints(node).iter().any(|t| t.ends_with("NoExecute")), "{:?}", fleet.taints(node));
        assert!(!fleet.is_leaving(&format!("on-{node}")));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_long_outage_of_the_control_plane_the_nodes_get_time_to_be_heard() {
    let mut fleet = Fleet::start(2).await;
    fleet.run_a_pod_on("n1").await;
    fleet.cluster.tasks.stop().await;
    pass(3600).await;
    fleet.cluster.restart().await;
    controllers::start_nodes(&fleet.cluster.registry, &fleet.cluster.tasks);
    pass(25).await;
    assert_eq!(fleet.ready("n1"), "True", "its lease is an hour old, and nobody was there to see it renewed");
    fleet.cluster.tasks.spawn("hearts", beat(fleet.cluster.registry.clone(), fleet.silent.clone()));
    pass(600).await;
    assert_eq!((fleet.ready("n1"), fleet.taints("n1").len()), (json!("True"), 0));
    assert!(!fleet.is_leaving("on-n1"));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_reports_again_is_trusted_again() {
    let fleet = Fleet::start(2).await;
    fleet.silence("n1");
    pass(100).await;
    assert_eq!(fleet.taints("n1").len(), 2);
    fleet.silent.lock().unwrap().clear();
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": "True",
        "lastHeartbeatTime": "2026-01-01T00:10:00Z"}]}});
    let target = Target::status(windlass::object::ObjectKey::new(kinds::NODE, "", "n1"));
    let kubelet = Author::controller("kubelet");
    fleet.cluster.registry.patch(&kubelet, &target, Patch::Merge(status), WriteOptions::default()).await.unwrap();
    pass(100).await;
    assert_eq!((fleet.ready("n1"), fleet.taints("n1").len()), (json!("True"), 0));
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_node_that_was_removed_end_after_a_while() {
    let fleet = Fleet::start(2).await;
    fleet.run_a_pod_on("n1").await;
    fleet.cluster.delete(kinds::NODE, "n1", DeleteOptions::default()).await.unwrap();
    pass(30).await;
    assert!(!fleet.is_leaving("on-n1"), "it may be registered anew");
    pass(30).await;
    assert!(fleet.cluster.get(kinds::POD, "on-n1").is_none(), "in namespace {NAMESPACE}");
}
