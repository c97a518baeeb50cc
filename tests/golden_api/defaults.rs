//! `defaults.json`: what is stored of an object that is created, or why it is refused.

use serde_json::Value;

use crate::check::Check;
use crate::client::{Ask, Client};
use crate::tally::replay_all;

const FLOOR: usize = 174;

#[tokio::test(start_paused = true)]
async fn objects_are_stored_with_the_recorded_defaults() {
    replay_all("defaults.json", FLOOR, replay).await;
}

async fn replay(case: Value) -> Result<Vec<Check>, String> {
    let client = Client::new().await;
    let path = case["path"].as_str().unwrap_or_default();
    let ask = Ask {
        method: case["method"].as_str().unwrap_or_default(),
        path,
        content_type: "application/json",
        body: case["input"].to_string().into(),
        ..Ask::default()
    };
    let created = client.ask(ask).await;
    let warned = case.get("warnings");
    if created.status >= 300 || case["createStatus"] != created.status {
        return Ok(vec![Check::answer(&case["createStatus"], &case["body"], &created).warnings(warned, &created)]);
    }
    let name = created.json()["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let stored = client.get(&format!("{path}/{name}")).await;
    Ok(vec![Check::object(&200.into(), &case["stored"], &stored).warnings(warned, &created)])
}
