//! `watch.json`: which events come, in which form, how they end, and what old revisions still give.

use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::check::Check;
use crate::client::{Answer, Ask, Client};
use crate::tally::replay_all;

const FLOOR: usize = 32;

#[tokio::test(start_paused = true)]
async fn watches_tell_what_was_recorded() {
    let aged = OnceCell::new();
    replay_all("watch.json", FLOOR, |case| replay(&aged, case)).await;
}

/// A cluster whose first revisions are forgotten, and a revision that is old but not that old.
type Aged = OnceCell<(Client, String)>;

async fn replay(aged: &Aged, case: Value) -> Result<Vec<Check>, String> {
    if case["writes"].is_array() {
        return watched_writes(&Client::new().await, &case).await;
    }
    let (client, old) = aged.get_or_init(forget_the_past).await;
    let request = if case["watch"].is_object() { &case["watch"] } else { &case["request"] };
    let path = request["path"].as_str().unwrap_or_default();
    // `{"v":"meta.k8s.io/v1","rv":5,"start":"a\u0000"}`, which is Kubernetes's own form of a token.
    let token = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NSwic3RhcnQiOiJhXHUwMDAwIn0";
    let path = path.replace("<old>", old).replace("<continue>", token);
    let answer = client.get(&path).await;
    if case["events"].is_array() {
        return Ok(vec![events(&case, &answer)]);
    }
    let mut check = Check::answer(&case["status"], &case["body"], &answer);
    let items = check.got.pointer_mut("/body/items").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten() {
        if let Some(metadata) = item["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
    }
    Ok(vec![check])
}

async fn watched_writes(client: &Client, case: &Value) -> Result<Vec<Check>, String> {
    let collection = case["watch"]["path"].as_str().unwrap_or_default();
    for write in case["before"].as_array().into_iter().flatten() {
        perform(client, write).await?;
    }
    let start = version_of(&client.get(collection).await.json());
    let mut first = None;
    for write in case["writes"].as_array().into_iter().flatten() {
        let written = perform(client, write).await?;
        first.get_or_insert(version_of(&written));
    }
    let far = start.parse::<u64>().unwrap_or_default() + 100_000;
    let query = case["watch"]["query"].as_str().unwrap_or_default();
    let query = query.replace("<start>", &start).replace("<future>", &far.to_string());
    let query = query.replace("<after1>", first.as_deref().unwrap_or_default());
    let path = format!("{collection}?{query}");
    let accept = case["watch"]["accept"].as_str().unwrap_or_default();
    let answer = client.ask(Ask { method: "GET", path: &path, accept, ..Ask::default() }).await;
    Ok(vec![events(case, &answer)])
}

fn events(case: &Value, answer: &Answer) -> Check {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let got = text.lines().map(|line| shortened(serde_json::from_str(line).unwrap_or_default())).collect::<Vec<_>>();
    let want = json!({"status": case["status"], "contentType": case["contentType"], "events": case["events"]});
    let content_type = answer.header("content-type");
    Check::new(want, json!({"status": answer.status, "contentType": content_type, "events": got}))
}

async fn perform(client: &Client, write: &Value) -> Result<Value, String> {
    let text = |name: &str| write[name].as_str().unwrap_or_default();
    let answer = client.write(text("method"), text("path"), &write["body"]).await;
    match write["status"] == answer.status {
        true => Ok(answer.json()),
        false => Err(format!("{} {}: {}", text("method"), text("path"), answer.json())),
    }
}

async fn forget_the_past() -> (Client, String) {
    let client = Client::new().await;
    let large = "x".repeat(1 << 19);
    let maps = "/api/v1/namespaces/default/configmaps";
    client.create(maps, &json!({"metadata": {"name": "large"}})).await;
    for n in 0..40 {
        let data = json!({"data": {"k": format!("{n}{large}")}});
        assert_eq!(client.write("PATCH", &format!("{maps}/large"), &data).await.status, 200);
    }
    client.create("/api/v1/namespaces/gwatch/configmaps", &json!({"metadata": {"name": "z"}})).await;
    let old = version_of(&client.get("/api/v1/namespaces/gwatch/configmaps").await.json());
    client.create("/api/v1/namespaces/gwatch/configmaps", &json!({"metadata": {"name": "later"}})).await;
    (client, old)
}

fn version_of(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()
}

/// The part of an event (rows of tables lose their managers only) that the recording keeps.
fn shortened(mut event: Value) -> Value {
    if event["object"]["kind"] != "Status" && event["kind"] != "Status" {
        event["object"] = shortened_object(&event["object"]);
    }
    event
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
