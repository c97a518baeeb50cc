//! `patches.json`: what a JSON, merge or strategic merge patch makes of an object.

use serde_json::Value;

use crate::compare::difference;
use crate::door::{Cluster, Reply};
use crate::tally::{Outcome, Tally, cases};

const FLOOR: usize = 118;

#[tokio::test]
async fn patches_give_the_recorded_objects() {
    let mut tally = Tally::new("patches.json");
    for case in cases("patches.json") {
        let outcome = replay(&case).await;
        tally.add(&case, outcome);
    }
    tally.finish(FLOOR);
}

async fn replay(case: &Value) -> Outcome {
    let cluster = Cluster::new().await;
    let path = case["path"].as_str().unwrap_or_default();
    let name = case["initial"]["metadata"]["name"].as_str().unwrap_or_default();
    let collection = path.split(&format!("/{name}")).next().unwrap_or_default();
    match cluster.create(collection, &case["initial"]).await {
        Reply::Answer { status: 201, .. } => {}
        Reply::Answer { status, body } => {
            return Outcome::Differ(format!("initial refused with {status}: {}", body["message"]));
        }
        Reply::AbsentKind => return Outcome::AbsentKind,
        Reply::NotHere => return Outcome::NotHere,
    }
    let patch = case["patch"].to_string();
    let content_type = case["contentType"].as_str().unwrap_or_default();
    let (status, mut got) = match cluster.send("PATCH", path, content_type, Some(&patch)).await {
        Reply::Answer { status, body } => (status, body),
        Reply::AbsentKind => return Outcome::AbsentKind,
        Reply::NotHere => return Outcome::NotHere,
    };
    if case["status"] != status {
        return Outcome::Differ(format!(
            "status: want {} {}\n      got {status} {}",
            case["status"], case["result"]["message"], got["message"]
        ));
    }
    if let Some(metadata) = got["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    Outcome::of(difference(&case["result"], &got))
}
