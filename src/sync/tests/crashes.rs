//! Stopping at any moment: what is stored is one commit or the other, and starting again ends in the same state.

use super::*;

/// The values of the three objects, which every commit writes alike.
fn values(world: &World) -> Vec<String> {
    let value = |name: &str| world.find(kinds::CONFIG_MAP, name).map(|o| o["data"]["key"].as_str().unwrap().to_owned());
    ["a", "b", "c"].iter().filter_map(|name| value(name)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_stop_at_a_random_moment_leaves_one_commit_never_a_mix() {
    let world = World::new().await;
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..25 {
        let text = ["a", "b", "c"].map(|name| config_map(name, &format!("v{round}"))).join("---\n");
        let commit = world.commit(&format!("Round {round}"), &[("all.yaml", Some(&text))]);
        let tasks = Tasks::default();
        let syncer = crate::sync::start(world.registry.clone(), world.config(), &tasks).await.unwrap();
        for _ in 0..random.u32(0..40) {
            tokio::task::yield_now().await;
        }
        tasks.stop().await;
        drop(syncer);
        let found = values(&world);
        assert!(found.is_empty() || found.len() == 3 && found[0] == found[1] && found[1] == found[2], "{found:?}");
        let inventory = world.application().status.resources.len();
        assert_eq!(inventory, found.len(), "inventory and objects tell the same story");
        if round % 5 == 4 {
            let tasks = Tasks::default();
            let syncer = crate::sync::start(world.registry.clone(), world.config(), &tasks).await.unwrap();
            settled(&syncer, commit).await;
            assert_eq!(values(&world), vec![format!("v{round}"); 3]);
            tasks.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_commits_in_a_row_end_at_the_newest_with_few_syncs() {
    let world = World::new().await;
    let first = world.commit("Start", &[("a.yaml", Some(&config_map("a", "start")))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    let mut last = first;
    for round in 0..100 {
        last = world.commit(&format!("Round {round}"), &[("a.yaml", Some(&config_map("a", &format!("v{round}"))))]);
    }
    settled(&syncer, last).await;
    assert_eq!(world.find(kinds::CONFIG_MAP, "a").unwrap()["data"]["key"], "v99");
    let history = world.application().status.history;
    assert!(history.last().unwrap().id <= 5, "{} syncs", history.last().unwrap().id);
}
