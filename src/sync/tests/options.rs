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
    let policy = "{automated: {}, syncOptions: [CreateNamespace=true, Sooner=true], \
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
    assert!(told.iter().any(|c| c.message.contains("Sooner=true: is not supported")), "{told:?}");
    let next = web.replace("team: a", "team: b");
    world.commit("Another team", &[("root/w.yaml", Some(&next))]);
    world.until("the label follows", |w| namespace(w)["labels"]["team"] == "b").await;
}

#[tokio::test(start_paused = true)]
async fn unknown_fields_are_left_out_and_named_where_that_is_asked_for() {
    let world = World::new().await;
    let web = application(&world, "web", "apps/w", "HEAD", "{automated: {}, syncOptions: [CreateNamespace=true]}");
    let strict = config_map("a", "1") + "dta: {x: y}\n";
    let options = "\n  annotations: {argocd.argoproj.io/sync-options: Validate=false}\n  label: {x: y}\ndata:";
    let lenient = config_map("b", "1").replace("\ndata:", options);
    world
        .commit("Strict", &[("root/w.yaml", Some(&web)), ("apps/w/c.yaml", Some(&[&*strict, &lenient].join("---\n")))]);
    let _syncer = start(&world).await;
    let told = |w: &World| child(w, "web").status.conditions.into_iter().map(|c| c.message).collect::<Vec<_>>();
    world.until("the strict one is refused", |w| told(w).iter().any(|m| m.contains("unknown field \"dta\""))).await;
    assert!(!told(&world).iter().any(|m| m.contains("metadata.label")), "{:?}", told(&world));

    world.commit("Lenient", &[("apps/w/c.yaml", Some(&lenient))]);
    world.until("it is deployed", |w| child(w, "web").status.sync.status == "Synced").await;
    let left_out = "apps/w/c.yaml:1: ConfigMap web/b: unknown field \"metadata.label\"; it is left out";
    assert_eq!(told(&world), [left_out]);
    assert_eq!(
        (&find(&world, "b")["data"]["key"], &find(&world, "b")["metadata"]["label"]),
        (&json!("1"), &Value::Null)
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = world.registry.store().revision();
    world.tasks.stop().await;
    let tasks = Tasks::default();
    let config = SyncConfig { path: "root".to_owned(), ..world.config() };
    let syncer = crate::sync::start(world.registry.clone(), config, &tasks).await.unwrap();
    let mut verified = syncer.verified();
    tokio::time::timeout(Duration::from_secs(600), verified.wait_for(|count| *count == 2)).await.unwrap().unwrap();
    assert_eq!(world.registry.store().revision(), before, "it is at rest");
    tasks.stop().await;
}
