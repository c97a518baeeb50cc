//! Refusals, over HTTP: also those that are about the bytes of a request and never reach the registry.

use serde_json::{Value, json};

use super::client::{Ask, Client, is_served};
use super::compare::{difference, difference_unordered};
use super::tally::{Outcome, Tally, cases};

#[tokio::test]
async fn refusals_over_http_read_as_recorded() {
    let mut tally = Tally::new("invalid.json over HTTP");
    for case in cases("invalid.json") {
        tally.add(&case, replay(&case).await);
    }
    tally.finish(321);
}

async fn replay(case: &Value) -> Outcome {
    let request = &case["request"];
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let name = case["name"].as_str().unwrap_or_default();
    let about_kinds = |path: &str| is_served(path) && !name.starts_with("invalid/cr/") && case.get("crd").is_none();
    let steps = || case["setup"].as_array().into_iter().flatten();
    if !about_kinds(text("path")) || !steps().all(|s| is_served(s["path"].as_str().unwrap_or_default())) {
        return Outcome::AbsentKind;
    }
    let client = Client::new().await;
    for step in steps() {
        let answer = client.write("POST", step["path"].as_str().unwrap_or_default(), &step["body"]).await;
        if answer.status >= 300 {
            return Outcome::Differ(format!("setup refused with {}: {}", answer.status, answer.json()["message"]));
        }
    }
    let body = match (&request["body"], request["bodyText"].as_str()) {
        (Value::Null, text) => text.unwrap_or_default().to_owned(),
        (Value::String(text), _) => text.clone(),
        (body, _) => body.to_string(),
    };
    let ask = Ask {
        method: text("method"),
        path: text("path"),
        content_type: text("contentType"),
        accept: text("accept"),
        body: body.into_bytes(),
    };
    let answer = client.ask(ask).await;
    let mut got = answer.json();
    if case["status"] != json!(answer.status) {
        let want = (&case["status"], &case["body"]["message"]);
        return Outcome::Differ(format!("status: want {want:?}\n      got {} {}", answer.status, got["message"]));
    }
    if answer.status < 300
        && let Some(metadata) = got.pointer_mut("/metadata").and_then(Value::as_object_mut)
    {
        metadata.remove("managedFields");
    }
    Outcome::of(match case["unordered"].as_bool() {
        Some(true) => difference_unordered(&case["body"], &got),
        _ => difference(&case["body"], &got),
    })
}
