//! `tables.json`: the columns and cells that kubectl prints, and the other forms of answers.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::check::Check;
use crate::client::{Ask, Client};
use crate::cluster::{create, prepared};
use crate::tally::replay_all;

const FLOOR: usize = 110;

#[tokio::test(start_paused = true)]
async fn tables_show_what_was_recorded() {
    replay_all("tables.json", FLOOR, replay).await;
}

async fn replay(mut case: Value) -> Result<Vec<Check>, String> {
    let client = prepared(&case).await?;
    for part in ["object", "status"] {
        date(&mut case[part], client.clock.now());
    }
    let (path, accept) = (case["path"].as_str().unwrap_or_default(), case["accept"].as_str().unwrap_or_default());
    match case["object"].is_object() {
        true => make(&client, &case, path).await?,
        false => two_config_maps(&client).await?,
    }
    let answer = client.ask(Ask { method: "GET", path, accept, ..Ask::default() }).await;
    let body = case.get("table").unwrap_or(&case["body"]);
    let mut check = Check::answer(&case["httpStatus"], body, &answer);
    if case["contentType"].is_string() {
        check.want["contentType"] = case["contentType"].clone();
        check.got["contentType"] = answer.header("content-type").into();
    }
    Ok(vec![check])
}

/// Creates the case's object, writes its status, and asks for its deletion.
async fn make(client: &Client, case: &Value, path: &str) -> Result<(), String> {
    let path = path.split('?').next().unwrap_or_default();
    let collection = path.rsplit_once('/').map_or(path, |(collection, _)| collection);
    create(client, collection, &case["object"]).await?;
    if case["status"].is_object() {
        let answer = client.write("PATCH", &format!("{path}/status"), &json!({"status": case["status"]})).await;
        if answer.status != 200 {
            return Err(format!("status refused with {}: {}", answer.status, answer.json()["message"]));
        }
    }
    if case["deleted"] == true {
        client.write("DELETE", path, &Value::Null).await;
    }
    Ok(())
}

/// What the cases of forms are asked about.
async fn two_config_maps(client: &Client) -> Result<(), String> {
    for name in ["l1", "l2"] {
        let object = json!({"metadata": {"name": name}, "data": {"a": "b"}});
        create(client, "/api/v1/namespaces/gtab/configmaps", &object).await?;
    }
    Ok(())
}

/// Puts times in place of `T-90m`, which means ninety minutes ago on the server's clock (which stands still).
fn date(value: &mut Value, now: Timestamp) {
    match value {
        Value::String(text) => {
            let Some((number, unit)) = text.strip_prefix("T-").and_then(|ago| ago.split_at_checked(ago.len() - 1))
            else {
                return;
            };
            let seconds = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                "d" => 86_400,
                _ => return,
            };
            let Ok(number) = number.parse::<i64>() else { return };
            let time = now - SignedDuration::from_secs(number * seconds);
            *text = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        }
        Value::Array(items) => items.iter_mut().for_each(|item| date(item, now)),
        Value::Object(members) => members.values_mut().for_each(|member| date(member, now)),
        _ => {}
    }
}
