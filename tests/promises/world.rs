//! A cluster with a kubelet that does at random what kubelets do, and a record of every state that pods were in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use futures::FutureExt;
use serde_json::{Value, json};
use windlass::cluster::registry::{Author, DeleteOptions, Patch, Preconditions, Target, WriteOptions};
use windlass::cluster::store::{Change, Watch};
use windlass::object::{Kind, ObjectKey, kinds};

use crate::cluster::{Cluster, NAMESPACE};
use crate::seeds::tell;

pub struct World {
    pub cluster: Cluster,
    pub random: Rng,
    watch: Watch,
    /// Pods by name, as of the last state that was looked at.
    pub pods: BTreeMap<String, Value>,
    /// What runs on nodes: uids by the name of the pod. The kubelet alone starts and stops.
    running: BTreeMap<String, String>,
    /// Uids of pods that ran and never will again.
    stopped: BTreeSet<String>,
    /// Pods that failed, became unready, were deleted by hand or lost since the controllers were last at rest.
    pub losses: i64,
    /// Nothing is under way.
    pub at_rest: bool,
}

/// One change of a pod; `World::pods` is as it was left.
pub struct Seen {
    pub before: Option<Value>,
    pub now: Value,
    pub added: bool,
    pub revision: u64,
}

impl World {
    pub async fn start(random: Rng, object: Value) -> Self {
        let cluster = Cluster::start().await;
        let watch = cluster.registry.store().watch(kinds::POD, cluster.registry.snapshot().revision()).unwrap();
        cluster.create(object).await.unwrap();
        let (pods, running, stopped) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { cluster, random, watch, pods, running, stopped, losses: 0, at_rest: false }
    }

    /// Lets the controllers work: for some turns, for a while, or until they are at rest.
    pub async fn pass(&mut self) {
        self.at_rest = false;
        match self.random.u8(0..4) {
            0 => {
                for _ in 0..self.random.usize(0..80) {
                    tokio::task::yield_now().await;
                }
            }
            1 => tokio::time::sleep(Duration::from_millis(self.random.u64(0..1500))).await,
            _ => self.rest().await,
        }
    }

    pub async fn rest(&mut self) {
        self.cluster.settle().await;
        self.at_rest = true;
    }

    /// The changes since the last call, one by one.
    pub fn look(&mut self) -> Option<Seen> {
        let event = self.watch.next().now_or_never()?.unwrap();
        let name = event.object.key.name.clone();
        let now = event.object.value();
        let before = match event.change {
            Change::Deleted => self.pods.remove(&name),
            Change::Added | Change::Modified => self.pods.insert(name.clone(), now.clone()),
        };
        let uid = &event.object.meta.uid;
        let runs = !is_unbound(&now) && is_active(&now) && event.change != Change::Deleted;
        if runs && !self.stopped.contains(uid) {
            let other = self.running.insert(name.clone(), uid.clone());
            assert!(other.is_none_or(|other| other == *uid), "two pods of the name {name} run at {}", event.revision);
        }
        tell(|| {
            let state = if is_deleting(&now) { "deleting" } else { now["status"]["phase"].as_str().unwrap_or("new") };
            format!("{} {:?} pod {name} {state} ready={}", event.revision, event.change, is_ready(&now))
        });
        Some(Seen { before, now, added: event.change == Change::Added, revision: event.revision.0 })
    }

    pub fn count(&self, holds: impl Fn(&Value) -> bool) -> i64 {
        i64::try_from(self.pods.values().filter(|pod| holds(pod)).count()).unwrap()
    }

    pub async fn crash(&mut self) {
        self.cluster.restart().await;
    }

    pub async fn patch(&self, kind: &'static Kind, name: &str, patch: Value) {
        tell(|| format!("-- {patch}"));
        self.cluster.patch(kind, name, patch).await.unwrap();
    }

