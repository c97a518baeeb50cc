//! Forms of lists: Table, metadata only, limits, and what is not acceptable.

use serde_json::{Value, json};

use super::client::{Ask, Client};
use super::compare::difference;
use super::tally::{Outcome, Tally, cases};

#[tokio::test]
async fn lists_take_the_form_that_was_recorded() {
    let client = Client::new().await;
    for name in ["l1", "l2"] {
        let object = json!({"metadata": {"name": name}, "data": {"a": "b"}});
        client.create("/api/v1/namespaces/gtab/configmaps", &object).await;
    }
    let mut tally = Tally::new("tables.json, forms");
    for case in cases("tables.json").iter().filter(|c| c["name"].as_str().is_some_and(|n| n.contains("/form-"))) {
        tally.add(case, Outcome::of(replay(&client, case).await));
    }
    tally.finish(9);
}

async fn replay(client: &Client, case: &Value) -> Option<String> {
    let (path, accept) = (case["path"].as_str()?, case["accept"].as_str()?);
    let answer = client.ask(Ask { method: "GET", path, accept, ..Ask::default() }).await;
    if case["httpStatus"] != json!(answer.status) {
        return Some(format!("want status {}, got {}", case["httpStatus"], answer.status));
    }
    difference(&plain(case["body"].clone()), &plain(answer.json()))
}

/// Descriptions of columns are in our own words.
fn plain(mut table: Value) -> Value {
    for column in table["columnDefinitions"].as_array_mut().into_iter().flatten() {
        column["description"] = json!("");
    }
    table
}
