//! Following a branch: deploying, pruning, renaming, rolling back, healing, restarting.

use super::*;
use crate::cluster::registry::{Patch, Target};

fn kubectl() -> Author {
    Author { user: "ada".into(), manager: "kubectl-edit".into(), ..Author::default() }
}

#[tokio::test(start_paused = true)]
async fn a_commit_becomes_objects_and_a_status() {
    let world = World::new().await;
    let files =
        [("web.yaml", Some(deployment("web", "web:v1"))), ("deep/er/conf.yml", Some(config_map("conf", "one")))];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_deref())).collect();
    let first = world.commit("Ship it", &files);
    let syncer = world.start().await;
    let progress = settled(&syncer, first).await;
    assert_eq!(progress, Progress { seen: Some(first.to_string()), deployed: Some(first.to_string()), errors: vec![] });

    let web = world.find(kinds::DEPLOYMENT, "web").unwrap();
    let annotations = &web["metadata"]["annotations"];
    assert_eq!(annotations["argocd.argoproj.io/tracking-id"], "shop:apps/Deployment:default/web");
    assert_eq!(annotations["kubernetes.io/change-cause"], format!("{} Ship it", &first.to_string()[..7]));
    assert_eq!(world.find(kinds::CONFIG_MAP, "conf").unwrap()["data"]["key"], "one");

    let status = world.application().status;
    assert_eq!((status.sync.status.as_str(), status.sync.revision), ("Synced", first.to_string()));
    assert_eq!(status.resources.len(), 2);
    let entry = &status.history[0];
    assert_eq!(
        (entry.author.as_str(), entry.subject.as_str(), entry.trigger.as_str()),
        ("Ada <ada@example.com>", "Ship it", "start")
    );
    assert_eq!(status.operation_state.unwrap().phase, "Succeeded");
}

#[tokio::test(start_paused = true)]
async fn the_whole_commit_is_one_revision() {
    let world = World::new().await;
    let empty = world.commit("Empty", &[("README.md", Some("hello"))]);
    let syncer = world.start().await;
    settled(&syncer, empty).await;
    let names: Vec<String> = (0..20).map(|i| format!("c{i}.yaml")).collect();
    let texts: Vec<String> = (0..20).map(|i| config_map(&format!("c{i}"), "x")).collect();
    let files: Vec<_> = names.iter().zip(&texts).map(|(name, text)| (name.as_str(), Some(text.as_str()))).collect();
    let commit = world.commit("Many", &files);
    settled(&syncer, commit).await;
    let snapshot = world.registry.snapshot();
    let mut revisions: Vec<_> = snapshot.list(kinds::CONFIG_MAP, "default").map(|o| o.meta.revision).collect();
    assert_eq!(revisions.len(), 20);
    revisions.dedup();
    assert_eq!(revisions.len(), 1, "objects and status of a commit share one revision");
}

