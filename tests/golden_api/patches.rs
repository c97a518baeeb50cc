//! `patches.json`: what a JSON, merge or strategic merge patch makes of an object.

use serde_json::Value;

use crate::check::Check;
use crate::client::{Ask, Client};
use crate::cluster::create;
use crate::tally::replay_all;

const FLOOR: usize = 127;

#[tokio::test(start_paused = true)]
async fn patches_give_the_recorded_objects() {
    replay_all("patches.json", FLOOR, replay).await;
}

async fn replay(case: Value) -> Result<Vec<Check>, String> {
    let client = Client::new().await;
    let path = case["path"].as_str().unwrap_or_default();
    let name = case["initial"]["metadata"]["name"].as_str().unwrap_or_default();
    let collection = path.split(&format!("/{name}")).next().unwrap_or_default();
    create(&client, collection, &case["initial"]).await?;
    let ask = Ask {
        method: "PATCH",
        path,
        content_type: case["contentType"].as_str().unwrap_or_default(),
        body: case["patch"].to_string().into(),
        ..Ask::default()
    };
    let patched = client.ask(ask).await;
    Ok(vec![Check::object(&case["status"], &case["result"], &patched).warnings(case.get("warnings"), &patched)])
}
