//! Updates, status writes, scale and binding.

use serde_json::{Value, json};

use super::{World, config_map, deployment, key, pod, world};
use crate::cluster::registry::{Patch, Target, WriteOptions, Written};
use crate::object::kinds::Subresource;
use crate::object::{ApiError, Kind, ObjectKey, Reason, kinds};

async fn update(world: &World, target: Target, object: Value) -> Result<Written, ApiError> {
    world.registry.update(&world.author, &target, object, WriteOptions::default()).await
}

async fn merge(world: &World, target: Target, change: Value) -> Result<Written, ApiError> {
    world.registry.patch(&world.author, &target, Patch::Merge(change), WriteOptions::default()).await
}

fn main_of(kind: &'static Kind, name: &str) -> Target {
    Target::from(key(kind, name))
}

#[tokio::test(start_paused = true)]
async fn an_update_from_an_older_state_is_a_conflict() {
    let world = world().await;
    let first = world.create(kinds::CONFIG_MAP, config_map("a")).await;
    let mut second = first.clone();
    second["data"]["k"] = json!("second");
    update(&world, main_of(kinds::CONFIG_MAP, "a"), second).await.unwrap();
    let refused = update(&world, main_of(kinds::CONFIG_MAP, "a"), first).await.unwrap_err();
    assert_eq!(refused.reason, Reason::Conflict);
    let unconditional = config_map("a");
    update(&world, main_of(kinds::CONFIG_MAP, "a"), unconditional).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_only_updated_from_a_known_state() {
    let world = world().await;
    let lease = world.create(kinds::LEASE, json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}})).await;
    let mut blind = lease.clone();
    blind["metadata"]["resourceVersion"] = json!("");
    let refused = update(&world, main_of(kinds::LEASE, "l"), blind).await.unwrap_err();
    assert_eq!(refused.causes[0].field, "metadata.resourceVersion");
    update(&world, main_of(kinds::LEASE, "l"), lease).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn writing_what_is_there_writes_nothing() {
    let world = world().await;
    let stored = world.create(kinds::DEPLOYMENT, deployment("web")).await;
    let before = world.registry.store().revision();
    let again = update(&world, main_of(kinds::DEPLOYMENT, "web"), deployment("web")).await.unwrap();
    assert_eq!(again.object.value(), stored);
    merge(&world, main_of(kinds::DEPLOYMENT, "web"), json!({"spec": {"replicas": 1}})).await.unwrap();
    assert_eq!(world.registry.store().revision(), before);
}

#[tokio::test(start_paused = true)]
async fn the_generation_counts_changes_of_intent_only() {
    let world = world().await;
    world.create(kinds::DEPLOYMENT, deployment("web")).await;
    let cases = [
        (None, json!({"metadata": {"labels": {"a": "b"}}}), 1),
        (None, json!({"spec": {"replicas": 3}}), 2),
        (Some(Subresource::Status), json!({"status": {"replicas": 3}}), 2),
        (None, json!({"metadata": {"annotations": {"a": "b"}}}), 3),
    ];
    for (subresource, change, generation) in cases {
        let target = Target { key: key(kinds::DEPLOYMENT, "web"), subresource };
        let written = merge(&world, target, change.clone()).await.unwrap().object.value();
        assert_eq!(written["metadata"]["generation"], generation, "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn spec_and_status_are_written_through_different_doors() {
    let world = world().await;
    world.create(kinds::DEPLOYMENT, deployment("web")).await;
    let both = json!({"spec": {"replicas": 5}, "status": {"replicas": 5, "observedGeneration": 9}});
    let written = merge(&world, main_of(kinds::DEPLOYMENT, "web"), both.clone()).await.unwrap().object.value();
    assert_eq!((&written["spec"]["replicas"], &written["status"]), (&json!(5), &json!({})));
    merge(&world, main_of(kinds::DEPLOYMENT, "web"), json!({"spec": {"replicas": 2}})).await.unwrap();
    let target = Target::status(key(kinds::DEPLOYMENT, "web"));
    let written = merge(&world, target, both).await.unwrap().object.value();
    assert_eq!((&written["spec"]["replicas"], &written["status"]["replicas"]), (&json!(2), &json!(5)));
}

#[tokio::test(start_paused = true)]
async fn scaling_changes_replicas_and_answers_with_a_scale() {
    let world = world().await;
    world.create(kinds::DEPLOYMENT, deployment("web")).await;
    let target = Target { key: key(kinds::DEPLOYMENT, "web"), subresource: Some(Subresource::Scale) };
    let written = merge(&world, target.clone(), json!({"spec": {"replicas": 4}})).await.unwrap();
    let scale: Value = serde_json::from_slice(written.body()).unwrap();
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(4)));
    assert_eq!(world.registry.scale(&target.key).unwrap(), scale);
    assert_eq!(world.get(&target.key).unwrap()["spec"]["replicas"], 4);
    let refused = merge(&world, target, json!({"spec": {"replicas": -1}})).await.unwrap_err();
    assert_eq!(refused.causes[0].field, "spec.replicas");
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_once() {
    let world = world().await;
    world.create(kinds::POD, pod("p")).await;
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}});
    let at = key(kinds::POD, "p");
    world.registry.bind(&world.author, &at, &binding, WriteOptions::default()).await.unwrap();
    let bound = world.get(&at).unwrap();
    assert_eq!(bound["spec"]["nodeName"], "n1");
    assert_eq!(bound["status"]["conditions"][0]["type"], "PodScheduled");
    let refused = world.registry.bind(&world.author, &at, &binding, WriteOptions::default()).await.unwrap_err();
    assert_eq!(
        refused.message,
        "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"n1\""
    );
}

#[tokio::test(start_paused = true)]
async fn an_update_keeps_the_address_of_a_service() {
    let world = world().await;
    let service = json!({"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}});
    let first = world.create(kinds::SERVICE, service.clone()).await;
    let mut next = service;
    next["spec"]["ports"][0]["port"] = json!(81);
    let written = update(&world, main_of(kinds::SERVICE, "s"), next).await.unwrap().object.value();
    assert_eq!(written["spec"]["clusterIP"], first["spec"]["clusterIP"]);
    assert_eq!(written["spec"]["ports"][0]["port"], 81);
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_names_no_version_survives_the_writes_of_others() {
    let world = world().await;
    world.create(kinds::CONFIG_MAP, config_map("a")).await;
    let changes = (0..20).map(|i| {
        let change = json!({"data": {format!("k{i}"): "v"}});
        merge(&world, main_of(kinds::CONFIG_MAP, "a"), change)
    });
    for outcome in futures::future::join_all(changes).await {
        // Those that lose five races in a row are told so; none is lost silently.
        assert!(outcome.is_ok() || outcome.is_err_and(|e| e.reason == Reason::Conflict));
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_of_what_does_not_exist_is_not_found() {
    let world = world().await;
    let refused =
        update(&world, Target::from(ObjectKey::new(kinds::NODE, "", "n")), json!({"metadata": {"name": "n"}}));
    assert_eq!(refused.await.unwrap_err().message, "nodes \"n\" not found");
}
