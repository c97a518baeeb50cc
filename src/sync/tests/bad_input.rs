//! Whatever is wrong with a commit: it is reported with file and line, the last good commit stays, nothing is pruned.

use super::*;

const GOOD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n";

/// Deploys a good commit, then one with `files` beside a removal; gives what is reported of the second.
async fn report(files: &[(&str, Option<&str>)]) -> Vec<String> {
    let world = World::new().await;
    let good = world.commit("Good", &[("good.yaml", Some(GOOD)), ("keep.yaml", Some(&config_map("keep", "1")))]);
    let syncer = world.start().await;
    settled(&syncer, good).await;
    let mut all = vec![("good.yaml", None)];
    all.extend_from_slice(files);
    let bad = world.commit("Bad", &all);
    let progress = settled(&syncer, bad).await;
    assert_eq!(progress.deployed, Some(good.to_string()));
    assert!(world.find(kinds::CONFIG_MAP, "good").is_some(), "nothing is pruned");
    let status = world.application().status;
    assert_eq!((status.sync.status.as_str(), status.sync.revision), ("OutOfSync", bad.to_string()));
    assert_eq!(status.history.last().unwrap().revision, good.to_string());
    assert_eq!(status.operation_state.unwrap().phase, "Failed");
    assert_eq!(status.conditions.len(), progress.errors.len());
    let snapshot = world.registry.snapshot();
    let events = snapshot.list(kinds::EVENT, SYSTEM_NAMESPACE);
    let told: Vec<_> = events.map(|event| event.value()["message"].as_str().unwrap().to_owned()).collect();
    for error in &progress.errors {
        assert!(told.iter().any(|message| message.contains(error)), "no event says {error}: {told:#?}");
    }
    world.tasks.stop().await;
    progress.errors
}

#[tokio::test(start_paused = true)]
async fn all_errors_of_all_files_are_reported_at_once_in_order() {
    let found = report(&[
        ("z/syntax.yaml", Some("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x\n")),
        ("kind.yaml", Some("# first\n---\napiVersion: v1\nkind: Confmap\nmetadata: {name: x}\n")),
        ("b.yaml", Some(&config_map("twice", "1"))),
        ("a.yaml", Some(&format!("{}---\n{}", config_map("ok", "1"), config_map("twice", "2")))),
    ])
    .await;
    let places: Vec<_> = found.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["a.yaml:8", "b.yaml:1", "kind.yaml:3", "z/syntax.yaml:3"], "{found:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_huge_file_is_refused_unread() {
    let huge = "#".repeat(10 << 20);
    let found = report(&[("huge.yaml", Some(&huge))]).await;
    assert_eq!(found, ["huge.yaml: the file has 10 MiB, more than the 4 MiB that a manifest may have"]);
}

#[tokio::test(start_paused = true)]
async fn an_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..9 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(","));
    }
    let found = report(&[("bomb.yaml", Some(&bomb))]).await;
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("bomb.yaml:6: YAML error: the document is larger"), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_link_out_of_the_repository_is_refused() {
    let world = World::new().await;
    let good = world.commit("Good", &[("good.yaml", Some(GOOD))]);
    let syncer = world.start().await;
    settled(&syncer, good).await;
    let blob = world.repository.blob(b"../../etc/passwd").unwrap();
    let mut builder = world.repository.treebuilder(None).unwrap();
    builder.insert("passwd.yaml", blob, 0o120_000).unwrap();
    let tree = world.repository.find_tree(builder.write().unwrap()).unwrap();
    let bad = world.commit_tree("Link", &tree);
    let progress = settled(&syncer, bad).await;
    assert_eq!(progress.errors, ["passwd.yaml: a symbolic link to \"../../etc/passwd\" leads out of the repository"]);
    assert!(world.find(kinds::CONFIG_MAP, "good").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_field_is_reported_at_its_own_line() {
    let web = deployment("web", "web:v1").replace("        image:", "        imagee:");
    let found = report(&[("web.yaml", Some(&format!("# a comment\n---\n{web}")))]).await;
    let at: Vec<_> = found.iter().filter(|line| line.starts_with("web.yaml:17: ") && line.contains("imagee")).collect();
    assert_eq!(at.len(), 1, "{found:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_cluster_refuses_is_reported_at_its_line_too() {
    let web = deployment("web", "web:v1").replace("replicas: 2", "replicas: -1");
    let found = report(&[("web.yaml", Some(&web)), ("n.yaml", Some(&config_map("Not_A_Name", "1")))]).await;
    assert!(found.iter().any(|line| line.starts_with("n.yaml:4: ") && line.contains("metadata.name")), "{found:#?}");
    assert!(found.iter().any(|line| line.starts_with("web.yaml:6: ") && line.contains("spec.replicas")), "{found:#?}");
}
