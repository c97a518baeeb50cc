//! `apply.json`: server-side apply step by step: results, conflicts and who owns which field afterwards.

use serde_json::{Map, Value, json};

use crate::check::Check;
use crate::client::{Answer, Client};
use crate::cluster::{ask, prepared};
use crate::tally::replay_all;

const FLOOR: usize = 112;

#[tokio::test(start_paused = true)]
async fn applies_own_and_yield_fields_as_recorded() {
    replay_all("apply.json", FLOOR, replay).await;
}

async fn replay(case: Value) -> Result<Vec<Check>, String> {
    let client = prepared(&case).await?;
    let mut checks = Vec::new();
    for (number, step) in case["steps"].as_array().into_iter().flatten().enumerate() {
        let mut request = step.clone();
        if step["op"] == "update" {
            request["body"] = changed(&client, step).await;
        }
        let answer = client.ask(ask(&request)).await;
        let agrees = step["status"] == answer.status;
        // Kubernetes names several managers that are in conflict in no fixed order.
        let unordered = !case["unordered"].is_null() || step["status"] == 409;
        let check = match step.get("response") {
            Some(response) => Check::answer(&step["status"], response, &answer),
            None if agrees => object(step, &answer),
            None => Check::answer(&step["status"], &Value::Null, &answer),
        };
        checks.push(check.unordered(unordered).at(format!("step {number}: ")));
        if !agrees {
            break;
        }
    }
    Ok(checks)
}

/// A recorded step keeps the object, its metadata and its owners apart.
fn object(step: &Value, answer: &Answer) -> Check {
    let got = answer.json();
    let mut object = got.as_object().cloned().unwrap_or_default();
    for gone in ["apiVersion", "kind", "metadata"] {
        object.remove(gone);
    }
    let status = object.remove("status").unwrap_or_default();
    let metadata = got["metadata"].as_object();
    let kept = ["labels", "annotations", "finalizers", "ownerReferences", "generation"];
    let kept: Map<String, Value> =
        kept.iter().filter_map(|name| Some(((*name).to_owned(), metadata?.get(*name)?.clone()))).collect();
    let part = |name: &str| step[name].clone();
    let mut check = Check::new(
        json!({"object": part("object"), "metadata": part("metadata"), "managedFields": part("managedFields")}),
        json!({"object": object, "metadata": kept, "managedFields": got["metadata"]["managedFields"]}),
    );
    if let Some(wanted) = step.get("statusObject") {
        check.want["statusObject"] = wanted.clone();
        check.got["statusObject"] = status;
    }
    check
}

/// The current object with the step's change merged in, as a client that reads, edits and writes back sends it.
async fn changed(client: &Client, step: &Value) -> Value {
    let path = step["path"].as_str().unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default().trim_end_matches("/status");
    let mut body = client.get(path).await.json();
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