    fn bound(&self) -> Vec<Value> {
        let pods = self.cluster.list(kinds::POD).into_iter();
        pods.filter(|pod| is_active(pod) && !is_unbound(pod)).collect()
    }

    /// Up to so many pods become ready, the first by name first.
    pub async fn make_ready(&mut self, count: usize) {
        for pod in self.bound().iter().filter(|pod| !is_ready(pod)).take(count) {
            self.report(pod, self.cluster.ready(true)).await;
        }
    }

    pub async fn make_unready(&mut self) {
        if let Some(pod) = self.choose() {
            self.losses += 1;
            self.report(&pod, self.cluster.ready(false)).await;
        }
    }

    /// A pod that is on a node and has not ended.
    pub fn choose(&mut self) -> Option<Value> {
        let pods = self.bound();
        self.random.choice(pods)
    }

    pub async fn fail(&mut self, pod: &Value) {
        self.losses += 1;
        self.stop(pod);
        self.report(pod, json!({"phase": "Failed", "conditions": []})).await;
    }

    /// Somebody deletes a pod.
    pub async fn delete_one(&mut self) {
        if let Some(pod) = self.choose() {
            self.losses += 1;
            let name = pod["metadata"]["name"].as_str().unwrap();
            // Somebody else was faster, perhaps.
            let _ = self.cluster.delete(kinds::POD, name, DeleteOptions::default()).await;
        }
    }

    /// The machine is gone with all that ran there; its pods are given up.
    pub async fn lose_node(&mut self) {
        let Some(node) = self.choose().map(|pod| pod["spec"]["nodeName"].clone()) else { return };
        for pod in self.cluster.list(kinds::POD).iter().filter(|pod| pod["spec"]["nodeName"] == node) {
            self.losses += 1;
            self.stop(pod);
            if is_active(pod) {
                self.report(pod, json!({"phase": "Failed", "conditions": []})).await;
            }
            self.remove(pod).await;
        }
    }

    /// The pods that are on their way out have ended.
    pub async fn finish_deletions(&mut self) {
        for pod in self.cluster.list(kinds::POD).iter().filter(|pod| is_deleting(pod)) {
            self.stop(pod);
            self.remove(pod).await;
        }
    }

    /// Nothing of the pod runs any more.
    fn stop(&mut self, pod: &Value) {
        let text = |field: &str| pod["metadata"][field].as_str().unwrap().to_owned();
        if self.running.get(&text("name")) == Some(&text("uid")) {
            self.running.remove(&text("name"));
        }
        self.stopped.insert(text("uid"));
    }

    async fn remove(&self, pod: &Value) {
        let name = pod["metadata"]["name"].as_str().unwrap();
        // By now another pod may have its name.
        let uid = pod["metadata"]["uid"].as_str().map(str::to_owned);
        let preconditions = Preconditions { uid, revision: None };
        let options = DeleteOptions { grace_period_seconds: Some(0), preconditions, ..DeleteOptions::default() };
        let _ = self.cluster.delete(kinds::POD, name, options).await;
    }

    /// Gives the pod as it was stored, if it still was there.
    pub async fn report(&self, pod: &Value, status: Value) -> Option<Value> {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let target = Target::status(ObjectKey::new(kinds::POD, NAMESPACE, name));
        let patch = Patch::Merge(json!({"status": status, "metadata": {"uid": pod["metadata"]["uid"]}}));
        let author = Author::controller("kubelet");
        let written = self.cluster.registry.patch(&author, &target, patch, WriteOptions::default()).await;
        written.ok().map(|written| written.object.value())
    }
}

pub fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

pub fn is_deleting(pod: &Value) -> bool {
    !pod["metadata"]["deletionTimestamp"].is_null()
}

pub fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"))
}

pub fn is_active(pod: &Value) -> bool {
    !is_deleting(pod) && !has_ended(pod)
}

fn is_unbound(pod: &Value) -> bool {
    pod["spec"]["nodeName"].is_null()
}
