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

/// Stops at random moments while three waves of two objects, each of which has to get healthy, and a hook at each end are
/// on their way.
#[tokio::test(start_paused = true)]
async fn a_stop_inside_a_sync_of_waves_never_mixes_a_wave_nor_runs_a_hook_twice() {
    let world = World::new().await;
    let mut random = fastrand::Rng::with_seed(11);
    let mut hooks = std::collections::BTreeSet::new();
    for round in 0..6 {
        let wave = |number: i64, name: &str| waves::waved(&deployment(name, &format!("image:{round}")), number);
        let pairs = [(1, "a"), (1, "b"), (2, "c"), (2, "d"), (3, "e"), (3, "f")];
        let mut text = pairs.map(|(number, name)| wave(number, name)).join("---\n");
        for (name, phase) in [("before", "PreSync"), ("after", "PostSync")] {
            text += &format!("---\n{}", waves::job(name, phase, ""));
        }
        let commit = world.commit(&format!("Round {round}"), &[("all.yaml", Some(&text))]);
        let image = |name: &str| {
            let found = world.find(kinds::DEPLOYMENT, name)?;
            Some(found["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned())
        };
        let wanted = Some(format!("image:{round}"));
        for stop in 0.. {
            assert!(stop < 500, "round {round} never ends: {:?}", world.application().status.operation_state);
            let tasks = Tasks::default();
            let syncer = crate::sync::start(world.registry.clone(), world.config(), &tasks).await.unwrap();
            for _ in 0..random.u32(0..120) {
                tokio::task::yield_now().await;
                if random.u32(0..40) == 0 {
                    a_moment().await;
                }
            }
            tasks.stop().await;
            drop(syncer);
            for pair in ["ab", "cd", "ef"] {
                let [one, other] = [&pair[..1], &pair[1..]].map(image);
                assert_eq!(one, other, "wave {pair} is mixed");
            }
            // No wave is before the one in front of it.
            let reached = ["a", "c", "e"].map(|name| image(name) == wanted);
            assert!(reached.windows(2).all(|pair| pair[0] || !pair[1]), "{reached:?}");
            let running = |name: &str| world.find(kinds::JOB, name).filter(|job| job["status"]["conditions"].is_null());
            for name in ["before", "after"] {
                if let Some(job) = running(name) {
                    assert!(hooks.insert((round, name)), "{name} runs a second time in round {round}");
                    assert_eq!(image("a") == wanted, name == "after", "{name} runs at its moment");
                    assert!(job["metadata"]["deletionTimestamp"].is_null());
                    world.end_job(name, "Complete").await;
                }
            }
            for (_, name) in pairs {
                if image(name).is_some() {
                    world.make_healthy(name).await;
                }
            }
            if world.has_succeeded(commit) {
                break;
            }
        }
        assert_eq!(pairs.map(|(_, name)| image(name)), std::array::from_fn(|_| wanted.clone()));
    }
    assert_eq!(hooks.len(), 12, "{hooks:?}");
}
