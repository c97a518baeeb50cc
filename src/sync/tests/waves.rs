//! Waves and hooks: what waits for what, what a newer commit takes the place of, and what a restart goes on with.

use super::*;
use crate::cluster::registry::{Patch, Target};
use crate::object::application::OperationState;

fn annotated(manifest: &str, annotations: &str) -> String {
    manifest.replacen("metadata:\n", &format!("metadata:\n  annotations: {{{annotations}}}\n"), 1)
}

pub fn waved(manifest: &str, wave: i64) -> String {
    annotated(manifest, &format!("argocd.argoproj.io/sync-wave: '{wave}'"))
}

pub fn job(name: &str, hook: &str, more: &str) -> String {
    annotated(
        &format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\nspec:\n  template:\n    spec:\n      \
             restartPolicy: Never\n      containers: [{{name: main, image: migrate}}]\n"
        ),
        &format!("argocd.argoproj.io/hook: '{hook}'{more}"),
    )
}

impl World {
    async fn set_status(&self, kind: &'static Kind, name: &str, status: Value) {
        let target = Target::status(ObjectKey::new(kind, "default", name));
        let patch = Patch::Merge(json!({"status": status}));
        self.registry.patch(&Author::controller("test"), &target, patch, WriteOptions::default()).await.unwrap();
    }

    /// As the Deployment controller would, once all pods are ready.
    pub async fn make_healthy(&self, name: &str) {
        let generation = self.find(kinds::DEPLOYMENT, name).unwrap()["metadata"]["generation"].clone();
        let status = json!({"observedGeneration": generation, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2,
            "availableReplicas": 2, "conditions": null});
        self.set_status(kinds::DEPLOYMENT, name, status).await;
    }

    async fn make_degraded(&self, name: &str) {
        let generation = self.find(kinds::DEPLOYMENT, name).unwrap()["metadata"]["generation"].clone();
        let condition = json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
            "message": "it does not get ready"});
        let status = json!({"observedGeneration": generation, "replicas": 2, "conditions": [condition]});
        self.set_status(kinds::DEPLOYMENT, name, status).await;
    }

    /// As the Job controller would.
    pub async fn end_job(&self, name: &str, how: &str) {
        let time = "2026-01-01T00:00:00Z";
        let criteria = if how == "Complete" { "SuccessCriteriaMet" } else { "FailureTarget" };
        let condition =
            |type_: &str| json!({"type": type_, "status": "True", "message": "that was it", "reason": "Test"});
        let mut status = json!({"startTime": time, "conditions": [condition(criteria), condition(how)]});
        if how == "Complete" {
            status["completionTime"] = json!(time);
            status["succeeded"] = json!(1);
        } else {
            status["failed"] = json!(1);
        }
        self.set_status(kinds::JOB, name, status).await;
    }

    fn operation(&self) -> OperationState {
        self.application().status.operation_state.unwrap_or_default()
    }

    fn is_waiting_for(&self, what: &str) -> bool {
        let OperationState { phase, message, .. } = self.operation();
        phase == "Running" && message.starts_with("waiting for ") && message.contains(what)
    }

    pub fn has_succeeded(&self, commit: Oid) -> bool {
        let OperationState { phase, sync_result, .. } = self.operation();
        phase == "Succeeded" && sync_result.is_some_and(|result| result.revision == commit.to_string())
    }

    /// `TYPE NAME PHASE` of each hook of the last sync.
    fn hooks(&self) -> Vec<String> {
        let results = self.operation().sync_result.map(|result| result.resources).unwrap_or_default();
        let hooks = results.into_iter().filter(|result| !result.hook_type.is_empty());
        hooks.map(|hook| format!("{} {} {}", hook.hook_type, hook.name, hook.hook_phase)).collect()
    }
}

