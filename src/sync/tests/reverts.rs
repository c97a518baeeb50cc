//! Revert commits: what they hold, and when they are refused.

use super::*;
use crate::sync::revert::{RevertError, revert};

fn identify(world: &World) {
    let mut config = world.repository.config().unwrap();
    config.set_str("user.name", "Grace").unwrap();
    config.set_str("user.email", "grace@example.com").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_revert_is_a_commit_that_rolls_the_cluster_back() {
    let world = World::new().await;
    identify(&world);
    let (v1, v2) = (deployment("web", "web:v1"), deployment("web", "web:v2"));
    let first = world.commit("One", &[("web.yaml", Some(&v1))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    let second = world.commit("Two", &[("web.yaml", Some(&v2))]);
    settled(&syncer, second).await;
    let third = revert(&world.path(), "HEAD").unwrap();
    settled(&syncer, third).await;

    let web = world.find(kinds::DEPLOYMENT, "web").unwrap();
    assert_eq!(web["spec"]["template"]["spec"]["containers"][0]["image"], "web:v1");
    let cause = &web["metadata"]["annotations"]["kubernetes.io/change-cause"];
    assert_eq!(*cause, format!("{} Revert \"Two\"", &third.to_string()[..7]));
    assert_eq!(std::fs::read_to_string(world.path().join("web.yaml")).unwrap(), v1, "the work tree follows");
    assert!(world.repository.statuses(None).unwrap().is_empty(), "and is clean");
    let commit = world.repository.find_commit(third).unwrap();
    assert_eq!(commit.author().name().unwrap(), "Grace");
    assert_eq!(commit.message().unwrap(), format!("Revert \"Two\"\n\nThis reverts commit {second}.\n"));
}

#[tokio::test(start_paused = true)]
async fn a_revert_that_could_lose_something_is_refused() {
    let world = World::new().await;
    identify(&world);
    let texts: Vec<String> = ["1", "2", "3"].iter().map(|value| config_map("a", value)).collect();
    let first = world.commit("One", &[("a.yaml", Some(&texts[0]))]);
    let second = world.commit("Two", &[("a.yaml", Some(&texts[1]))]);
    let third = world.commit("Three", &[("a.yaml", Some(&texts[2]))]);
    assert!(matches!(revert(&world.path(), &first.to_string()), Err(RevertError::First { .. })));
    let Err(RevertError::Conflict { files, .. }) = revert(&world.path(), &second.to_string()) else { panic!() };
    assert_eq!(files, ["a.yaml"]);
    assert!(matches!(revert(&world.path(), "nowhere"), Err(RevertError::NoSuchCommit { .. })));
    std::fs::write(world.path().join("a.yaml"), "edited\n").unwrap();
    assert!(matches!(revert(&world.path(), "HEAD"), Err(RevertError::Dirty { .. })));
    assert_eq!(std::fs::read_to_string(world.path().join("a.yaml")).unwrap(), "edited\n");
    assert_eq!(world.repository.refname_to_id("refs/heads/main").unwrap(), third, "the branch has not moved");
    let nowhere = TempDir::new().unwrap();
    assert!(matches!(revert(nowhere.path(), "HEAD"), Err(RevertError::NotARepository { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_bare_repository_is_reverted_without_a_work_tree() {
    let world = World::new().await;
    let (one, two) = (config_map("a", "1"), config_map("a", "2"));
    let first = world.commit("One", &[("a.yaml", Some(&one))]);
    world.commit("Two", &[("a.yaml", Some(&two))]);
    let path = world.folder.path().join("bare.git");
    let bare = git2::build::RepoBuilder::new().bare(true).clone(world.path().to_str().unwrap(), &path).unwrap();
    let mut config = bare.config().unwrap();
    config.set_str("user.name", "Grace").unwrap();
    config.set_str("user.email", "grace@example.com").unwrap();
    let id = revert(&path, "HEAD").unwrap();
    assert_eq!(bare.refname_to_id("refs/heads/main").unwrap(), id);
    let tree = |id| bare.find_commit(id).unwrap().tree_id();
    assert_eq!(tree(id), tree(first));
}
