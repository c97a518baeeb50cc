//! Discovery: of the kinds that windlass serves, the same entries as were recorded.

use serde_json::{Value, json};

use super::client::{Ask, Client, is_served};
use super::tally::{Outcome, Tally, cases};

#[tokio::test]
async fn discovery_shows_each_served_kind_as_recorded() {
    let client = Client::new().await;
    let mut tally = Tally::new("discovery.json");
    for case in cases("discovery.json") {
        tally.add(&case, replay(&client, &case).await);
    }
    tally.finish(11);
}

async fn replay(client: &Client, case: &Value) -> Outcome {
    let request = &case["request"];
    let (path, accept) = (request["path"].as_str().unwrap(), request["accept"].as_str().unwrap());
    let answer = client.ask(Ask { method: "GET", path, accept, ..Ask::default() }).await;
    let body = answer.json();
    match case["body"]["kind"].as_str() {
        Some("APIResourceList") => {
            let wanted: Vec<Value> = entries(&case["body"], path);
            if wanted.is_empty() {
                return Outcome::AbsentKind;
            }
            let got = body["resources"].as_array().cloned().unwrap_or_default();
            Outcome::of(missing(&wanted, &got))
        }
        Some("Status") => {
            Outcome::of((body != case["body"]).then(|| format!("want {}\n      got {body}", case["body"])))
        }
        None if case["body"].is_string() => {
            Outcome::of((body != case["body"]).then(|| format!("want {}, got {body}", case["body"])))
        }
        // The other documents list groups and versions of another server.
        _ => Outcome::NotHere,
    }
}

/// The recorded entries of kinds and subresources that windlass serves, without what is Kubernetes's own storage.
fn entries(list: &Value, path: &str) -> Vec<Value> {
    let all = list["resources"].as_array().into_iter().flatten();
    let served = all.filter(|r| {
        let (plural, sub) =
            r["name"].as_str().and_then(|n| n.split_once('/')).unwrap_or((r["name"].as_str().unwrap(), ""));
        is_served(&format!("{path}/{plural}")) && !matches!(sub, "proxy" | "ephemeralcontainers" | "resize" | "token")
    });
    served
        .cloned()
        .map(|mut entry| {
            entry.as_object_mut().unwrap().remove("storageVersionHash");
            entry
        })
        .collect()
}

fn missing(wanted: &[Value], got: &[Value]) -> Option<String> {
    let found = |w: &&Value| !got.contains(w);
    let first = wanted.iter().find(found)?;
    let same = got.iter().find(|g| g["name"] == first["name"]).cloned().unwrap_or(json!("nothing"));
    Some(format!("want {first}\n      got  {same}"))
}