fn key_of(world: &World, name: &str) -> Option<String> {
    world.find(kinds::CONFIG_MAP, name).map(|found| found["data"]["key"].as_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_wave_waits_until_the_one_before_is_healthy() {
    let world = World::new().await;
    let (db, early) = (waved(&deployment("db", "db:1"), -1), waved(&config_map("early", "1"), -1));
    let commit = world.commit(
        "Deploy",
        &[("db.yaml", Some(&db)), ("early.yaml", Some(&early)), ("web.yaml", Some(&config_map("web", "1")))],
    );
    let syncer = world.start().await;
    settled(&syncer, commit).await;
    world.until("it waits", |w| w.is_waiting_for("Deployment default/db (Progressing")).await;
    assert_eq!((key_of(&world, "early").as_deref(), key_of(&world, "web")), (Some("1"), None));
    let status = world.application().status;
    assert_eq!((status.sync.status.as_str(), status.history.len()), ("OutOfSync", 0));

    world.make_healthy("db").await;
    world.until("it is deployed", |w| w.has_succeeded(commit)).await;
    assert_eq!(key_of(&world, "web").as_deref(), Some("1"));
    let status = world.application().status;
    assert_eq!((status.sync.status.as_str(), status.history.len()), ("Synced", 1));
    let results = status.operation_state.unwrap().sync_result.unwrap().resources;
    assert_eq!(results.len(), 3, "{results:?}");

    // What the commit leaves alone is not waited for, however it does.
    world.make_degraded("db").await;
    let commit = world.commit("Change the web", &[("web.yaml", Some(&config_map("web", "2")))]);
    world.until("it is deployed", |w| w.has_succeeded(commit)).await;
    assert_eq!(key_of(&world, "web").as_deref(), Some("2"));
}

#[tokio::test(start_paused = true)]
async fn a_degraded_wave_holds_its_followers_also_of_the_next_commit() {
    let world = World::new().await;
    let db = |image: &str| waved(&deployment("db", image), -1);
    let commit = world.commit("Deploy", &[("db.yaml", Some(&db("db:1"))), ("web.yaml", Some(&config_map("web", "1")))]);
    let syncer = world.start().await;
    settled(&syncer, commit).await;
    world.make_degraded("db").await;
    world.until("it has failed", |w| w.operation().phase == "Failed").await;
    assert!(
        world.operation().message.contains("Deployment default/db of wave -1 is degraded"),
        "{:?}",
        world.operation()
    );
    let commit = world.commit("Change the web", &[("web.yaml", Some(&config_map("web", "2")))]);
    settled(&syncer, commit).await;
    assert_eq!(key_of(&world, "web"), None);
    // It goes on by itself once the database is well, and is held up again when it is not.
    world.make_healthy("db").await;
    world.until("it is deployed", |w| w.has_succeeded(commit)).await;
    let commit =
        world.commit("Break", &[("db.yaml", Some(&db("db:broken"))), ("web.yaml", Some(&config_map("web", "3")))]);
    settled(&syncer, commit).await;
    world.make_degraded("db").await;
    world.until("it has failed", |w| w.operation().phase == "Failed").await;
    // The commit that mends it is not kept out.
    let commit = world.commit("Mend", &[("db.yaml", Some(&db("db:2")))]);
    settled(&syncer, commit).await;
    assert_eq!(
        world.find(kinds::DEPLOYMENT, "db").unwrap()["spec"]["template"]["spec"]["containers"][0]["image"],
        "db:2"
    );
    world.make_healthy("db").await;
    world.until("it is deployed", |w| w.has_succeeded(commit)).await;
    assert_eq!(key_of(&world, "web").as_deref(), Some("3"));
}

#[tokio::test(start_paused = true)]
async fn hooks_run_before_and_after_and_go_as_they_ask() {
    let world = World::new().await;
    let before = job("migrate", "PreSync", "");
    let after = job("tell", "PostSync", ", argocd.argoproj.io/hook-delete-policy: HookSucceeded");
    let skipped = job("never", "Skip", "");
    let files = [("a.yaml", Some(&*before)), ("b.yaml", Some(&*after)), ("c.yaml", Some(&*skipped))];
    let commit = world.commit("Deploy", &[&files[..], &[("web.yaml", Some(&deployment("web", "web:1")))]].concat());
    let syncer = world.start().await;
    settled(&syncer, commit).await;
    world.until("it waits", |w| w.is_waiting_for("the PreSync hook Job default/migrate (a.yaml:1)")).await;
    assert!(world.find(kinds::DEPLOYMENT, "web").is_none() && world.find(kinds::JOB, "tell").is_none());
    let uid = world.find(kinds::JOB, "migrate").unwrap()["metadata"]["uid"].clone();
    world.end_job("migrate", "Complete").await;
    world.until("it waits", |w| w.is_waiting_for("Deployment default/web")).await;
    world.make_healthy("web").await;
    world.until("it waits", |w| w.is_waiting_for("the PostSync hook Job default/tell")).await;
    world.end_job("tell", "Complete").await;
    world.until("it is deployed", |w| w.has_succeeded(commit)).await;
    assert_eq!(world.hooks(), ["PreSync migrate Succeeded", "PostSync tell Succeeded"]);
    assert!(world.find(kinds::JOB, "tell").is_none() && world.find(kinds::JOB, "never").is_none());
    let migrate = world.find(kinds::JOB, "migrate").unwrap();
    assert!(migrate["metadata"]["finalizers"].is_null(), "it is let go: {migrate}");

    // Hooks belong to what is deployed: a commit that changes nothing runs none, and one that does makes them anew.
    let nothing = world.commit("Say more", &[("web.yaml", Some(&format!("# web\n{}", deployment("web", "web:1"))))]);
    settled(&syncer, nothing).await;
    assert_eq!(world.find(kinds::JOB, "migrate").unwrap()["metadata"]["uid"], uid);
    let commit = world.commit("Roll", &[("web.yaml", Some(&deployment("web", "web:2")))]);
    world
        .until("it is made anew", |w| w.find(kinds::JOB, "migrate").is_some_and(|job| job["metadata"]["uid"] != uid))
        .await;
    world.end_job("migrate", "Complete").await;
    world.until("it is rolled", |w| w.is_waiting_for("Deployment default/web")).await;
    world.make_healthy("web").await;
    world.until("it waits", |w| w.is_waiting_for("the PostSync hook")).await;
    world.end_job("tell", "Complete").await;
    world.until("it is deployed", |w| w.has_succeeded(commit)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_hangs_gives_way_to_the_next_commit() {
    let world = World::new().await;
    let hook = job("unnamed", "PreSync", "").replace("  name: unnamed", "  generateName: migrate-");
    world.commit("Deploy", &[("a.yaml", Some(&hook)), ("web.yaml", Some(&config_map("web", "1")))]);
    let _syncer = world.start().await;
    world.until("it waits", |w| w.is_waiting_for("the PreSync hook")).await;
    let jobs = |world: &World| {
        let snapshot = world.registry.snapshot();
        snapshot.list(kinds::JOB, "default").map(|job| job.key.name.clone()).collect::<Vec<_>>()
    };
    let first = jobs(&world);
    assert!(first.len() == 1 && first[0].starts_with("migrate-"), "{first:?}");

    let began = tokio::time::Instant::now();
    let commit = world.commit("Without hooks", &[("a.yaml", None), ("web.yaml", Some(&config_map("web", "2")))]);
    world.until("it is deployed", |w| w.has_succeeded(commit)).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!((key_of(&world, "web").as_deref(), jobs(&world)), (Some("2"), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_stops_the_sync_and_its_failure_has_hooks_too() {
    let world = World::new().await;
    world.commit("Deploy", &[("web.yaml", Some(&config_map("web", "1")))]);
    let _syncer = world.start().await;
    world.until("it is deployed", |w| key_of(w, "web").is_some()).await;
    let (hook, fail) = (job("migrate", "PreSync", ""), job("alarm", "SyncFail", ""));
    let web = config_map("web", "2");
    world.commit("Break", &[("a.yaml", Some(&hook)), ("b.yaml", Some(&fail)), ("web.yaml", Some(&web))]);
    world.until("it waits", |w| w.is_waiting_for("the PreSync hook")).await;
    world.end_job("migrate", "Failed").await;
    world.until("the alarm is given", |w| w.find(kinds::JOB, "alarm").is_some()).await;
    assert_eq!(world.operation().phase, "Running");
    world.end_job("alarm", "Complete").await;
    world.until("it has failed", |w| w.operation().phase == "Failed").await;
    let said = world.operation().message;
    assert!(said.contains("the PreSync hook Job default/migrate (a.yaml:1) failed: that was it"), "{said}");
    assert_eq!(world.hooks(), ["PreSync migrate Failed", "SyncFail alarm Succeeded"]);
    assert_eq!(key_of(&world, "web").as_deref(), Some("1"), "the last good commit stays");
    // It is tried again after a while, hooks and all.
    world.until("it is tried again", |w| w.is_waiting_for("the PreSync hook")).await;
    world.end_job("migrate", "Complete").await;
    world.until("it is deployed", |w| key_of(w, "web").as_deref() == Some("2")).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_the_sync_was_and_heals_what_it_left() {
    let world = World::new().await;
    let early = |value: &str| waved(&config_map("early", value), -2);
    let first =
        world.commit("Deploy", &[("early.yaml", Some(&early("1"))), ("web.yaml", Some(&config_map("web", "1")))]);
    let mut tasks = Tasks::default();
    let syncer = super::super::start(world.registry.clone(), world.config(), &tasks).await.unwrap();
    settled(&syncer, first).await;
    let hook = job("migrate", "Sync", ", argocd.argoproj.io/sync-wave: '-1'");
    let web = config_map("web", "2");
    let early = early("2");
    let commit =
        world.commit("Change all", &[("early.yaml", Some(&early)), ("a.yaml", Some(&hook)), ("web.yaml", Some(&web))]);
    world.until("it waits", |w| w.is_waiting_for("the Sync hook")).await;
    let uid = world.find(kinds::JOB, "migrate").unwrap()["metadata"]["uid"].clone();
    let change = async |name: &str| {
        let target = Target::new(kinds::CONFIG_MAP, "default", name);
        let patch = Patch::Merge(json!({"data": {"key": "drift"}}));
        world.registry.patch(&Author::controller("ada"), &target, patch, WriteOptions::default()).await.unwrap();
    };
    for _ in 0..2 {
        change("early").await;
        change("web").await;
        let is_healed =
            |w: &World| key_of(w, "early").as_deref() == Some("2") && key_of(w, "web").as_deref() == Some("1");
        world.until("each is as the commit that reached it says", is_healed).await;
        tasks.stop().await;
        tasks = Tasks::default();
        super::super::start(world.registry.clone(), world.config(), &tasks).await.unwrap();
        world.until("it waits", |w| w.is_waiting_for("the Sync hook")).await;
    }
    assert_eq!(world.find(kinds::JOB, "migrate").unwrap()["metadata"]["uid"], uid, "the hook is not made again");
    world.end_job("migrate", "Complete").await;
    world.until("it is deployed", |w| w.has_succeeded(commit)).await;
    assert_eq!(key_of(&world, "web").as_deref(), Some("2"));
    tasks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_asks_to_be_pruned_last_goes_when_the_rest_is_healthy() {
    let world = World::new().await;
    let last = annotated(&config_map("last", "1"), "argocd.argoproj.io/sync-options: PruneLast=true");
    let commit = world.commit("Deploy", &[("last.yaml", Some(&last)), ("old.yaml", Some(&config_map("old", "1")))]);
    let syncer = world.start().await;
    settled(&syncer, commit).await;
    let web = deployment("web", "web:1");
    let commit = world.commit("Replace", &[("last.yaml", None), ("old.yaml", None), ("web.yaml", Some(&web))]);
    settled(&syncer, commit).await;
    world.until("it waits", |w| w.is_waiting_for("Deployment default/web")).await;
    assert_eq!((key_of(&world, "old"), key_of(&world, "last").as_deref()), (None, Some("1")));
    world.make_healthy("web").await;
    world.until("it is deployed", |w| w.has_succeeded(commit)).await;
    assert_eq!(key_of(&world, "last"), None);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_nobody_knows_is_refused_at_its_line() {
    let world = World::new().await;
    let commit = world.commit("Mistype", &[("a.yaml", Some(&job("migrate", "PreSnyc", "")))]);
    let syncer = world.start().await;
    let progress = settled(&syncer, commit).await;
    assert_eq!(progress.errors.len(), 1, "{:?}", progress.errors);
    assert!(
        progress.errors[0].starts_with("a.yaml:") && progress.errors[0].contains("PreSnyc"),
        "{:?}",
        progress.errors
    );
    assert!(world.find(kinds::JOB, "migrate").is_none());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_application_has_hooks_before_and_after() {
    let world = World::new().await;
    let child = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: child\n  namespace: argocd\n  \
         finalizers: [resources-finalizer.argocd.argoproj.io/background]\nspec:\n  source: {{repoURL: {}, path: apps/child, \
         targetRevision: HEAD}}\n  destination: {{namespace: default}}\n  syncPolicy: {{automated: {{prune: true}}}}\n",
        world.path().display()
    );
    let (before, after) = (job("backup", "PreDelete", ""), job("farewell", "PostDelete", ""));
    world.commit(
        "Deploy",
        &[
            ("root/keep.yaml", Some(&config_map("keep", "1"))),
            ("root/child.yaml", Some(&child)),
            ("apps/child/a.yaml", Some(&before)),
            ("apps/child/b.yaml", Some(&after)),
            ("apps/child/web.yaml", Some(&config_map("web", "1"))),
        ],
    );
    let start = async |tasks: &Tasks| {
        let config = SyncConfig { path: "root".to_owned(), ..world.config() };
        super::super::start(world.registry.clone(), config, tasks).await.unwrap();
    };
    let mut tasks = Tasks::default();
    start(&tasks).await;
    world.until("it is deployed", |w| key_of(w, "web").is_some()).await;
    assert!(world.find(kinds::JOB, "backup").is_none() && world.find(kinds::JOB, "farewell").is_none());
    world.commit("Without the child", &[("root/child.yaml", None)]);
    world.until("the backup runs", |w| w.find(kinds::JOB, "backup").is_some()).await;
    tasks.stop().await;
    tasks = Tasks::default();
    start(&tasks).await;
    assert!(key_of(&world, "web").is_some(), "nothing goes before the backup is done");
    world.end_job("backup", "Complete").await;
    world.until("the farewell runs", |w| w.find(kinds::JOB, "farewell").is_some()).await;
    assert_eq!(key_of(&world, "web"), None);
    let is_there = |w: &World| w.registry.get(&ObjectKey::new(kinds::APPLICATION, "argocd", "child")).is_ok();
    assert!(is_there(&world));
    let uid = world.find(kinds::JOB, "farewell").unwrap()["metadata"]["uid"].clone();
    world.end_job("farewell", "Failed").await;
    let is_another = |w: &World| w.find(kinds::JOB, "farewell").is_some_and(|job| job["metadata"]["uid"] != uid);
    world.until("a failed one is tried again", is_another).await;
    world.end_job("farewell", "Complete").await;
    world.until("the Application is gone", |w| !is_there(w)).await;
    tasks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_shows_the_hooks_and_what_is_wrong_with_them() {
    let world = World::new().await;
    let text = job("migrate", "PreSync", "");
    let unnamed = job("smoke", "PostSync", "").replace("name: smoke", "generateName: smoke-");
    world.commit("Zero", &[("smoke.yaml", Some(&unnamed))]);
    world.commit("One", &[("web.yaml", Some(&config_map("web", "1"))), ("job.yaml", Some(&text))]);
    let read = |world: &World| crate::sync::render::directory(&world.path(), "default").unwrap();
    let rendered = read(&world);
    let plan_of = |rendered: &crate::sync::render::Rendered| {
        let request = crate::sync::plan::Request {
            application: "shop",
            revision: "work tree".to_owned(),
            commit: None,
            documents: &rendered.documents,
            hooks: &rendered.hooks,
            base: None,
            inventory: &[],
            successors: &Default::default(),
            settings: None,
            pruning: crate::sync::guard::Pruning::Off,
            fingerprints: None,
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        crate::sync::plan::plan(&world.registry, request)
    };
    let plan = plan_of(&rendered);
    assert_eq!((plan.steps.len(), plan.hooks.len()), (1, 2), "{plan:?}");
    assert_eq!(plan.hooks[1].object(), "PostSync hook Job default/smoke-*");
    // A client that posts what it rendered sees the same.
    let posted = crate::sync::PlanRequest::of("work tree", &[0], &rendered, None);
    let received = crate::sync::request::receive(posted.documents.unwrap(), Vec::new(), "default");
    assert_eq!(plan_of(&received).hooks, plan.hooks);
    assert_eq!(plan.hooks[0].object(), "PreSync hook Job default/migrate");
    assert!(
        crate::diff::render::text(&plan, Default::default())
            .contains("> PreSync hook Job default/migrate  job.yaml:1\n")
    );
    assert_eq!(plan.errors, []);
    let bad = text.replace("restartPolicy: Never", "restartPolicy: Always");
    world.commit("Two", &[("job.yaml", Some(&bad))]);
    let rendered = read(&world);
    let errors = plan_of(&rendered).errors;
    assert!(errors.len() == 1 && errors[0].to_string().contains("restartPolicy"), "{errors:?}");
    let linted = crate::sync::lint(&rendered, &[]).await.unwrap().errors;
    assert_eq!(linted, errors);
}
