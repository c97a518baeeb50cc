//! `invalid.json`: the words of refusals, and some requests that one might expect to be refused and are not.

use serde_json::{Value, json};

use crate::compare::{difference, difference_unordered};
use crate::door::{Cluster, Reply};
use crate::tally::{Outcome, Tally, cases};

const FLOOR: usize = 279;

#[tokio::test]
async fn refusals_read_as_recorded() {
    let mut tally = Tally::new("invalid.json");
    for case in cases("invalid.json") {
        let outcome = replay(&case).await;
        tally.add(&case, outcome);
    }
    tally.finish(FLOOR);
}

async fn replay(case: &Value) -> Outcome {
    if case.get("crd").is_some() || case["name"].as_str().is_some_and(|n| n.starts_with("invalid/cr/")) {
        return Outcome::AbsentKind;
    }
    let cluster = Cluster::new().await;
    if case["name"].as_str().is_some_and(|n| n.starts_with("invalid/terminating/")) {
        terminate_a_namespace(&cluster).await;
    }
    for step in case["setup"].as_array().into_iter().flatten() {
        match cluster.create(step["path"].as_str().unwrap_or_default(), &step["body"]).await {
            Reply::Answer { status, .. } if status < 300 => {}
            Reply::Answer { status, body } => {
                return Outcome::Differ(format!("setup refused with {status}: {}", body["message"]));
            }
            Reply::AbsentKind => return Outcome::AbsentKind,
            Reply::NotHere => return Outcome::NotHere,
        }
    }
    let request = &case["request"];
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let body = match (&request["body"], request["bodyText"].as_str()) {
        (Value::Null, None) => None,
        (Value::Null, Some(text)) => Some(text.to_owned()),
        (Value::String(text), _) => Some(text.clone()),
        (body, _) => Some(body.to_string()),
    };
    let (status, mut got) = match cluster.send(text("method"), text("path"), text("contentType"), body.as_deref()).await
    {
        Reply::Answer { status, body } => (status, body),
        Reply::AbsentKind => return Outcome::AbsentKind,
        Reply::NotHere => return Outcome::NotHere,
    };
    if case["status"] != status {
        return Outcome::Differ(format!(
            "status: want {} {}\n      got {status} {}",
            case["status"], case["body"]["message"], got["message"]
        ));
    }
    if status < 300
        && let Some(metadata) = got["metadata"].as_object_mut()
    {
        metadata.remove("managedFields");
    }
    match case["unordered"].is_null() {
        false => Outcome::of(difference_unordered(&case["body"], &got)),
        true => Outcome::of(difference(&case["body"], &got)),
    }
}

/// A namespace that cannot go because something in it has a finalizer.
async fn terminate_a_namespace(cluster: &Cluster) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gterm"}});
    cluster.create("/api/v1/namespaces", &namespace).await;
    let held = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "held", "finalizers": ["example.com/x"]}});
    cluster.create("/api/v1/namespaces/gterm/configmaps", &held).await;
    cluster.send("DELETE", "/api/v1/namespaces/gterm", "", None).await;
}
