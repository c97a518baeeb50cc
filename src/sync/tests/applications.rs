//! Many Applications: found in the repository, each with its own folder, revision, namespace and policy.

use super::*;
use crate::cluster::registry::{Patch, Target};

const POLICY: &str = "{automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}";

/// An Application of the world's own repository, as Argo CD's users write it.
pub fn application(world: &World, name: &str, path: &str, revision: &str, policy: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {name}\n  namespace: argocd\n  \
         finalizers: [resources-finalizer.argocd.argoproj.io/background]\nspec:\n  project: default\n  source:\n    \
         repoURL: {}\n    path: {path}\n    targetRevision: \"{revision}\"\n  destination:\n    \
         server: https://kubernetes.default.svc\n    namespace: {name}\n  syncPolicy: {policy}\n",
        world.path().display()
    )
}

pub fn child(world: &World, name: &str) -> Application {
    let key = ObjectKey::new(kinds::APPLICATION, "argocd", name);
    world.registry.get(&key).ok().map(|found| (*found.typed::<Application>().unwrap()).clone()).unwrap_or_default()
}

fn value(world: &World, namespace: &str, name: &str) -> Option<String> {
    let object = world.registry.snapshot().find(kinds::CONFIG_MAP, namespace, name)?.value();
    object["data"]["key"].as_str().map(str::to_owned)
}

fn root_only(world: &World) -> SyncConfig {
    SyncConfig { path: "root".to_owned(), ..world.config() }
}

pub async fn start(world: &World) -> Syncer {
    crate::sync::start(world.registry.clone(), root_only(world), &world.tasks).await.unwrap()
}

