//! Syncs that somebody asks for: some of the objects, another revision, a trial, without hooks, tried again.

use super::applications::{application as manifest_of, child, start};
use super::waves::job;
use super::*;
use crate::cluster::registry::{Patch, Target};
use crate::object::application::OperationState;
use crate::sync::application;

const MANUAL: &str = "{syncOptions: [CreateNamespace=true]}";

struct Shop {
    world: World,
    _syncer: Syncer,
}

impl Shop {
    /// Two ConfigMaps of the manual Application `shop`, not deployed yet.
    async fn new(policy: &str) -> Self {
        let world = World::new().await;
        let shop = manifest_of(&world, "manual", "apps/m", "HEAD", policy);
        let (a, b) = (config_map("a", "1"), config_map("b", "1"));
        let files = [("root/m.yaml", Some(&*shop)), ("apps/m/a.yaml", Some(&a)), ("apps/m/b.yaml", Some(&b))];
        world.commit("Two", &files);
        let syncer = start(&world).await;
        world.until("it is compared", |w| !child(w, "manual").status.sync.status.is_empty()).await;
        Self { world, _syncer: syncer }
    }

    /// Commits a file and waits until the Application was held against it.
    async fn commit(&self, file: &str, content: &str) -> String {
        let commit = self.world.commit(file, &[(file, Some(content))]).to_string();
        self.world.until("it is seen", |w| child(w, "manual").status.sync.revision == commit).await;
        commit
    }

    /// Asks for a sync and waits for its answer.
    async fn ask(&self, sync: Value) -> OperationState {
        self.ask_with(json!({"sync": sync})).await
    }

    async fn ask_with(&self, operation: Value) -> OperationState {
        self.patch(json!({"operation": operation})).await;
        self.answer().await
    }

    async fn patch(&self, patch: Value) {
        let target = Target::new(kinds::APPLICATION, "argocd", "manual");
        let author = Author { user: "ada".into(), manager: "kubectl".into(), ..Author::default() };
        self.world.registry.patch(&author, &target, Patch::Merge(patch), WriteOptions::default()).await.unwrap();
    }

    async fn answer(&self) -> OperationState {
        self.world.until("the operation is over", |w| child(w, "manual").operation.is_none()).await;
        child(&self.world, "manual").status.operation_state.unwrap_or_default()
    }

    fn value(&self, name: &str) -> Option<String> {
        let object = self.world.registry.snapshot().find(kinds::CONFIG_MAP, "manual", name)?.value();
        object["data"]["key"].as_str().map(str::to_owned)
    }

    /// `NAME STATUS` of its objects.
    fn resources(&self) -> Vec<String> {
        let resources = child(&self.world, "manual").status.resources;
        resources.iter().filter(|r| r.kind == "ConfigMap").map(|r| format!("{} {}", r.name, r.status)).collect()
    }

