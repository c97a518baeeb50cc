//! `discovery.json`: which groups, kinds and verbs there are, in each form that clients ask for.

use serde_json::Value;

use crate::check::Check;
use crate::client::Client;
use crate::cluster::ask;
use crate::tally::replay_all;

const FLOOR: usize = 47;

#[tokio::test(start_paused = true)]
async fn discovery_shows_what_was_recorded() {
    replay_all("discovery.json", FLOOR, replay).await;
}

async fn replay(case: Value) -> Result<Vec<Check>, String> {
    let client = Client::new().await;
    let answer = client.ask(ask(&case["request"])).await;
    let mut check = Check::answer(&case["status"], &case["body"], &answer);
    check.want["contentType"] = case["contentType"].clone();
    check.got["contentType"] = answer.header("content-type").into();
    Ok(vec![check])
}
