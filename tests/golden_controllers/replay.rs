//! Replays the recorded traces: each case's steps are done here as they were done there, and after each the cluster
//! must look the same.

use std::time::Duration;

use serde_json::Value;

use crate::actions::Script;
use crate::cluster::{Binding, Cluster, QUIET_WITH_JOBS};
use crate::compare;
use crate::picture::Picture;
use crate::report::{self, Tally};

/// What a request took when the traces were recorded, more or less: the next action comes after it.
const REQUEST: Duration = Duration::from_millis(10);

async fn replay(file: &str, floor: usize) {
    let nodes = report::read("nodes.json");
    let mut tally = Tally::new();
    for case in report::cases(file) {
        let (differences, races) = replay_case(&case, &nodes).await;
        tally.note_races(races);
        tally.add(&case, differences);
    }
    tally.finish(file, floor);
}

/// What differs, step by step; and in how many steps the recording shows the other outcome of a race.
async fn replay_case(case: &Value, nodes: &[Value]) -> (Vec<Vec<String>>, usize) {
    let own_nodes = case["nodes"].as_array().map(Vec::as_slice);
    let binding = if case["binding"].is_string() { Binding::Everything } else { Binding::Scheduler };
    let mut cluster = Cluster::start_with(binding).await;
    if case["initial"].as_array().unwrap().iter().any(|o| o["apiVersion"] == "batch/v1") {
        cluster.quiet = QUIET_WITH_JOBS;
    }
    for node in own_nodes.unwrap_or(nodes) {
        cluster.create(node.clone()).await.unwrap();
    }
    cluster.settle().await;
    let mut script = Script::default();
    let mut picture = Picture::of_case(&cluster, case);
    let (mut differences, mut races) = (Vec::new(), 0);
    for step in case["steps"].as_array().unwrap() {
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
        let strictly = compare::differences(&want, &got);
        let widely = compare::differences_but_for_races(&want, &got);
        races += usize::from(widely.is_empty() && !strictly.is_empty());
        differences.push(if widely.is_empty() { widely } else { strictly });
    }
    cluster.tasks.stop().await;
    (differences, races)
}

#[tokio::test(start_paused = true)]
async fn deployments_move_as_recorded() {
    replay("deployment.json", 582).await;
}

#[tokio::test(start_paused = true)]
async fn replica_sets_move_as_recorded() {
    replay("replicaset.json", 148).await;
}

#[tokio::test(start_paused = true)]
async fn stateful_sets_move_as_recorded() {
    replay("statefulset.json", 213).await;
}

#[tokio::test(start_paused = true)]
async fn daemon_sets_move_as_recorded() {
    replay("daemonset.json", 129).await;
}

#[tokio::test(start_paused = true)]
async fn jobs_move_as_recorded() {
    replay("job.json", 151).await;
}

#[tokio::test(start_paused = true)]
async fn endpoints_move_as_recorded() {
    replay("endpoints.json", 39).await;
}

#[tokio::test(start_paused = true)]
async fn lifecycles_move_as_recorded() {
    replay("lifecycle.json", 134).await;
}
