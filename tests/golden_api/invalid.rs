//! `invalid.json`: the words of refusals, and some requests that one might expect to be refused and are not.

use serde_json::Value;

use crate::check::Check;
use crate::cluster::{ask, prepared};
use crate::tally::replay_all;

const FLOOR: usize = 497;

#[tokio::test(start_paused = true)]
async fn refusals_read_as_recorded() {
    replay_all("invalid.json", FLOOR, replay).await;
}

async fn replay(case: Value) -> Result<Vec<Check>, String> {
    let client = prepared(&case).await?;
    let answer = client.ask(ask(&case["request"])).await;
    let check = Check::object(&case["status"], &case["body"], &answer).warnings(case.get("warnings"), &answer);
    Ok(vec![check.unordered(!case["unordered"].is_null())])
}
