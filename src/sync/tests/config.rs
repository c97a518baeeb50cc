//! A change of configuration in git rolls the workloads that read it, and a revert rolls them back.

use super::*;
use crate::cluster::registry::{Patch, Target};
use crate::sync::stage::CONFIG_ANNOTATION;

fn web(more: &str) -> String {
    deployment("web", "app:1").replace(
        "      - name: main",
        &format!("      - name: main\n        envFrom: [{{configMapRef: {{name: settings}}}}]{more}"),
    )
}

fn fingerprint(world: &World, name: &str) -> Option<String> {
    let template = &world.find(kinds::DEPLOYMENT, name)?["spec"]["template"];
    template["metadata"]["annotations"][CONFIG_ANNOTATION].as_str().map(str::to_owned)
}

#[tokio::test(start_paused = true)]
async fn what_reads_a_config_map_rolls_with_it_and_back_with_the_revert() {
    let world = World::new().await;
    let (blue, red, other) =
        (config_map("settings", "blue"), config_map("settings", "red"), deployment("other", "app:1"));
    world.commit("Blue", &[("web.yaml", Some(&web(""))), ("settings.yaml", Some(&blue)), ("other.yaml", Some(&other))]);
    let _syncer = world.start().await;
    world.until("it is deployed", |w| fingerprint(w, "web").is_some()).await;
    assert_eq!(fingerprint(&world, "other"), None, "it reads nothing");
    let first = fingerprint(&world, "web");

    world.commit("Red", &[("settings.yaml", Some(&red))]);
    world.until("it is rolled", |w| fingerprint(w, "web") != first).await;
    let template = world.find(kinds::DEPLOYMENT, "web").unwrap()["spec"]["template"].to_string();
    assert!(!template.contains("red"), "the value itself is not shown");

    // What somebody rolls back by hand is drift.
    let second = fingerprint(&world, "web");
    let target = Target::new(kinds::DEPLOYMENT, "default", "web");
    let annotations = json!({CONFIG_ANNOTATION: first});
    let patch = Patch::Merge(json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}));
    world.registry.patch(&Author::controller("ada"), &target, patch, WriteOptions::default()).await.unwrap();
    world.until("it is healed", |w| fingerprint(w, "web") == second).await;

    world.commit("Blue again", &[("settings.yaml", Some(&blue))]);
    world.until("it is rolled back to the very same template", |w| fingerprint(w, "web") == first).await;
}

#[tokio::test(start_paused = true)]
async fn who_opts_out_is_not_rolled() {
    let world = World::new().await;
    let quiet = web("").replace(
        "metadata:\n  name: web",
        "metadata:\n  annotations: {windlass.dev/config-rollout: disabled}\n  name: web",
    );
    let (blue, red) = (config_map("settings", "blue"), config_map("settings", "red"));
    world.commit("Blue", &[("web.yaml", Some(&quiet)), ("settings.yaml", Some(&blue))]);
    let _syncer = world.start().await;
    world.until("it is deployed", |w| w.find(kinds::DEPLOYMENT, "web").is_some()).await;
    world.commit("Red", &[("settings.yaml", Some(&red))]);
    world.until("it is deployed", |w| w.find(kinds::CONFIG_MAP, "settings").unwrap()["data"]["key"] == "red").await;
    assert_eq!(fingerprint(&world, "web"), None);
}

#[tokio::test(start_paused = true)]
async fn what_ran_without_a_fingerprint_is_rolled_by_the_first_change_and_not_before() {
    let world = World::new().await;
    let (blue, red, more) = (config_map("settings", "blue"), config_map("settings", "red"), config_map("more", "1"));
    // As it was deployed by somebody who knows no fingerprints.
    let mut live: Value = serde_json::from_value(serde_yaml::from_str(&web("")).unwrap()).unwrap();
    live["metadata"]["namespace"] = json!("default");
    let author = Author { manager: "windlass".into(), ..Author::controller("windlass") };
    world.registry.create(&author, kinds::DEPLOYMENT, "default", live, WriteOptions::default()).await.unwrap();
    world.commit("Blue", &[("web.yaml", Some(&web(""))), ("settings.yaml", Some(&blue))]);
    let settings: Value = serde_json::from_value(serde_yaml::from_str(&blue).unwrap()).unwrap();
    world.registry.create(&author, kinds::CONFIG_MAP, "default", settings, WriteOptions::default()).await.unwrap();
    let _syncer = world.start().await;
    let is_tracked = |w: &World| {
        let web = w.find(kinds::DEPLOYMENT, "web").unwrap();
        !web["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].is_null()
    };
    world.until("it is taken over", is_tracked).await;
    assert_eq!(fingerprint(&world, "web"), None, "nothing changed for its pods");
    world.commit("More", &[("more.yaml", Some(&more))]);
    world.until("it is deployed", |w| w.find(kinds::CONFIG_MAP, "more").is_some()).await;
    assert_eq!(fingerprint(&world, "web"), None, "its pods do not read that");
    world.commit("Red", &[("settings.yaml", Some(&red))]);
    world.until("it is rolled", |w| fingerprint(w, "web").is_some()).await;
}
