//! A control plane without an API server: store, registry and controllers, a binder that stands in for the
//! scheduler, and a kubelet that changes pods only when a test says so.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::cluster::controllers::{self, Controllers};
use windlass::cluster::registry::{Author, DeleteOptions, Patch, Registry, Target, WriteOptions};
use windlass::cluster::scheduler;
use windlass::cluster::store::{Change, Memory, Store};
use windlass::object::clock::rfc3339;
use windlass::object::{ApiError, Clock, Kind, Object, ObjectKey, kinds};
use windlass::tasks::Tasks;

pub const NAMESPACE: &str = "test";
/// A cluster in which nothing was written for this long has settled.
const QUIET: Duration = Duration::from_secs(1);
/// The same where Jobs are: the ends of their pods are counted a second later.
pub const QUIET_WITH_JOBS: Duration = Duration::from_millis(2100);

/// Who gives pods their node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// A binder that needs no nodes: each pod goes to the name with the fewest pods.
    Anywhere,
    /// The same, and it takes the pods of the scheduler `scripted`, too.
    Everything,
    /// The scheduler.
    Scheduler,
}

pub struct Cluster {
    pub registry: Registry,
    pub tasks: Tasks,
    pub controllers: Controllers,
    pub quiet: Duration,
    binding: Binding,
}

impl Cluster {
    pub async fn start() -> Self {
        Self::start_with(Binding::Anywhere).await
    }

    pub async fn start_with(binding: Binding) -> Self {
        let store = Store::open(Memory, &Tasks::default()).unwrap();
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        let registry = Registry::new(store, clock);
        let namespace = json!({"metadata": {"name": NAMESPACE}});
        registry.create(&admin(), kinds::NAMESPACE, "", namespace, WriteOptions::default()).await.unwrap();
        let tasks = Tasks::default();
        let controllers = start_parts(&registry, &tasks, binding);
        Self { registry, tasks, controllers, quiet: QUIET, binding }
    }

    /// Stops the controllers and starts new ones, as a crash of the control plane does.
    pub async fn restart(&mut self) {
        self.tasks.stop().await;
        self.tasks = Tasks::default();
        self.controllers = start_parts(&self.registry, &self.tasks, self.binding);
    }

    /// Waits until nothing has been written for a while.
    pub async fn settle(&self) {
        loop {
            let before = self.registry.store().revision();
            tokio::time::sleep(self.quiet).await;
            if self.registry.store().revision() == before {
                break;
            }
        }
    }

    pub async fn create(&self, object: Value) -> Result<(), ApiError> {
        let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        let kind = kinds::by_manifest(&text("apiVersion"), &text("kind")).unwrap();
        let namespace = if kind.namespaced { NAMESPACE } else { "" };
        self.registry.create(&admin(), kind, namespace, object, WriteOptions::default()).await.map(drop)
    }

    pub async fn patch(&self, kind: &'static Kind, name: &str, patch: Value) -> Result<(), ApiError> {
        let namespace = if kind.namespaced { NAMESPACE } else { "" };
        let target = Target::new(kind, namespace, name);
        self.registry.patch(&admin(), &target, Patch::Merge(patch), WriteOptions::default()).await.map(drop)
    }

    pub async fn delete(&self, kind: &'static Kind, name: &str, options: DeleteOptions) -> Result<(), ApiError> {
        let namespace = if kind.namespaced { NAMESPACE } else { "" };
        self.registry.delete(&admin(), &ObjectKey::new(kind, namespace, name), &options).await.map(drop)
    }

    pub async fn evict(&self, name: &str) -> Result<(), ApiError> {
        let pod = ObjectKey::new(kinds::POD, NAMESPACE, name);
        let eviction = serde_json::json!({"metadata": {"name": name}});
        self.registry.evict(&admin(), &pod, &eviction, &DeleteOptions::default()).await.map(drop)
    }

    pub fn get(&self, kind: &'static Kind, name: &str) -> Option<Value> {
        self.registry.snapshot().find(kind, NAMESPACE, name).map(|o| o.value())
    }

    pub fn list(&self, kind: &'static Kind) -> Vec<Value> {
        self.registry.snapshot().list(kind, NAMESPACE).map(|o| o.value()).collect()
    }

    /// The kubelet reports a pod as running, ready or not.
    pub async fn report(&self, pod: &Value, status: Value) {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let target = Target::status(ObjectKey::new(kinds::POD, NAMESPACE, name));
        let patch = Patch::Merge(json!({"status": status}));
        self.registry.patch(&Author::controller("kubelet"), &target, patch, WriteOptions::default()).await.unwrap();
    }

    pub fn ready(&self, ready: bool) -> Value {
        let now = rfc3339(self.registry.clock().now());
        let value = if ready { "True" } else { "False" };
        json!({"phase": "Running", "conditions": [
            {"type": "Ready", "status": value, "lastTransitionTime": now},
            {"type": "ContainersReady", "status": value, "lastTransitionTime": now}]})
    }

    /// The kubelet has stopped the pods that are being deleted.
    pub async fn finish_deletions(&self) {
        for pod in self.list(kinds::POD).iter().filter(|p| !p["metadata"]["deletionTimestamp"].is_null()) {
            let options = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
            self.delete(kinds::POD, pod["metadata"]["name"].as_str().unwrap(), options).await.unwrap();
        }
    }
}

pub fn admin() -> Author {
    Author { user: "kubernetes-admin".into(), manager: "test".into(), ..Author::default() }
}

fn start_parts(registry: &Registry, tasks: &Tasks, binding: Binding) -> Controllers {
    match binding {
        Binding::Scheduler => scheduler::start(registry.clone(), tasks),
        _ => tasks.spawn("binder", bind_pods(registry.clone(), binding)),
    }
    controllers::start_workloads(registry, tasks)
}

/// Binds each pod that nobody else schedules to the node with the fewest pods.
async fn bind_pods(registry: Registry, binding: Binding) {
    let snapshot = registry.snapshot();
    let mut watch = registry.store().watch(kinds::POD, snapshot.revision()).unwrap();
    for pod in snapshot.list(kinds::POD, "") {
        bind(&registry, pod, binding).await;
    }
    while let Ok(event) = watch.next().await {
        if event.change != Change::Deleted {
            bind(&registry, &event.object, binding).await;
        }
    }
}

async fn bind(registry: &Registry, pod: &Object, binding: Binding) {
    let left_alone = binding != Binding::Everything && pod.value()["spec"]["schedulerName"] == "scripted";
    if pod.meta.node.is_some() || pod.meta.is_deleting() || left_alone {
        return;
    }
    let snapshot = registry.snapshot();
    let names = ["n1", "n2", "n3", "n4", "n5"];
    let node = names.iter().min_by_key(|node| snapshot.pods_on(node).count()).unwrap();
    bind_to(registry, &pod.key.name, node).await;
}

pub async fn bind_to(registry: &Registry, pod: &str, node: &str) {
    let pod = ObjectKey::new(kinds::POD, NAMESPACE, pod);
    let binding = json!({"target": {"kind": "Node", "name": node}});
    // The pod may be gone by now.
    let _ = registry.bind(&Author::controller("scheduler"), &pod, &binding, WriteOptions::default()).await;
}
