//! Label and field selectors of lists.

use serde_json::{Value, json};

use super::client::{Client, is_served};
use super::compare::difference;
use super::tally::{Outcome, Tally, cases};

#[tokio::test]
async fn lists_select_as_recorded() {
    let (client, cases) = (Client::new().await, cases("selectors.json"));
    let objects = cases.iter().find(|c| c["name"] == "selectors/objects").unwrap();
    for object in objects["configMaps"].as_array().unwrap() {
        client.create("/api/v1/namespaces/gsel/configmaps", object).await;
    }
    for pod in objects["pods"].as_array().unwrap() {
        client.create("/api/v1/namespaces/gsel/pods", pod).await;
    }
    for (name, status) in objects["podStatus"].as_object().unwrap() {
        let path = format!("/api/v1/namespaces/gsel/pods/{name}/status");
        assert_eq!(client.write("PATCH", &path, &json!({"status": status})).await.status, 200);
    }
    let mut tally = Tally::new("selectors.json");
    for case in cases.iter().filter(|c| c["path"].is_string()) {
        let path = case["path"].as_str().unwrap();
        let outcome =
            if is_served(path) { Outcome::of(replay(&client, case, path).await) } else { Outcome::AbsentKind };
        tally.add(case, outcome);
    }
    tally.finish(110);
}

async fn replay(client: &Client, case: &Value, path: &str) -> Option<String> {
    let answer = client.get(path).await;
    if case["status"] != json!(answer.status) {
        return Some(format!("want status {}, got {} {}", case["status"], answer.status, answer.json()));
    }
    if case["body"].is_object() {
        return difference(&case["body"], &answer.json());
    }
    let list = answer.json();
    let wanted: Vec<Value> = case["names"].as_array().cloned().unwrap_or_default();
    let names: Vec<Value> =
        list["items"].as_array().into_iter().flatten().map(|o| o["metadata"]["name"].clone()).collect();
    // The recording's cluster had a namespace of its own for each group of cases, as this one has.
    difference(&json!(wanted), &json!(names))
}
