//! What a sync does not delete although git no longer has it.

use super::*;
use crate::cluster::registry::{Patch, Target};
use crate::object::application::{APPROVE_ANNOTATION, BUDGET_ANNOTATION};

#[tokio::test(start_paused = true)]
async fn a_commit_that_takes_most_objects_away_waits_for_its_approval() {
    let world = World::new().await;
    let names: Vec<String> = (0..12).map(|number| format!("conf-{number}")).collect();
    let files: Vec<(String, String)> =
        names.iter().map(|name| (format!("{name}.yaml"), config_map(name, "1"))).collect();
    let all: Vec<_> = files.iter().map(|(file, text)| (file.as_str(), Some(text.as_str()))).collect();
    world.commit("Twelve", &all);
    let _syncer = world.start().await;
    let count = |world: &World| names.iter().filter(|name| world.find(kinds::CONFIG_MAP, name).is_some()).count();
    world.until("all are there", |w| count(w) == 12).await;

    let mut fewer: Vec<_> = all[1..].iter().map(|(file, _)| (*file, None)).collect();
    let changed = config_map("conf-0", "2");
    fewer.push(("conf-0.yaml", Some(changed.as_str())));
    let commit = world.commit("One is left", &fewer);
    world
        .until("the rest of it is deployed", |w| w.find(kinds::CONFIG_MAP, "conf-0").unwrap()["data"]["key"] == "2")
        .await;
    world
        .until("it says what waits", |w| {
            let conditions = w.application().status.conditions;
            conditions
                .iter()
                .any(|condition| condition.message.contains("11 of 12 objects are no longer in git and stay for now"))
        })
        .await;
    assert_eq!(count(&world), 12, "nothing is pruned");

    annotate(&world, json!({APPROVE_ANNOTATION: commit.to_string()})).await;
    world.until("what was approved is pruned", |w| count(w) == 1).await;
}

async fn annotate(world: &World, annotations: Value) {
    let target = Target::new(kinds::APPLICATION, SYSTEM_NAMESPACE, "shop");
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    world.registry.patch(&Author::controller("ada"), &target, patch, WriteOptions::default()).await.unwrap();
}

fn says(world: &World, words: &str) -> bool {
    world.application().status.conditions.iter().any(|condition| condition.message.contains(words))
}

#[tokio::test(start_paused = true)]
async fn an_application_has_the_budget_that_it_names() {
    let world = World::new().await;
    let (one, two) = (config_map("one", "1"), config_map("two", "1"));
    world.commit("Two", &[("one.yaml", Some(&one)), ("two.yaml", Some(&two))]);
    let _syncer = world.start().await;
    world.until("both are there", |w| w.find(kinds::CONFIG_MAP, "two").is_some()).await;
    annotate(&world, json!({BUDGET_ANNOTATION: "0"})).await;
    world.commit("One", &[("two.yaml", None)]);
    world.until("it says what waits", |w| says(w, "1 of 2 objects are no longer in git")).await;
    assert!(world.find(kinds::CONFIG_MAP, "two").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_asks_for_it_goes_only_when_its_end_is_approved() {
    let world = World::new().await;
    let precious = config_map("precious", "1")
        .replace("metadata:", "metadata:\n  annotations: {argocd.argoproj.io/sync-options: Prune=confirm}");
    let (one, two) = (config_map("one", "1"), config_map("two", "1"));
    world.commit("All", &[("one.yaml", Some(&one)), ("two.yaml", Some(&two)), ("precious.yaml", Some(&precious))]);
    let _syncer = world.start().await;
    world.until("all are there", |w| w.find(kinds::CONFIG_MAP, "precious").is_some()).await;
    let commit = world.commit("One", &[("two.yaml", None), ("precious.yaml", None)]);
    world.until("the plain one goes", |w| w.find(kinds::CONFIG_MAP, "two").is_none()).await;
    assert!(world.find(kinds::CONFIG_MAP, "precious").is_some());
    annotate(&world, json!({APPROVE_ANNOTATION: commit.to_string()[..7]})).await;
    world.until("the approved one goes", |w| w.find(kinds::CONFIG_MAP, "precious").is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_was_replaced_by_another_prunes_only_what_is_approved() {
    let world = World::new().await;
    let (one, two) = (config_map("one", "1"), config_map("two", "1"));
    world.commit("Ours", &[("one.yaml", Some(&one)), ("two.yaml", Some(&two))]);
    let _syncer = world.start().await;
    world.until("both are there", |w| w.find(kinds::CONFIG_MAP, "two").is_some()).await;
    // What `git push --force` of a repository that has nothing to do with this one does.
    let mut files = world.repository.treebuilder(None).unwrap();
    let blob = world.repository.blob(config_map("one", "other").as_bytes()).unwrap();
    files.insert("one.yaml", blob, 0o100_644).unwrap();
    let tree = world.repository.find_tree(files.write().unwrap()).unwrap();
    let who = git2::Signature::now("Bob", "bob@example.com").unwrap();
    let other = world.repository.commit(None, &who, &who, "Another history", &tree, &[]).unwrap();
    world.repository.reference("refs/heads/main", other, true, "forced").unwrap();
    world.until("it is followed", |w| w.find(kinds::CONFIG_MAP, "one").unwrap()["data"]["key"] == "other").await;
    world.until("it says what waits", |w| says(w, "shares no history with the one that is deployed")).await;
    assert!(world.find(kinds::CONFIG_MAP, "two").is_some(), "nothing is pruned");
    annotate(&world, json!({APPROVE_ANNOTATION: other.to_string()})).await;
    world.until("what was approved is pruned", |w| w.find(kinds::CONFIG_MAP, "two").is_none()).await;
}