    async fn is(&self, status: &str) {
        self.world.until(status, |w| child(w, "manual").status.sync.status == status).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let shop = Shop::new(MANUAL).await;
    let revision = || shop.world.registry.snapshot().list(kinds::CONFIG_MAP, "").count();
    let before = revision();
    let told = shop.ask(json!({"dryRun": true})).await;
    assert_eq!((&*told.phase, &*told.message), ("Succeeded", "dry run: 3 objects would change; nothing was"));
    let results = told.sync_result.unwrap().resources;
    assert_eq!(results.iter().map(|r| &*r.name).collect::<Vec<_>>(), ["a", "b", "manual"]);
    assert_eq!((revision(), shop.value("a")), (before, None));
    assert_eq!(child(&shop.world, "manual").status.history, []);

    shop.ask(json!({})).await;
    let told = shop.ask(json!({"dryRun": true})).await;
    assert_eq!(told.message, "dry run: nothing would change");
}

#[tokio::test(start_paused = true)]
async fn only_the_objects_that_are_asked_for_are_synced() {
    let shop = Shop::new(MANUAL).await;
    let b = json!({"kind": "ConfigMap", "name": "b"});
    let told = shop.ask(json!({"resources": [b]})).await;
    assert_eq!((&*told.phase, shop.value("a"), shop.value("b").as_deref()), ("Succeeded", None, Some("1")));
    assert!(told.message.starts_with("the chosen object is as commit "), "{}", told.message);
    assert_eq!(shop.resources(), ["a OutOfSync", "b Synced"]);
    let status = child(&shop.world, "manual").status;
    assert_eq!((&*status.sync.status, status.history.len()), ("OutOfSync", 0), "a part is no release");

    shop.ask(json!({})).await;
    assert_eq!(shop.resources(), ["a Synced", "b Synced"]);
    assert_eq!(child(&shop.world, "manual").status.history.len(), 1);

    // Both change, and both are gone: only what is named is touched.
    let [a, c] = [config_map("a", "2"), config_map("c", "2")];
    shop.world.commit("More", &[("apps/m/a.yaml", Some(&a)), ("apps/m/b.yaml", None), ("apps/m/c.yaml", Some(&c))]);
    shop.is("OutOfSync").await;
    let told = shop.ask(json!({"prune": true, "dryRun": true, "resources": [b]})).await;
    assert_eq!(told.message, "dry run: 1 object would change; nothing was");
    assert_eq!(shop.value("b").as_deref(), Some("1"));
    shop.ask(json!({"prune": true, "resources": [b]})).await;
    assert_eq!((shop.value("a").as_deref(), shop.value("b"), shop.value("c")), (Some("1"), None, None));
    assert_eq!(shop.resources(), ["a OutOfSync", "c OutOfSync"]);

    let told = shop.ask(json!({"resources": [{"kind": "ConfigMap", "name": "a", "namespace": "x"}]})).await;
    let says = "operation.sync.resources: ConfigMap/x/a is no object of the Application";
    assert!(told.phase == "Failed" && told.message.contains(says), "{told:?}");
    assert_eq!(shop.value("a").as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn another_revision_is_deployed_and_shows_as_such() {
    let shop = Shop::new(MANUAL).await;
    let first = child(&shop.world, "manual").status.sync.revision;
    let second = shop.commit("apps/m/a.yaml", &config_map("a", "2")).await;
    shop.ask(json!({})).await;
    assert_eq!(shop.value("a").as_deref(), Some("2"));
    let told = shop.ask(json!({"revision": first})).await;
    assert_eq!((told.phase.as_str(), shop.value("a").as_deref()), ("Succeeded", Some("1")));
    // What the Application follows is something else.
    shop.is("OutOfSync").await;
    assert_eq!(shop.resources(), ["a OutOfSync", "b Synced"]);
    let deployed: Vec<_> = child(&shop.world, "manual").status.history.into_iter().map(|h| h.revision).collect();
    assert_eq!(deployed, [second.clone(), first]);
    let told = shop.ask(json!({"revision": "no-such-branch"})).await;
    assert!(told.phase == "Failed" && told.message.contains("no-such-branch"), "{told:?}");
    let source = child(&shop.world, "manual").spec.source;
    let mut source = json!(source);
    source["targetRevision"] = json!("main");
    shop.ask(json!({"source": source})).await;
    shop.is("Synced").await;
    assert_eq!(shop.value("a").as_deref(), Some("2"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_is_named_and_nothing_happens() {
    let shop = Shop::new("{automated: {}, syncOptions: [CreateNamespace=true]}").await;
    shop.is("Synced").await;
    let before = child(&shop.world, "manual").status;
    for (sync, says) in [
        (
            json!({"revision": "v1"}),
            "operation.sync.revision is not what the Application follows, and it syncs by itself",
        ),
        (json!({"source": {"repoURL": "/x"}}), "operation.sync.source is not what the Application follows"),
        (json!({"syncOptions": ["Sooner=true"]}), "operation.sync.syncOptions: Sooner=true: is not supported"),
        (json!({"syncStrategy": {"other": {}}}), "operation.sync.syncStrategy: must be {apply: {}} or {hook: {}}"),
        (json!({"resources": [{"kind": "ConfigMap"}]}), "operation.sync.resources[0].name is missing"),
        (json!({"revisions": ["a", "b"]}), "operation.sync.revisions: has 2 entries for 1 sources"),
    ] {
        let told = shop.ask(sync).await;
        assert!(told.phase == "Failed" && told.message.contains(says), "{told:?}");
    }
    let told = shop.ask_with(json!({"info": [{"name": "a", "value": "b"}]})).await;
    assert_eq!(told.message, "operation.sync is missing: an operation is a sync");
    let after = child(&shop.world, "manual").status;
    assert_eq!((after.sync, after.history, after.conditions), (before.sync, before.history, before.conditions));
    let target = Target::new(kinds::APPLICATION, "argocd", "manual");
    let patch = Patch::Merge(json!({"operation": {"sync": {"manifests": ["x"]}}}));
    let refused = shop.world.registry.patch(&Author::default(), &target, patch, WriteOptions::default()).await;
    assert!(refused.unwrap_err().message.contains("operation.sync.manifests"));
}

#[tokio::test(start_paused = true)]
async fn applying_alone_makes_no_hooks() {
    let shop = Shop::new(MANUAL).await;
    let hook = job("migrate", "PreSync", "");
    shop.commit("apps/m/hook.yaml", &hook).await;
    let made = || shop.world.registry.snapshot().find(kinds::JOB, "manual", "migrate").is_some();
    let told = shop.ask(json!({"syncStrategy": {"apply": {"force": true}}})).await;
    assert_eq!((told.phase.as_str(), shop.value("a").as_deref(), made()), ("Succeeded", Some("1"), false));
    shop.patch(json!({"operation": {"sync": {}}})).await;
    shop.world.until("the hook is made", |_| made()).await;
    shop.world.until("it waits", |w| child(w, "manual").status.operation_state.unwrap().phase == "Running").await;

    // What is asked for meanwhile waits for its end, and so does a refusal: the record of the hook stays.
    let uid = || shop.world.registry.snapshot().find(kinds::JOB, "manual", "migrate").unwrap().meta.uid.clone();
    let before = uid();
    for sync in [json!({"syncOptions": ["Sooner=true"]}), json!({"syncOptions": null, "dryRun": true})] {
        shop.patch(json!({"operation": {"sync": sync}})).await;
        tokio::time::sleep(Duration::from_secs(40)).await;
        assert_eq!(
            (child(&shop.world, "manual").status.operation_state.unwrap().phase.as_str(), uid()),
            ("Running", before.clone())
        );
    }
    finish(&shop.world, "migrate").await;
    let told = shop.answer().await;
    assert_eq!((told.phase.as_str(), told.message.as_str()), ("Succeeded", "dry run: nothing would change"));
    assert_eq!(child(&shop.world, "manual").status.history.len(), 1);
}

/// What the Job's controller would say of one that has succeeded.
async fn finish(world: &World, job: &str) {
    let conditions = json!([{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]);
    let now = "2026-01-01T00:00:00Z";
    let status = json!({"status": {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}});
    let target = Target::status(ObjectKey::new(kinds::JOB, "manual", job));
    let author = Author::controller("job-controller");
    world.registry.patch(&author, &target, Patch::Merge(status), WriteOptions::default()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_follows_the_spec_and_can_be_taken_back() {
    let shop = Shop::new("{}").await;
    let retry = json!({"limit": -1, "backoff": {"duration": "5s", "factor": 1}});
    let ask = || shop.patch(json!({"operation": {"sync": {}, "retry": retry}}));
    ask().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    shop.patch(json!({"operation": null})).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let author = Author::controller("test");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "manual"}});
    shop.world.registry.create(&author, kinds::NAMESPACE, "", namespace, WriteOptions::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(shop.value("a"), None, "nobody asks for it any more");

    // Another request takes the place of one that waits, and another spec is what is deployed.
    let manifest = manifest_of(&shop.world, "manual", "apps/m", "HEAD", "{}");
    let elsewhere = manifest.replace("namespace: manual", "namespace: elsewhere");
    shop.world.commit("Elsewhere", &[("root/m.yaml", Some(&elsewhere))]);
    shop.world.until("it is told", |w| child(w, "manual").spec.destination.namespace == "elsewhere").await;
    ask().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let told = shop.ask_with(json!({"sync": {"dryRun": true}, "retry": null})).await;
    assert_eq!((told.phase.as_str(), shop.value("a")), ("Failed", None));
    shop.patch(json!({"operation": {"sync": {"dryRun": null}, "retry": retry}})).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    shop.world.commit("Back", &[("root/m.yaml", Some(&manifest))]);
    shop.answer().await;
    assert_eq!(shop.value("a").as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_says_nothing_of_the_commit() {
    let shop = Shop::new("{automated: {}, syncOptions: [CreateNamespace=true]}").await;
    shop.is("Synced").await;
    shop.world.commit("Beside", &[("other.yaml", Some("a: b\n"))]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = child(&shop.world, "manual").status;
    let plan = json!([{"name": "plan", "value": "000000000000"}]);
    let told = shop.ask_with(json!({"sync": {}, "info": plan})).await;
    assert!(told.phase == "Failed" && told.message.contains("plan 000000000000 is not what a sync"), "{told:?}");
    let b = json!([{"kind": "ConfigMap", "name": "b"}]);
    let told = shop.ask_with(json!({"sync": {"resources": b}, "info": plan})).await;
    assert!(told.message.contains("a plan is of the whole Application"), "{told:?}");
    for sync in [json!({"dryRun": true}), json!({"dryRun": true, "revision": "HEAD~1"}), json!({"resources": b})] {
        assert_eq!(shop.ask_with(json!({"sync": sync, "info": null})).await.phase, "Succeeded");
        shop.patch(json!({"operation": null})).await;
        tokio::time::sleep(Duration::from_secs(4000)).await;
    }
    let after = child(&shop.world, "manual").status;
    assert_eq!((after.sync, after.history, after.conditions), (before.sync, before.history, before.conditions));

    let policy = "{automated: {}, syncOptions: [CreateNamespace=true]}";
    let odd = manifest_of(&shop.world, "manual", "apps/m", "HEAD", policy);
    let odd = odd.replace("    path:", "    plugin: {name: x}\n    path:");
    shop.world.commit("Odd", &[("root/m.yaml", Some(&odd))]);
    shop.world.until("it is told", |w| child(w, "manual").spec.source.plugin.is_some()).await;
    let told = shop.ask(json!({})).await;
    assert!(told.phase == "Failed" && told.message.contains("spec.source.plugin is not supported"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_goes_on_after_a_start_whatever_is_asked_for_by_then() {
    let shop = Shop::new(MANUAL).await;
    let hook = job("migrate", "PreSync", "");
    shop.commit("apps/m/hook.yaml", &hook).await;
    shop.patch(json!({"operation": {"sync": {}, "initiatedBy": {"username": "ada"}}})).await;
    shop.world
        .until("it waits", |w| child(w, "manual").status.operation_state.is_some_and(|s| s.phase == "Running"))
        .await;
    shop.world.tasks.stop().await;
    shop.patch(json!({"operation": {"sync": {"dryRun": true}, "initiatedBy": null}})).await;
    let tasks = Tasks::default();
    let config = SyncConfig { path: "root".to_owned(), ..shop.world.config() };
    let _syncer = crate::sync::start(shop.world.registry.clone(), config, &tasks).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(child(&shop.world, "manual").status.operation_state.unwrap().phase, "Running");
    finish(&shop.world, "migrate").await;
    let told = shop.answer().await;
    assert_eq!((told.message.as_str(), shop.value("a").as_deref()), ("dry run: nothing would change", Some("1")));
    assert_eq!(child(&shop.world, "manual").status.history[0].initiated_by.username, "ada");
    tasks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_no_other_request_away() {
    let shop = Shop::new(MANUAL).await;
    shop.world.tasks.stop().await;
    shop.patch(json!({"operation": {"sync": {"prune": false, "resources": [], "dryRun": true}}})).await;
    let key = ObjectKey::new(kinds::APPLICATION, "argocd", "manual");
    let now = child(&shop.world, "manual").operation.unwrap();
    let mut other = now.clone();
    other.sync.as_mut().unwrap().prune = true;
    application::clear_operation(&shop.world.registry, &key, &other).await.unwrap();
    assert_eq!(child(&shop.world, "manual").operation.as_ref(), Some(&now));
    application::clear_operation(&shop.world.registry, &key, &now).await.unwrap();
    assert_eq!(child(&shop.world, "manual").operation, None);
    application::clear_operation(&shop.world.registry, &key, &now).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_pass_is_tried_again_as_often_as_asked() {
    let shop = Shop::new("{}").await;
    let told = shop.ask(json!({})).await;
    assert!(told.phase == "Failed" && told.message.contains("namespace"), "{told:?}");
    let retry = json!({"limit": 20, "backoff": {"duration": "10s", "factor": 1}});
    shop.patch(json!({"operation": {"sync": {}, "retry": retry}})).await;
    tokio::time::sleep(Duration::from_secs(45)).await;
    assert!(child(&shop.world, "manual").operation.is_some(), "it is tried on");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "manual"}});
    let author = Author::controller("test");
    shop.world.registry.create(&author, kinds::NAMESPACE, "", namespace, WriteOptions::default()).await.unwrap();
    let told = shop.answer().await;
    assert_eq!((told.phase.as_str(), shop.value("a").as_deref()), ("Succeeded", Some("1")));
}
