//! Sync options, of an Application and of one object.

use super::applications::{application, child, start};
use super::*;
use crate::cluster::registry::{Patch, Target};

async fn scribble(world: &World, name: &str, patch: Value) {
    let target = Target::new(kinds::CONFIG_MAP, "web", name);
    world
        .registry
        .patch(&Author::controller("eve"), &target, Patch::Merge(patch), WriteOptions::default())
        .await
        .unwrap();
}

fn find(world: &World, name: &str) -> Value {
    world.registry.snapshot().find(kinds::CONFIG_MAP, "web", name).map(|o| o.value()).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_replaced_has_nothing_that_git_does_not_say() {
    let world = World::new().await;
    let policy =
        "{automated: {prune: true}, syncOptions: [CreateNamespace=true, Replace=true, PrunePropagationPolicy=orphan]}";
    let web = application(&world, "web", "apps/w", "HEAD", policy);
    let with = |name: &str, value: &str, options: &str| {
        let annotation = format!("\n  annotations:\n    argocd.argoproj.io/sync-options: {options}\ndata:");
        config_map(name, value).replace("\ndata:", &annotation)
    };
    let files = |value: &str| {
        [with("a", value, "Prune=true"), with("b", value, "Replace=false"), with("c", value, "Force=true")]
            .join("---\n")
    };
    world.commit("Web", &[("root/w.yaml", Some(&web)), ("apps/w/c.yaml", Some(&files("1")))]);
    let _syncer = start(&world).await;
    world.until("it is deployed", |w| find(w, "c").is_object()).await;
    let uid = |name: &str| find(&world, name)["metadata"]["uid"].clone();
    let uids = ["a", "b", "c"].map(uid);
    for name in ["a", "b", "c"] {
        scribble(&world, name, json!({"data": {"other": "mine"}})).await;
    }
    world.commit("Next", &[("apps/w/c.yaml", Some(&files("2")))]);
    world.until("all are new", |w| ["a", "b", "c"].iter().all(|name| find(w, name)["data"]["key"] == "2")).await;
    let others = ["a", "b", "c"].map(|name| find(&world, name)["data"]["other"].clone());
    assert_eq!(others, [Value::Null, json!("mine"), Value::Null]);
    let after = ["a", "b", "c"].map(|name| find(&world, name)["metadata"]["uid"].clone());
    assert_eq!((&after[0], &after[1], after[2] != uids[2]), (&uids[0], &uids[1], true));
    world.until("it is in sync", |w| child(w, "web").status.sync.status == "Synced").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let revision = world.registry.store().revision();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.registry.store().revision(), revision, "what was replaced is at rest");
}

#[tokio::test(start_paused = true)]
async fn the_namespace_has_what_the_application_manages_of_it() {
    let world = World::new().await;
    let policy = "{automated: {}, syncOptions: [CreateNamespace=true, Validate=false], \
        managedNamespaceMetadata: {labels: {team: a}, annotations: {b: c}}}";
    let web = application(&world, "web", "apps/w", "HEAD", policy);
    world.commit("Web", &[("root/w.yaml", Some(&web)), ("apps/w/c.yaml", Some(&config_map("a", "1")))]);
    let _syncer = start(&world).await;
    world.until("it is deployed", |w| child(w, "web").status.sync.status == "Synced").await;
    let namespace =
        |w: &World| w.registry.snapshot().find(kinds::NAMESPACE, "", "web").unwrap().value()["metadata"].clone();
    assert_eq!(
        (&namespace(&world)["labels"]["team"], &namespace(&world)["annotations"]["b"]),
        (&json!("a"), &json!("c"))
    );
    let told = child(&world, "web").status.conditions;
    assert!(told.iter().any(|c| c.message.contains("Validate=false: is not supported")), "{told:?}");
    let next = web.replace("team: a", "team: b");
    world.commit("Another team", &[("root/w.yaml", Some(&next))]);
    world.until("the label follows", |w| namespace(w)["labels"]["team"] == "b").await;
}
