//! `apply.json`: server-side apply step by step: results, conflicts and who owns which field afterwards.

use serde_json::{Map, Value};

use crate::compare::{difference, difference_unordered};
use crate::door::{Cluster, Reply};
use crate::tally::{Outcome, Tally, cases};

const FLOOR: usize = 90;

#[tokio::test(start_paused = true)]
async fn applies_own_and_yield_fields_as_recorded() {
    let mut tally = Tally::new("apply.json");
    for case in cases("apply.json") {
        let outcome = replay(&case).await;
        tally.add(&case, outcome);
    }
    tally.finish(FLOOR);
}

async fn replay(case: &Value) -> Outcome {
    if case.get("crd").is_some() {
        return Outcome::AbsentKind;
    }
    let cluster = Cluster::new().await;
    for (number, step) in case["steps"].as_array().into_iter().flatten().enumerate() {
        let text = |name: &str| step[name].as_str().unwrap_or_default();
        let body = if step["op"] == "update" { changed(&cluster, step).await } else { step["body"].clone() };
        let body = match body {
            Value::Null => None,
            Value::String(text) => Some(text),
            body => Some(body.to_string()),
        };
        let reply = cluster.send(text("method"), text("path"), text("contentType"), body.as_deref()).await;
        let (status, got) = match reply {
            Reply::Answer { status, body } => (status, body),
            Reply::AbsentKind => return Outcome::AbsentKind,
            Reply::NotHere => return Outcome::NotHere,
        };
        if step["status"] != status {
            return Outcome::Differ(format!(
                "step {number}: status: want {} {}\n      got {status} {}",
                step["status"], step["response"]["message"], got["message"]
            ));
        }
        // Kubernetes names several managers that are in conflict in no fixed order.
        let unordered = !case["unordered"].is_null() || step["status"] == 409;
        let compare = if unordered { difference_unordered } else { difference };
        let found = match step.get("response") {
            Some(response) => compare(response, &got),
            None => object_difference(step, &got),
        };
        if let Some(how) = found {
            return Outcome::Differ(format!("step {number}: {how}"));
        }
    }
    Outcome::Agree
}

/// A recorded step keeps the object, its metadata and its owners apart.
fn object_difference(step: &Value, got: &Value) -> Option<String> {
    let mut object = got.as_object().cloned().unwrap_or_default();
    for gone in ["apiVersion", "kind", "metadata"] {
        object.remove(gone);
    }
    let status = object.remove("status");
    let metadata = got["metadata"].as_object();
    let kept = ["labels", "annotations", "finalizers", "ownerReferences", "generation"];
    let kept: Map<String, Value> =
        kept.iter().filter_map(|name| Some(((*name).to_owned(), metadata?.get(*name)?.clone()))).collect();
    let status = step.get("statusObject").and_then(|want| difference(want, &status.unwrap_or_default()));
    difference(&step["object"], &Value::Object(object))
        .or_else(|| difference(&step["metadata"], &Value::Object(kept)).map(|how| format!("metadata{how}")))
        .or_else(|| {
            difference(&step["managedFields"], &got["metadata"]["managedFields"])
                .map(|how| format!("managedFields{how}"))
        })
        .or_else(|| status.map(|how| format!("status{how}")))
}

/// The current object with the step's change merged in, as a client that reads, edits and writes back sends it.
async fn changed(cluster: &Cluster, step: &Value) -> Value {
    let path = step["path"].as_str().unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default().trim_end_matches("/status");
    let Reply::Answer { mut body, .. } = cluster.send("GET", path, "", None).await else { return Value::Null };
    merge(&mut body, &step["change"]);
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    body
}

fn merge(object: &mut Value, change: &Value) {
    let (Value::Object(members), Value::Object(changes)) = (&mut *object, change) else {
        *object = change.clone();
        return;
    };
    for (name, change) in changes {
        if change == "__del" {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}
