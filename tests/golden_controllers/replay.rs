//! Replays the recorded traces: each case's steps are done here as they were done there, and after each the cluster
//! must look the same. Prints how many steps agree, and where the first ones differ.
//!
//! The directory of the traces is `tests/data/golden-controllers`, or what `GOLDEN_CONTROLLERS_DIR` names; with
//! `GOLDEN_CONTROLLERS_CASE` only the cases whose names contain it are replayed, and all their differences printed.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::actions::Script;
use crate::cluster::Cluster;
use crate::compare;
use crate::picture::Picture;

/// Differences that are printed of a file.
const SHOWN: usize = 12;
/// What a request took when the traces were recorded, more or less: the next action comes after it.
const REQUEST: Duration = Duration::from_millis(10);

fn directory() -> PathBuf {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden-controllers");
    std::env::var_os("GOLDEN_CONTROLLERS_DIR").map_or_else(default, PathBuf::from)
}

fn read(file: &str) -> Vec<Value> {
    let path = directory().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

#[derive(Default)]
struct Tally {
    steps: usize,
    agreed: usize,
    cases: usize,
    whole: usize,
    differences: Vec<String>,
}

/// Replays a file; at least `floor` steps must agree. Raise it whenever more do.
async fn replay(file: &str, floor: usize) {
    let only = std::env::var("GOLDEN_CONTROLLERS_CASE").ok();
    let nodes = read("nodes.json");
    let mut tally = Tally::default();
    for case in read(file) {
        let name = case["name"].as_str().unwrap();
        if only.as_ref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let before = (tally.steps, tally.agreed);
        replay_case(&case, &nodes, &mut tally).await;
        tally.cases += 1;
        tally.whole += usize::from(tally.steps - before.0 == tally.agreed - before.1);
    }
    let Tally { steps, agreed, cases, whole, differences } = tally;
    let shown = if only.is_some() { differences.len() } else { SHOWN };
    for difference in differences.iter().take(shown) {
        println!("{difference}");
    }
    println!("{file} agree {agreed} of {steps} steps, {whole} of {cases} cases whole");
    assert!(only.is_some() || agreed >= floor, "{file}: {agreed} steps agree, and {floor} did before");
}

async fn replay_case(case: &Value, nodes: &[Value], tally: &mut Tally) {
    let own_nodes = case["nodes"].as_array().map(Vec::as_slice);
    let cluster = Cluster::start().await;
    for node in own_nodes.unwrap_or(nodes) {
        cluster.create(node.clone()).await.unwrap();
    }
    cluster.settle().await;
    let mut script = Script::default();
    let mut picture = Picture::of_case(&cluster, case);
    for (index, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        let mut results = Vec::new();
        for action in step["action"].as_array().unwrap() {
            results.push(script.act(&cluster, &picture, case, action).await);
            tokio::time::sleep(REQUEST).await;
            picture.learn();
        }
        cluster.settle().await;
        picture.learn();
        let mut got = picture.take(&cluster, step);
        let mut want = step["expected"].clone();
        if let Some(result) = step.get("result") {
            want["result"] = result.clone();
            got["result"] = Value::Array(results);
        }
        tally.steps += 1;
        match compare::differences(&want, &got) {
            found if found.is_empty() => tally.agreed += 1,
            found => {
                let name = case["name"].as_str().unwrap();
                tally.differences.push(format!("{name} step {index}:\n  {}", found.join("\n  ")));
            }
        }
    }
    cluster.tasks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn deployments_move_as_recorded() {
    replay("deployment.json", 565).await;
}

#[tokio::test(start_paused = true)]
async fn replica_sets_move_as_recorded() {
    replay("replicaset.json", 146).await;
}

#[tokio::test(start_paused = true)]
async fn endpoints_move_as_recorded() {
    replay("endpoints.json", 39).await;
}

#[tokio::test(start_paused = true)]
async fn lifecycles_move_as_recorded() {
    replay("lifecycle.json", 49).await;
}
