//! Transactions of several steps.

use serde_json::json;

use super::{World, config_map, deployment, key, world};
use crate::cluster::registry::{DeleteOptions, StepKind, Target, Transaction, WriteOptions};
use crate::cluster::store::Change;
use crate::object::{ApiError, Kind, ObjectKey, Reason, kinds};

fn begin(world: &World) -> Transaction {
    world.registry.begin(&world.author)
}

fn create(
    transaction: &mut Transaction,
    kind: &'static Kind,
    namespace: &str,
    object: serde_json::Value,
) -> Result<(), ApiError> {
    transaction.create(kind, namespace, object, WriteOptions::default())
}

#[tokio::test(start_paused = true)]
async fn a_step_sees_the_namespace_that_an_earlier_step_made() {
    let world = world().await;
    let mut transaction = begin(&world);
    let refused = create(&mut transaction, kinds::CONFIG_MAP, "new", config_map("a")).unwrap_err();
    assert_eq!(refused.message, "namespaces \"new\" not found");
    create(&mut transaction, kinds::NAMESPACE, "", json!({"metadata": {"name": "new"}})).unwrap();
    create(&mut transaction, kinds::CONFIG_MAP, "new", config_map("a")).unwrap();
    let before = world.registry.store().revision();
    let written = transaction.commit().await.unwrap();
    assert_eq!(written.len(), 2);
    assert!(written.iter().all(|object| object.meta.revision.0 == before.0 + 1), "one revision for both");
}

