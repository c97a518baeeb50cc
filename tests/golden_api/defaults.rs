//! `defaults.json`: what is stored of an object that is created, or why it is refused.

use serde_json::Value;

use crate::compare::difference;
use crate::door::{Cluster, Reply};
use crate::tally::{Outcome, Tally, cases};

const FLOOR: usize = 118;

#[tokio::test]
async fn objects_are_stored_with_the_recorded_defaults() {
    let mut tally = Tally::new("defaults.json");
    for case in cases("defaults.json") {
        let outcome = replay(&case).await;
        tally.add(&case, outcome);
    }
    tally.finish(FLOOR);
}

async fn replay(case: &Value) -> Outcome {
    let cluster = Cluster::new().await;
    let path = case["path"].as_str().unwrap_or_default();
    let (status, mut body) = match cluster.create(path, &case["input"]).await {
        Reply::Answer { status, body } => (status, body),
        Reply::AbsentKind => return Outcome::AbsentKind,
        Reply::NotHere => return Outcome::NotHere,
    };
    if case["createStatus"] != status {
        return Outcome::Differ(format!("status: want {}, got {status} {}", case["createStatus"], body["message"]));
    }
    if status >= 300 {
        return Outcome::of(difference(&case["body"], &body));
    }
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    Outcome::of(difference(&case["stored"], &body))
}
