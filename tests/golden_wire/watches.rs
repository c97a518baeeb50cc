//! Watches: which events come, in which form, and how they end.

use serde_json::{Map, Value, json};

use super::client::{Ask, Client};
use super::compare::difference;
use super::tally::{Outcome, Tally, cases};

#[tokio::test(start_paused = true)]
async fn watches_tell_what_was_recorded() {
    let mut tally = Tally::new("watch.json");
    for case in cases("watch.json") {
        let outcome = if case["writes"].is_array() { Outcome::of(replay(&case).await) } else { Outcome::NotHere };
        tally.add(&case, outcome);
    }
    tally.finish(27);
}

async fn replay(case: &Value) -> Option<String> {
    let client = Client::new().await;
    let collection = case["watch"]["path"].as_str()?;
    for write in case["before"].as_array().into_iter().flatten() {
        perform(&client, write).await;
    }
    let start = version_of(&client.get(collection).await.json());
    let mut first = None;
    for write in case["writes"].as_array().into_iter().flatten() {
        let written = perform(&client, write).await;
        first.get_or_insert(version_of(&written));
    }
    let far = start.parse::<u64>().unwrap_or_default() + 100_000;
    let query = case["watch"]["query"].as_str()?;
    let query = query.replace("<start>", &start).replace("<future>", &far.to_string());
    let query = query.replace("<after1>", first.as_deref().unwrap_or_default());
    let path = format!("{collection}?{query}");
    let accept = case["watch"]["accept"].as_str()?;
    let answer = client.ask(Ask { method: "GET", path: &path, accept, ..Ask::default() }).await;
    if case["status"] != json!(answer.status) {
        return Some(format!("want status {}, got {} {}", case["status"], answer.status, answer.json()));
    }
    let text = String::from_utf8(answer.body).ok()?;
    let events: Vec<Value> = text.lines().map(|line| shortened(serde_json::from_str(line).unwrap())).collect();
    let wanted: Vec<Value> = case["events"].as_array()?.iter().cloned().map(without_descriptions).collect();
    difference(&json!(wanted), &json!(events))
}

async fn perform(client: &Client, write: &Value) -> Value {
    let (method, path) = (write["method"].as_str().unwrap(), write["path"].as_str().unwrap());
    let answer = client.write(method, path, &write["body"]).await;
    assert_eq!(json!(answer.status), write["status"], "{method} {path}: {}", answer.json());
    answer.json()
}

fn version_of(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()
}

/// The part of an event (rows of tables lose their managers only) that the recording keeps.
fn shortened(mut event: Value) -> Value {
    if event["object"]["kind"] != "Status" && event["kind"] != "Status" {
        event["object"] = shortened_object(&event["object"]);
    }
    without_descriptions(event)
}

const KEPT: [&str; 5] = ["name", "namespace", "labels", "annotations", "resourceVersion"];

fn shortened_object(object: &Value) -> Value {
    let pick = |from: &Value, fields: &[&str]| -> Value {
        fields.iter().filter_map(|f| Some(((*f).to_owned(), from.get(f)?.clone()))).collect::<Map<_, _>>().into()
    };
    let mut kept = pick(object, &["kind", "apiVersion", "data", "columnDefinitions"]);
    kept["metadata"] = pick(&object["metadata"], &KEPT);
    if let Some(rows) = object["rows"].as_array() {
        kept["rows"] = json!(rows);
        for row in kept["rows"].as_array_mut().into_iter().flatten() {
            if let Some(metadata) = row.pointer_mut("/object/metadata").and_then(Value::as_object_mut) {
                metadata.remove("managedFields");
            }
        }
    }
    kept
}

/// Descriptions of columns are in our own words.
fn without_descriptions(mut event: Value) -> Value {
    for column in event["object"]["columnDefinitions"].as_array_mut().into_iter().flatten() {
        column["description"] = json!("");
    }
    event
}