#[tokio::test(start_paused = true)]
async fn what_git_no_longer_has_is_pruned_and_only_that() {
    let world = World::new().await;
    let (a, b) = (config_map("a", "1"), config_map("b", "1"));
    let first = world.commit("Two", &[("a.yaml", Some(&a)), ("b.yaml", Some(&b))]);
    let author = kubectl();
    let foreign = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign"}});
    world.registry.create(&author, kinds::CONFIG_MAP, "default", foreign, WriteOptions::default()).await.unwrap();
    let syncer = world.start().await;
    settled(&syncer, first).await;
    let second = world.commit("One", &[("a.yaml", None)]);
    settled(&syncer, second).await;
    assert_eq!(world.find(kinds::CONFIG_MAP, "a"), None);
    assert!(world.find(kinds::CONFIG_MAP, "b").is_some());
    assert!(world.find(kinds::CONFIG_MAP, "foreign").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_renamed_file_keeps_its_objects() {
    let world = World::new().await;
    let text = deployment("web", "web:v1");
    let first = world.commit("Old place", &[("web.yaml", Some(&text))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    let before = world.find(kinds::DEPLOYMENT, "web").unwrap();
    let second = world.commit("New place", &[("web.yaml", None), ("apps/site/web.yaml", Some(&text))]);
    settled(&syncer, second).await;
    assert_eq!(world.find(kinds::DEPLOYMENT, "web").unwrap(), before, "not even its change-cause changes");
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_declares_nothing_prunes_nothing() {
    let world = World::new().await;
    let text = config_map("a", "1");
    let first = world.commit("One", &[("a.yaml", Some(&text)), ("README.md", Some("hello"))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    let emptied = world.commit("Oops", &[("a.yaml", None)]);
    let progress = settled(&syncer, emptied).await;
    assert!(progress.errors[0].contains("nothing is pruned"), "{progress:?}");
    assert!(world.find(kinds::CONFIG_MAP, "a").is_some());
    assert_eq!(world.application().status.sync.status, "OutOfSync");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_branch_prunes_nothing_and_is_reported() {
    let world = World::new().await;
    let text = config_map("a", "1");
    let first = world.commit("One", &[("a.yaml", Some(&text))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    world.repository.find_reference("refs/heads/main").unwrap().delete().unwrap();
    syncer.trigger(Trigger::Poll);
    world.until("the branch is missed", |w| w.conditions().iter().any(|c| c.contains("does not exist"))).await;
    assert!(world.find(kinds::CONFIG_MAP, "a").is_some());
    let again = world.repository.commit(
        Some("refs/heads/main"),
        &Signature::now("Ada", "a@b").unwrap(),
        &Signature::now("Ada", "a@b").unwrap(),
        "Back",
        &world.repository.find_commit(first).unwrap().tree().unwrap(),
        &[],
    );
    settled(&syncer, again.unwrap()).await;
    world.until("the condition goes", |w| w.conditions().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn drift_is_healed_and_attributed() {
    let world = World::new().await;
    let (web, conf) = (deployment("web", "web:v1"), config_map("conf", "right"));
    let first = world.commit("Ship", &[("web.yaml", Some(&web)), ("conf.yaml", Some(&conf))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    let target = Target::new(kinds::CONFIG_MAP, "default", "conf");
    let patch = Patch::Merge(json!({"data": {"key": "wrong"}}));
    world.registry.patch(&kubectl(), &target, patch, WriteOptions::default()).await.unwrap();
    world.until("the edit is undone", |w| w.find(kinds::CONFIG_MAP, "conf").unwrap()["data"]["key"] == "right").await;
    let told = "data.key is \"wrong\", git says \"right\"; written last by ";
    world.until("the drift is recorded", |w| w.conditions().iter().any(|c| c.contains(told))).await;
    let who = format!("{} with {} at 2", kubectl().user, kubectl().manager);
    assert!(
        world.conditions().iter().any(|c| c.contains(&who) && c.ends_with("; put back")),
        "{:?}",
        world.conditions()
    );

    let key = ObjectKey::new(kinds::DEPLOYMENT, "default", "web");
    world.registry.delete(&kubectl(), &key, &Default::default()).await.unwrap();
    world.until("the Deployment is back", |w| w.find(kinds::DEPLOYMENT, "web").is_some()).await;
    let told = format!("it was deleted; written last by {}; created again", kubectl().user);
    world.until("that is told of, too", |w| w.conditions().iter().any(|c| c.contains(&told))).await;
    let cause =
        world.find(kinds::DEPLOYMENT, "web").unwrap()["metadata"]["annotations"]["kubernetes.io/change-cause"].clone();
    assert_eq!(cause, format!("{} Ship", &first.to_string()[..7]));
}

#[tokio::test(start_paused = true)]
async fn fields_that_git_does_not_declare_are_nobodys_drift() {
    let world = World::new().await;
    let conf = config_map("conf", "right");
    let first = world.commit("Ship", &[("conf.yaml", Some(&conf))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    let target = Target::new(kinds::CONFIG_MAP, "default", "conf");
    let patch = Patch::Merge(json!({"data": {"other": "mine"}, "metadata": {"labels": {"team": "a"}}}));
    world.registry.patch(&kubectl(), &target, patch, WriteOptions::default()).await.unwrap();
    let revision = world.registry.store().revision();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.registry.store().revision(), revision, "nothing is written");
    assert_eq!(world.find(kinds::CONFIG_MAP, "conf").unwrap()["data"]["other"], "mine");
}

#[tokio::test(start_paused = true)]
async fn a_restart_without_a_change_writes_nothing() {
    let world = World::new().await;
    let (web, conf) = (deployment("web", "web:v1"), config_map("conf", "one"));
    let first = world.commit("Ship", &[("web.yaml", Some(&web)), ("conf.yaml", Some(&conf))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.tasks.stop().await;
    let revision = world.registry.store().revision();
    let tasks = Tasks::default();
    let syncer = crate::sync::start(world.registry.clone(), world.config(), &tasks).await.unwrap();
    settled(&syncer, first).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.registry.store().revision(), revision);
    tasks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_on_a_bad_commit_still_heals_the_good_one() {
    let world = World::new().await;
    let conf = config_map("conf", "good");
    let good = world.commit("Good", &[("conf.yaml", Some(&conf))]);
    let syncer = world.start().await;
    settled(&syncer, good).await;
    let bad = world.commit("Bad", &[("conf.yaml", Some("a: [1\n"))]);
    settled(&syncer, bad).await;
    world.tasks.stop().await;
    let key = ObjectKey::new(kinds::CONFIG_MAP, "default", "conf");
    world.registry.delete(&kubectl(), &key, &Default::default()).await.unwrap();
    let tasks = Tasks::default();
    let syncer = crate::sync::start(world.registry.clone(), world.config(), &tasks).await.unwrap();
    let progress = settled(&syncer, bad).await;
    assert_eq!(progress.deployed, Some(good.to_string()));
    assert_eq!(world.find(kinds::CONFIG_MAP, "conf").unwrap()["data"]["key"], "good");
    tasks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_annotation_is_a_sync_and_is_taken_off() {
    let world = World::new().await;
    let conf = config_map("conf", "one");
    let first = world.commit("Ship", &[("conf.yaml", Some(&conf))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    let conf = config_map("conf", "two");
    let second = world.commit("Next", &[("conf.yaml", Some(&conf))]);
    let target = Target::new(kinds::APPLICATION, SYSTEM_NAMESPACE, "shop");
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}));
    world.registry.patch(&kubectl(), &target, patch, WriteOptions::default()).await.unwrap();
    world.until("the commit is deployed", |w| w.application().status.sync.revision == second.to_string()).await;
    world
        .until("the annotation goes", |w| {
            let application = world.registry.get(syncer.application()).unwrap().value();
            let _ = w;
            application["metadata"]["annotations"].get("argocd.argoproj.io/refresh").is_none()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_application_comes_back_with_its_inventory() {
    let world = World::new().await;
    let (a, b) = (config_map("a", "1"), config_map("b", "1"));
    let first = world.commit("Two", &[("a.yaml", Some(&a)), ("b.yaml", Some(&b))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    world.registry.delete(&kubectl(), syncer.application(), &Default::default()).await.unwrap();
    world.until("it is back", |w| w.registry.get(syncer.application()).is_ok()).await;
    let second = world.commit("One", &[("a.yaml", None)]);
    settled(&syncer, second).await;
    assert_eq!(world.find(kinds::CONFIG_MAP, "a"), None, "it still knew what it owns");
}

#[tokio::test]
async fn a_commit_is_noticed_by_itself() {
    let world = World::new().await;
    let start = world.commit("Start", &[("README.md", Some("x"))]);
    let syncer = world.start().await;
    // Nothing is asked for here: a look that is still to come would see the next commit before the watch does.
    let mut progress = syncer.progress();
    let mut deployed = async |commit: Oid| {
        let id = commit.to_string();
        let seen = progress.wait_for(|p| p.deployed.as_deref() == Some(&id));
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("git's rename wakes the syncer").unwrap();
    };
    deployed(start).await;
    let text = config_map("a", "1");
    deployed(world.commit("Real", &[("a.yaml", Some(&text))])).await;
    assert_eq!(world.application().status.history.last().unwrap().trigger, "commit");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_status_alone_is_no_drift() {
    let world = World::new().await;
    world.commit("Ship", &[("web.yaml", Some(&deployment("web", "web:v1")))]);
    let _syncer = world.start().await;
    world.until("it is deployed", |w| w.find(kinds::DEPLOYMENT, "web").is_some()).await;
    let rendered = crate::sync::render::directory(&world.path(), "default").unwrap();
    let (document, key) = (&rendered.documents[0], ObjectKey::new(kinds::DEPLOYMENT, "default", "web"));
    let mut verified = crate::sync::stage::Verified::default();
    let seen = world.registry.get(&key).unwrap();
    assert!(!verified.forgives(document, &seen), "it was not seen yet");
    verified.insert_seen(document, &seen);

    let author = Author::controller("test");
    let write = async |target, patch| {
        world.registry.patch(&author, &target, Patch::Merge(patch), WriteOptions::default()).await.unwrap().object
    };
    let reported = write(Target::status(key.clone()), json!({"status": {"replicas": 2}})).await;
    assert!(reported.meta.revision > seen.meta.revision && verified.forgives(document, &reported));
    let annotated = write(Target::from(key.clone()), json!({"metadata": {"annotations": {"a": "b"}}})).await;
    assert!(!verified.forgives(document, &annotated));
    let scaled =
        write(Target::from(key), json!({"metadata": {"annotations": {"a": null}}, "spec": {"replicas": 7}})).await;
    assert!(!verified.forgives(document, &scaled));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_asks_for_it_does_not_count_in_the_health() {
    let world = World::new().await;
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\nspec:\n  accessModes: [ReadWriteOnce]\n  \
                 resources: {requests: {storage: 1Gi}}\n";
    let first = world.commit("Claim", &[("c.yaml", Some(claim))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    world.until("it waits for a volume", |w| w.application().status.health.status == "Progressing").await;
    let ignored =
        claim.replace("{name: c}", "{name: c, annotations: {argocd.argoproj.io/ignore-healthcheck: \"true\"}}");
    world.commit("Never mind", &[("c.yaml", Some(&ignored))]);
    world.until("nobody minds", |w| w.application().status.health.status == "Healthy").await;
}
