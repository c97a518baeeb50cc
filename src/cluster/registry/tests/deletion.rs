//! Deletion with grace, finalizers, propagation and contents.

use serde_json::{Value, json};

use super::{World, config_map, key, pod, world};
use crate::cluster::registry::{DeleteOptions, Deleted, Patch, Preconditions, Propagation, Target, WriteOptions};
use crate::object::kinds::Subresource;
use crate::object::{ApiError, ObjectKey, Reason, kinds};

async fn delete(world: &World, at: &ObjectKey, options: DeleteOptions) -> Result<Deleted, ApiError> {
    world.registry.delete(&world.author, at, &options).await
}

fn grace(seconds: i64) -> DeleteOptions {
    DeleteOptions { grace_period_seconds: Some(seconds), ..DeleteOptions::default() }
}

async fn bound_pod(world: &World) -> ObjectKey {
    let mut object = pod("p");
    object["spec"]["nodeName"] = json!("n1");
    world.create(kinds::POD, object).await;
    key(kinds::POD, "p")
}

#[tokio::test(start_paused = true)]
async fn a_running_pod_is_marked_and_goes_when_its_node_says_so() {
    let world = world().await;
    let at = bound_pod(&world).await;
    assert!(!delete(&world, &at, DeleteOptions::default()).await.unwrap().gone);
    let metadata = world.get(&at).unwrap()["metadata"].clone();
    assert_eq!(metadata["deletionTimestamp"], "2026-01-01T00:00:30Z");
    assert_eq!(metadata["deletionGracePeriodSeconds"], 30);
    assert_eq!(metadata["generation"], 2);
    delete(&world, &at, grace(60)).await.unwrap();
    assert_eq!(world.get(&at).unwrap()["metadata"], metadata, "it only gets shorter");
    delete(&world, &at, grace(5)).await.unwrap();
    assert_eq!(world.get(&at).unwrap()["metadata"]["deletionTimestamp"], "2026-01-01T00:00:05Z");
    assert!(delete(&world, &at, grace(0)).await.unwrap().gone);
    assert!(world.get(&at).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_runs_nowhere_goes_at_once() {
    let world = world().await;
    world.create(kinds::POD, pod("p")).await;
    assert!(delete(&world, &key(kinds::POD, "p"), DeleteOptions::default()).await.unwrap().gone);
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_an_object_until_the_last_is_taken_off() {
    let world = world().await;
    let mut object = config_map("a");
    object["metadata"]["finalizers"] = json!(["example.com/a", "example.com/b"]);
    world.create(kinds::CONFIG_MAP, object).await;
    let at = key(kinds::CONFIG_MAP, "a");
    assert!(!delete(&world, &at, DeleteOptions::default()).await.unwrap().gone);
    assert_eq!(world.get(&at).unwrap()["metadata"]["deletionTimestamp"], super::NOW);
    for (left, exists) in [(json!(["example.com/b"]), true), (Value::Null, false)] {
        let change = Patch::Merge(json!({"metadata": {"finalizers": left}}));
        let target = Target::from(at.clone());
        world.registry.patch(&world.author, &target, change, WriteOptions::default()).await.unwrap();
        assert_eq!(world.get(&at).is_some(), exists);
    }
}

#[tokio::test(start_paused = true)]
async fn foreground_and_orphan_are_kept_as_finalizers() {
    let world = world().await;
    let cases = [(Propagation::Foreground, "foregroundDeletion"), (Propagation::Orphan, "orphan")];
    for (policy, finalizer) in cases {
        world.create(kinds::CONFIG_MAP, config_map(finalizer.to_lowercase().as_str())).await;
        let at = key(kinds::CONFIG_MAP, &finalizer.to_lowercase());
        let options = DeleteOptions { propagation: Some(policy), ..DeleteOptions::default() };
        delete(&world, &at, options).await.unwrap();
        assert_eq!(world.get(&at).unwrap()["metadata"]["finalizers"], json!([finalizer]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_takes_nothing_more_and_goes_when_it_is_finalized() {
    let world = world().await;
    let at = ObjectKey::new(kinds::NAMESPACE, "", "n");
    let namespace = json!({"metadata": {"name": "n"}});
    let options = WriteOptions::default();
    world.registry.create(&world.author, kinds::NAMESPACE, "", namespace, options).await.unwrap();
    delete(&world, &at, DeleteOptions::default()).await.unwrap();
    let mut terminating = world.get(&at).unwrap();
    assert_eq!(terminating["status"]["phase"], "Terminating");
    let refused = world.registry.create(&world.author, kinds::CONFIG_MAP, "n", config_map("a"), options).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.causes[0].reason, "NamespaceTerminating");
    delete(&world, &at, DeleteOptions::default()).await.unwrap();
    assert!(world.get(&at).is_some(), "asking again changes nothing");
    terminating["spec"]["finalizers"] = json!([]);
    let target = Target { key: at.clone(), subresource: Some(Subresource::Finalize) };
    world.registry.update(&world.author, &target, terminating, options).await.unwrap();
    assert!(world.get(&at).is_none());
}

#[tokio::test(start_paused = true)]
async fn some_namespaces_may_not_be_deleted() {
    let world = world().await;
    for name in ["default", "kube-system", "kube-public", "windlass-system"] {
        let refused = delete(&world, &ObjectKey::new(kinds::NAMESPACE, "", name), DeleteOptions::default()).await;
        let want = format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
        assert_eq!(refused.unwrap_err().message, want);
    }
}

#[tokio::test(start_paused = true)]
async fn preconditions_must_hold() {
    let world = world().await;
    let stored = world.create(kinds::CONFIG_MAP, config_map("a")).await;
    let at = key(kinds::CONFIG_MAP, "a");
    let with = |preconditions| DeleteOptions { preconditions, ..DeleteOptions::default() };
    let wrong = Preconditions { uid: Some("other".into()), revision: None };
    assert_eq!(delete(&world, &at, with(wrong)).await.unwrap_err().reason, Reason::Conflict);
    let right = Preconditions { uid: stored["metadata"]["uid"].as_str().map(str::to_owned), revision: None };
    delete(&world, &at, with(right)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_collection_goes_at_one_revision() {
    let world = world().await;
    for name in ["a", "b", "c"] {
        world.create(kinds::CONFIG_MAP, config_map(name)).await;
    }
    let before = world.registry.store().revision();
    let keep = |object: &std::sync::Arc<crate::object::Object>| object.key.name != "b";
    let options = DeleteOptions::default();
    let gone = world.registry.delete_collection(&world.author, kinds::CONFIG_MAP, "default", keep, &options).await;
    assert_eq!(gone.unwrap().len(), 2);
    // Several events: one revision for the objects, one for the state.
    assert_eq!(world.registry.store().revision().0, before.0 + 2);
    assert!(world.get(&key(kinds::CONFIG_MAP, "b")).is_some());
}
