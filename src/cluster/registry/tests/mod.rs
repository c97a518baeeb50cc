//! The registry's rules, each through the door that clients use, over a store in memory.

mod deletion;
mod policies;
mod steps;
mod updates;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Author, Registry, WriteOptions, bootstrap};
use crate::cluster::store::Store;
use crate::object::{Clock, Kind, ObjectKey, kinds};
use crate::tasks::Tasks;

const NOW: &str = "2026-01-01T00:00:00Z";

struct World {
    registry: Registry,
    author: Author,
    tasks: Tasks,
}

/// A cluster as it begins.
async fn world() -> World {
    let tasks = Tasks::default();
    let now: Timestamp = NOW.parse().unwrap();
    let registry = Registry::new(Store::in_memory(&tasks), Clock::starting_at(now));
    bootstrap(&registry).await.unwrap();
    World { registry, author: Author { manager: "test".into(), ..Author::default() }, tasks }
}

impl World {
    async fn create(&self, kind: &'static Kind, object: Value) -> Value {
        let done = self.registry.create(&self.author, kind, "default", object, WriteOptions::default()).await;
        done.unwrap_or_else(|refused| panic!("{refused}")).object.value()
    }

    fn get(&self, key: &ObjectKey) -> Option<Value> {
        self.registry.get(key).ok().map(|object| object.value())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

fn key(kind: &'static Kind, name: &str) -> ObjectKey {
    ObjectKey::new(kind, "default", name)
}

fn config_map(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"k": "v"}})
}

fn deployment(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

#[tokio::test(start_paused = true)]
async fn a_cluster_begins_with_its_namespaces_and_once_only() {
    let world = world().await;
    let revision = world.registry.store().revision();
    let names: Vec<String> =
        world.registry.snapshot().list(kinds::NAMESPACE, "").map(|object| object.key.name.clone()).collect();
    assert_eq!(names, ["default", "kube-node-lease", "kube-public", "kube-system", "windlass-system"]);
    let service = world.get(&key(kinds::SERVICE, "kubernetes")).unwrap();
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.1");
    bootstrap(&world.registry).await.unwrap();
    assert_eq!(world.registry.store().revision(), revision, "nothing was missing");
}