async fn annotate(world: &World, name: &str, patch: Value) {
    let target = Target::new(kinds::APPLICATION, "argocd", name);
    let author = Author { user: "ada".into(), manager: "kubectl".into(), ..Author::default() };
    world.registry.patch(&author, &target, Patch::Merge(patch), WriteOptions::default()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn applications_in_the_repository_are_synced_in_turn() {
    let world = World::new().await;
    let [a, b] = ["a", "b"].map(|name| application(&world, name, &format!("apps/{name}"), "HEAD", POLICY));
    world.commit(
        "Two applications",
        &[
            ("root/a.yaml", Some(&a)),
            ("root/b.yaml", Some(&b)),
            ("apps/a/conf.yaml", Some(&config_map("conf", "a1"))),
            ("apps/a/deeper/not.yaml", Some(&config_map("not", "recursed"))),
            ("apps/b/conf.yaml", Some(&config_map("conf", "b1"))),
        ],
    );
    let _syncer = start(&world).await;
    world.until("both are deployed", |w| value(w, "a", "conf").is_some() && value(w, "b", "conf").is_some()).await;
    assert_eq!(value(&world, "a", "not"), None, "a folder is not recursed into unless asked");
    world.until("a is synced", |w| child(w, "a").status.sync.status == "Synced").await;
    let tracked = world.registry.snapshot().find(kinds::CONFIG_MAP, "a", "conf").unwrap().value();
    assert_eq!(tracked["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"], "argocd_a:/ConfigMap:a/conf");

    let before = child(&world, "b");
    let second = world.commit("Only a", &[("apps/a/conf.yaml", Some(&config_map("conf", "a2")))]);
    world.until("a follows", |w| value(w, "a", "conf").as_deref() == Some("a2")).await;
    world.until("b knows the commit", |w| child(w, "b").status.sync.revision == second.to_string()).await;
    assert_eq!(child(&world, "b").status.history, before.status.history, "nothing of b was deployed anew");
    world.until("the root is healthy", |w| w.application().status.health.status == "Healthy").await;
    world.until("the root knows it", |w| w.application().status.sync.revision == second.to_string()).await;
    tokio::time::sleep(Duration::from_secs(5)).await;

    // A start is no release: b is still as its own commit says.
    world.tasks.stop().await;
    let revision = world.registry.store().revision();
    let tasks = Tasks::default();
    let syncer = crate::sync::start(world.registry.clone(), root_only(&world), &tasks).await.unwrap();
    let mut verified = syncer.verified();
    tokio::time::timeout(Duration::from_secs(600), verified.wait_for(|count| *count == 4)).await.unwrap().unwrap();
    for _ in 0..100 {
        a_moment().await;
    }
    assert_eq!(child(&world, "b").status.history, before.status.history);
    assert_eq!(world.registry.store().revision(), revision, "nothing was written");
    tasks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_application_holds_nobody_up_and_says_what_is_wrong() {
    let world = World::new().await;
    let good = application(&world, "good", "apps/good", "HEAD", POLICY);
    let gone = application(&world, "gone", "apps/nowhere", "HEAD", POLICY);
    let odd = application(&world, "odd", "apps/good", "HEAD", POLICY)
        .replace("    path:", "    plugin: {name: x}\n    path:");
    let unknown = application(&world, "unknown", "apps/good", "no-such-branch", POLICY);
    let nowhere = application(&world, "nowhere", "x", "HEAD", POLICY)
        .replace(&world.path().display().to_string(), "/does/not/exist");
    world.commit(
        "Many",
        &[
            ("root/all.yaml", Some(&[good, gone, odd, unknown, nowhere].join("---\n"))),
            ("apps/good/conf.yaml", Some(&config_map("conf", "1"))),
        ],
    );
    let _syncer = start(&world).await;
    world.until("the good one is deployed", |w| value(w, "good", "conf").is_some()).await;
    for (name, condition, says) in [
        ("gone", "ComparisonError", "\"apps/nowhere\" does not exist"),
        ("odd", "InvalidSpecError", "spec.source.plugin is not supported"),
        ("unknown", "ComparisonError", "\"no-such-branch\" does not exist"),
        ("nowhere", "ComparisonError", "/does/not/exist is not a git repository"),
    ] {
        world
            .until(name, |w| {
                let conditions = child(w, name).status.conditions;
                conditions.iter().any(|found| found.type_ == condition && found.message.contains(says))
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_manual_application_waits_for_its_operation() {
    let world = World::new().await;
    let manual = application(&world, "manual", "apps/m", "HEAD", "{syncOptions: [CreateNamespace=true]}");
    let files = [("root/m.yaml", Some(manual.as_str())), ("apps/m/c.yaml", Some(&config_map("conf", "1")))];
    world.commit("Manual", &files);
    let _syncer = start(&world).await;
    world.until("the difference shows", |w| child(w, "manual").status.sync.status == "OutOfSync").await;
    let status = child(&world, "manual").status;
    assert_eq!((status.resources[0].status.as_str(), status.health.status.as_str()), ("OutOfSync", "Missing"));
    assert_eq!(value(&world, "manual", "conf"), None);

    let operation = json!({"operation": {"initiatedBy": {"username": "ada"}, "sync": {"prune": true}}});
    annotate(&world, "manual", operation).await;
    world.until("it is deployed", |w| value(w, "manual", "conf").is_some()).await;
    world.until("the operation is over", |w| child(w, "manual").operation.is_none()).await;
    let status = child(&world, "manual").status;
    assert_eq!(status.sync.status, "Synced");
    assert_eq!(status.history[0].initiated_by.username, "ada");
    assert_eq!(status.operation_state.unwrap().operation.unwrap().initiated_by.username, "ada");

    // Neither drift nor a commit is acted on unasked.
    let target = Target::new(kinds::CONFIG_MAP, "manual", "conf");
    let patch = Patch::Merge(json!({"data": {"key": "edited"}}));
    world.registry.patch(&Author::controller("eve"), &target, patch, WriteOptions::default()).await.unwrap();
    world.until("the drift shows", |w| child(w, "manual").status.sync.status == "OutOfSync").await;
    assert_eq!(value(&world, "manual", "conf").as_deref(), Some("edited"));
    let patch = Patch::Merge(json!({"data": {"key": "1"}}));
    world.registry.patch(&Author::controller("eve"), &target, patch, WriteOptions::default()).await.unwrap();
    world.until("it is over", |w| child(w, "manual").status.sync.status == "Synced").await;
}

#[tokio::test(start_paused = true)]
async fn an_application_that_goes_takes_its_objects_along_if_it_says_so() {
    let world = World::new().await;
    let with = application(&world, "with", "apps/x", "HEAD", POLICY);
    let without = application(&world, "without", "apps/x", "HEAD", POLICY)
        .replace("  finalizers: [resources-finalizer.argocd.argoproj.io/background]\n", "");
    let keep = application(&world, "keep", "apps/x", "HEAD", POLICY);
    world.commit(
        "All",
        &[
            ("root/with.yaml", Some(&with)),
            ("root/without.yaml", Some(&without)),
            ("root/keep.yaml", Some(&keep)),
            ("apps/x/c.yaml", Some(&config_map("conf", "1"))),
        ],
    );
    let _syncer = start(&world).await;
    let all = ["with", "without", "keep"];
    world.until("all are deployed", |w| all.iter().all(|name| value(w, name, "conf").is_some())).await;
    world.commit("Two go", &[("root/with.yaml", None), ("root/without.yaml", None)]);
    world.until("the applications go", |w| all[..2].iter().all(|name| child(w, name).metadata.name.is_none())).await;
    assert_eq!(value(&world, "with", "conf"), None);
    assert!(value(&world, "without", "conf").is_some() && value(&world, "keep", "conf").is_some());
}

#[tokio::test(start_paused = true)]
async fn tags_and_ranges_of_versions_are_followed() {
    let world = World::new().await;
    let first = world.commit("One", &[("apps/v/c.yaml", Some(&config_map("conf", "1.0")))]);
    let tag = |name: &str, id| {
        let object = world.repository.find_object(id, None).unwrap();
        world.repository.tag_lightweight(name, &object, false).unwrap();
    };
    tag("v1.0.0", first);
    let fixed = application(&world, "fixed", "apps/v", "v1.0.0", POLICY);
    let range = application(&world, "range", "apps/v", "1.*", POLICY);
    world.commit("Follow", &[("root/f.yaml", Some(&fixed)), ("root/r.yaml", Some(&range))]);
    let syncer = start(&world).await;
    world.until("both are at 1.0", |w| ["fixed", "range"].iter().all(|n| value(w, n, "conf").is_some())).await;
    let second = world.commit("Two", &[("apps/v/c.yaml", Some(&config_map("conf", "1.1")))]);
    tag("v1.1.0", second);
    syncer.trigger(Trigger::Poll);
    world.until("the range moves", |w| value(w, "range", "conf").as_deref() == Some("1.1")).await;
    assert_eq!(value(&world, "fixed", "conf").as_deref(), Some("1.0"));
}

#[tokio::test(start_paused = true)]
async fn several_sources_are_one_application() {
    let world = World::new().await;
    let path = world.path().display().to_string();
    let several = application(&world, "several", "x", "HEAD", POLICY).replace(
        &format!("  source:\n    repoURL: {path}\n    path: x\n    targetRevision: \"HEAD\"\n"),
        &format!("  sources:\n  - {{repoURL: {path}, path: apps/a}}\n  - {{repoURL: {path}, path: apps/b}}\n"),
    );
    world.commit(
        "Several",
        &[
            ("root/s.yaml", Some(&several)),
            ("apps/a/c.yaml", Some(&config_map("one", "1"))),
            ("apps/b/c.yaml", Some(&config_map("two", "2"))),
        ],
    );
    let _syncer = start(&world).await;
    let has = |w: &World, name: &str| value(w, "several", name).is_some();
    world.until("both are deployed", |w| has(w, "one") && has(w, "two")).await;
    let next = world.commit("One goes", &[("apps/a/c.yaml", Some(&config_map("three", "3")))]);
    world.until("it is pruned", |w| !has(w, "one") && has(w, "two") && has(w, "three")).await;
    assert_eq!(child(&world, "several").status.sync.revisions, [next.to_string(), next.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn an_object_of_two_applications_is_told_of() {
    let world = World::new().await;
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf, namespace: default}\n";
    let [a, b] = ["a", "b"].map(|name| application(&world, name, "apps/x", "HEAD", POLICY));
    world.commit("Shared", &[("root/all.yaml", Some(&[a, b].join("---\n"))), ("apps/x/c.yaml", Some(text))]);
    let _syncer = start(&world).await;
    world
        .until("one of them says so", |w| {
            let all = ["a", "b"].map(|name| child(w, name).status.conditions).concat();
            all.iter().any(|found| found.type_ == "SharedResourceWarning" && found.message.contains("ConfigMap/conf"))
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_ignored_field_is_neither_drift_nor_healed_and_the_others_are() {
    let world = World::new().await;
    let rules = "  ignoreDifferences:\n  - {group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}\n";
    let web = application(&world, "web", "apps/w", "HEAD", POLICY) + rules;
    world.commit("Web", &[("root/w.yaml", Some(&web)), ("apps/w/d.yaml", Some(&deployment("web", "web:v1")))]);
    let _syncer = start(&world).await;
    let find = |w: &World| w.registry.snapshot().find(kinds::DEPLOYMENT, "web", "web").map(|o| o.value());
    world.until("it is deployed", |w| find(w).is_some()).await;
    let target = Target::new(kinds::DEPLOYMENT, "web", "web");
    let patch = Patch::Merge(json!({"spec": {"replicas": 9, "paused": true, "minReadySeconds": 3}}));
    world.registry.patch(&Author::controller("eve"), &target, patch, WriteOptions::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(find(&world).unwrap()["spec"]["replicas"], 9);
    assert_eq!(child(&world, "web").status.sync.status, "Synced");

    let image = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "web:evil"}]);
    world
        .registry
        .patch(&Author::controller("eve"), &target, Patch::Json(image), WriteOptions::default())
        .await
        .unwrap();
    let image = |w: &World| find(w).unwrap()["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    world.until("the image is put back", |w| image(w) == "web:v1").await;
    assert_eq!(find(&world).unwrap()["spec"]["replicas"], 9, "what is ignored stays while others are healed");
}

/// The uid of a ConfigMap in the namespace `shared`.
fn uid(world: &World, name: &str) -> Option<Value> {
    let object = world.registry.snapshot().find(kinds::CONFIG_MAP, "shared", name)?.value();
    Some(object["metadata"]["uid"].clone())
}

#[tokio::test(start_paused = true)]
async fn what_moves_between_applications_is_never_deleted_whoever_comes_first() {
    let world = World::new().await;
    let conf = |name: &str| {
        config_map(name, "1").replace(&format!("name: {name}"), &format!("name: {name}\n  namespace: shared"))
    };
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shared}\n";
    let [a, b, c] = ["a", "b", "c"].map(|name| application(&world, name, &format!("apps/{name}"), "HEAD", POLICY));
    let (one, two, stays) = (conf("one"), conf("two"), conf("stays"));
    world.commit(
        "All are a's",
        &[
            ("root/ns.yaml", Some(namespace)),
            ("root/a.yaml", Some(&a)),
            ("root/b.yaml", Some(&b)),
            ("apps/a/one.yaml", Some(&one)),
            ("apps/a/two.yaml", Some(&two)),
            ("apps/a/stays.yaml", Some(&stays)),
            ("apps/b/conf.yaml", Some(&config_map("conf", "1"))),
        ],
    );
    let syncer = start(&world).await;
    let are_synced = |w: &World, names: &[&str]| names.iter().all(|name| child(w, name).status.sync.status == "Synced");
    world.until("all is there", |w| uid(w, "two").is_some() && are_synced(w, &["a", "b"])).await;
    let before = ["one", "two"].map(|name| uid(&world, name));
    // One object goes to an Application that there is, and one to an Application that the same commit brings.
    let moved = world.commit(
        "Split a",
        &[
            ("root/c.yaml", Some(&c)),
            ("apps/a/one.yaml", None),
            ("apps/b/one.yaml", Some(&one)),
            ("apps/a/two.yaml", None),
            ("apps/c/two.yaml", Some(&two)),
        ],
    );
    let knows = |w: &World, name: &str| {
        let status = child(w, name).status;
        status.sync.status == "Synced" && status.sync.revision == moved.to_string() && status.conditions.is_empty()
    };
    world.until("all three are there", |w| ["a", "b", "c"].iter().all(|name| knows(w, name))).await;
    assert_eq!(["one", "two"].map(|name| uid(&world, name)), before, "they are the same objects");
    let owner = |name: &str| {
        let object = world.registry.snapshot().find(kinds::CONFIG_MAP, "shared", name).unwrap().value();
        let id = object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].as_str().unwrap().to_owned();
        id.split(':').next().unwrap().to_owned()
    };
    assert_eq!((owner("one"), owner("two"), owner("stays")), ("argocd_b".into(), "argocd_c".into(), "argocd_a".into()));
    drop(syncer);

    // An Application that ends leaves what another has taken over.
    let ends = world
        .commit("a ends", &[("root/a.yaml", None), ("apps/a/stays.yaml", None), ("apps/b/stays.yaml", Some(&stays))]);
    let before = uid(&world, "stays");
    world.until("a is gone", |w| w.registry.snapshot().find(kinds::APPLICATION, "argocd", "a").is_none()).await;
    world.until("b has it all", |w| child(w, "b").status.sync.revision == ends.to_string()).await;
    world.until("b is synced", |w| child(w, "b").status.sync.status == "Synced").await;
    assert_eq!(uid(&world, "stays"), before);
}