#[tokio::test(start_paused = true)]
async fn a_step_gets_the_default_class_that_an_earlier_step_made() {
    let world = world().await;
    let class = |name: &str, mark: &str| json!({"metadata": {"name": name, "annotations": {mark: "true"}}, "spec": {"controller": "x.io/c"}});
    let ingress = |name: &str| json!({"metadata": {"name": name}, "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}});
    let mut transaction = begin(&world);
    create(&mut transaction, kinds::INGRESS, "default", ingress("before")).unwrap();
    let default = "ingressclass.kubernetes.io/is-default-class";
    create(&mut transaction, kinds::INGRESS_CLASS, "", class("nginx", default)).unwrap();
    create(&mut transaction, kinds::INGRESS_CLASS, "", class("other", "x")).unwrap();
    create(&mut transaction, kinds::INGRESS, "default", ingress("after")).unwrap();
    let mut named = ingress("named");
    named["spec"]["ingressClassName"] = json!("other");
    create(&mut transaction, kinds::INGRESS, "default", named).unwrap();
    let mut old = ingress("old");
    old["metadata"]["annotations"] = json!({"kubernetes.io/ingress.class": "traefik"});
    create(&mut transaction, kinds::INGRESS, "default", old).unwrap();
    transaction.commit().await.unwrap();
    let class_of = |name: &str| world.get(&key(kinds::INGRESS, name)).unwrap()["spec"]["ingressClassName"].clone();
    let found = ["before", "after", "named", "old"].map(class_of);
    assert_eq!(found, [json!(null), json!("nginx"), json!("other"), json!(null)]);

    let mut transaction = begin(&world);
    let mut fast = class("fast", "storageclass.kubernetes.io/is-default-class");
    fast["provisioner"] = json!("x.io/fast");
    fast.as_object_mut().unwrap().remove("spec");
    create(&mut transaction, kinds::STORAGE_CLASS, "", fast).unwrap();
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    create(&mut transaction, kinds::CLAIM, "default", claim).unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(world.get(&key(kinds::CLAIM, "c")).unwrap()["spec"]["storageClassName"], "fast");
}

#[tokio::test(start_paused = true)]
async fn refused_steps_leave_the_others_usable() {
    let world = world().await;
    let mut transaction = begin(&world);
    create(&mut transaction, kinds::CONFIG_MAP, "default", config_map("a")).unwrap();
    assert!(create(&mut transaction, kinds::CONFIG_MAP, "default", json!({"data": {"k": 1}})).is_err());
    let again = create(&mut transaction, kinds::CONFIG_MAP, "default", config_map("a")).unwrap_err();
    assert_eq!(again.reason, Reason::AlreadyExists);
    create(&mut transaction, kinds::CONFIG_MAP, "default", config_map("b")).unwrap();
    assert_eq!(transaction.commit().await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn deleting_and_creating_in_one_transaction_replaces_at_one_revision() {
    let world = world().await;
    let old = world.create(kinds::DEPLOYMENT, deployment("web")).await;
    let mut transaction = begin(&world);
    let target = key(kinds::DEPLOYMENT, "web");
    transaction.delete(&target, &DeleteOptions::default()).unwrap();
    create(&mut transaction, kinds::DEPLOYMENT, "default", deployment("web")).unwrap();
    let step = transaction.step(&target).unwrap();
    assert_eq!(step.kind, StepKind::Replace);
    assert_eq!(step.before.as_ref().unwrap().meta.uid, old["metadata"]["uid"].as_str().unwrap());
    let before = world.registry.store().revision();
    transaction.commit().await.unwrap();
    // Several events: one revision for the objects, one for the state.
    assert_eq!(world.registry.store().revision().0, before.0 + 2);
    assert_ne!(world.get(&target).unwrap()["metadata"]["uid"], old["metadata"]["uid"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_made_and_taken_back_is_not_written() {
    let world = world().await;
    let before = world.registry.store().revision();
    let mut transaction = begin(&world);
    create(&mut transaction, kinds::CONFIG_MAP, "default", config_map("a")).unwrap();
    transaction.delete(&key(kinds::CONFIG_MAP, "a"), &DeleteOptions::default()).unwrap();
    assert!(transaction.commit().await.unwrap().is_empty());
    assert_eq!(world.registry.store().revision(), before);
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_refused_whole_when_one_object_has_moved() {
    let world = world().await;
    let map = world.create(kinds::CONFIG_MAP, config_map("a")).await;
    let mut transaction = begin(&world);
    create(&mut transaction, kinds::CONFIG_MAP, "default", config_map("b")).unwrap();
    transaction.delete(&key(kinds::CONFIG_MAP, "a"), &DeleteOptions::default()).unwrap();
    let mut moved = map;
    moved["data"] = json!({"k": "moved"});
    let target = Target::from(key(kinds::CONFIG_MAP, "a"));
    world.registry.update(&world.author, &target, moved, WriteOptions::default()).await.unwrap();
    assert_eq!(transaction.commit().await.unwrap_err().reason, Reason::Conflict);
    assert!(world.get(&key(kinds::CONFIG_MAP, "b")).is_none());
}

#[tokio::test(start_paused = true)]
async fn services_of_one_transaction_get_different_addresses() {
    let world = world().await;
    let mut transaction = begin(&world);
    for i in 0..50 {
        let service =
            json!({"metadata": {"name": format!("s{i}")}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
        create(&mut transaction, kinds::SERVICE, "default", service).unwrap();
    }
    let written = transaction.commit().await.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for service in written.iter().map(|object| object.value()) {
        assert!(seen.insert(service["spec"]["clusterIP"].to_string()), "an address twice");
        assert!(seen.insert(service["spec"]["ports"][0]["nodePort"].to_string()), "a port twice");
    }
}

#[tokio::test(start_paused = true)]
async fn services_that_are_created_at_once_get_different_addresses() {
    let world = world().await;
    let wanted = |i: usize| json!({"metadata": {"name": format!("s{i}")}, "spec": {"clusterIP": "10.96.0.77", "ports": [{"port": 80}]}});
    let create =
        |i| world.registry.create(&world.author, kinds::SERVICE, "default", wanted(i), WriteOptions::default());
    let (one, two) = tokio::join!(create(1), create(2));
    assert!(one.is_ok() != two.is_ok(), "one of them has the address");
    let refused = one.err().or(two.err()).unwrap();
    assert!(refused.message.ends_with("provided IP is already allocated"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_hears_of_both_halves_of_a_replacement() {
    let world = world().await;
    world.create(kinds::CONFIG_MAP, config_map("a")).await;
    let store = world.registry.store();
    let mut watch = store.watch(kinds::CONFIG_MAP, store.revision()).unwrap();
    let mut transaction = begin(&world);
    transaction.delete(&key(kinds::CONFIG_MAP, "a"), &DeleteOptions::default()).unwrap();
    create(&mut transaction, kinds::CONFIG_MAP, "default", config_map("a")).unwrap();
    transaction.commit().await.unwrap();
    let (first, second) = (watch.next().await.unwrap(), watch.next().await.unwrap());
    assert_eq!((first.change, second.change), (Change::Deleted, Change::Added));
    assert_ne!(first.object.meta.uid, second.object.meta.uid);
    assert_eq!(first.revision, second.revision);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_answers_as_the_write_would_and_stores_nothing() {
    let world = world().await;
    let before = world.registry.store().revision();
    let options = WriteOptions { dry_run: true, ..WriteOptions::default() };
    let done = world.registry.create(&world.author, kinds::DEPLOYMENT, "default", deployment("web"), options).await;
    let object = done.unwrap().object.value();
    assert_eq!(object["spec"]["replicas"], 1);
    assert!(object["metadata"]["uid"].is_string());
    assert!(object["metadata"].get("resourceVersion").is_none());
    assert_eq!(world.registry.store().revision(), before);
}

#[tokio::test(start_paused = true)]
async fn a_generated_name_is_drawn_until_it_is_free() {
    let world = world().await;
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let object = world.create(kinds::CONFIG_MAP, json!({"metadata": {"generateName": "web-"}})).await;
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        assert!(world.get(&ObjectKey::new(kinds::CONFIG_MAP, "default", &name)).is_some());
        assert!(names.insert(name));
    }
}

fn service(name: &str, address: Option<&str>) -> serde_json::Value {
    let mut service = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
    if let Some(address) = address {
        service["spec"]["clusterIP"] = json!(address);
    }
    service
}

#[tokio::test(start_paused = true)]
async fn transactions_that_give_different_addresses_do_not_hinder_each_other() {
    let world = world().await;
    let mut open: Vec<_> = (0..10).map(|_| begin(&world)).collect();
    for (i, transaction) in open.iter_mut().enumerate() {
        create(transaction, kinds::SERVICE, "default", service(&format!("s{i}"), None)).unwrap();
    }
    for transaction in open {
        transaction.commit().await.unwrap();
    }
    let (mut one, mut two) = (begin(&world), begin(&world));
    create(&mut one, kinds::SERVICE, "default", service("one", Some("10.96.0.77"))).unwrap();
    create(&mut two, kinds::SERVICE, "default", service("two", Some("10.96.0.77"))).unwrap();
    one.commit().await.unwrap();
    assert_eq!(two.commit().await.unwrap_err().reason, Reason::Conflict);
}

#[tokio::test(start_paused = true)]
async fn an_address_passes_from_one_service_to_another_in_one_transaction() {
    let world = world().await;
    for (name, address) in [("z", "10.96.0.77"), ("b", "10.96.0.78")] {
        world.create(kinds::SERVICE, service(name, Some(address))).await;
    }
    let mut transaction = begin(&world);
    for name in ["z", "b"] {
        transaction.delete(&key(kinds::SERVICE, name), &DeleteOptions::default()).unwrap();
    }
    create(&mut transaction, kinds::SERVICE, "default", service("a", Some("10.96.0.77"))).unwrap();
    create(&mut transaction, kinds::SERVICE, "default", service("b", Some("10.96.0.77"))).unwrap_err();
    create(&mut transaction, kinds::SERVICE, "default", service("z", Some("10.96.0.78"))).unwrap();
    transaction.commit().await.unwrap();
    let mut next = begin(&world);
    for address in ["10.96.0.77", "10.96.0.78"] {
        create(&mut next, kinds::SERVICE, "default", service("new", Some(address))).unwrap_err();
    }
    next.delete(&key(kinds::SERVICE, "z"), &DeleteOptions::default()).unwrap();
    create(&mut next, kinds::SERVICE, "default", service("new", Some("10.96.0.78"))).unwrap();
    next.commit().await.unwrap();
}
