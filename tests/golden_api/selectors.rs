//! `selectors.json`: which objects label and field selectors choose.

use serde_json::{Value, json};

use crate::check::Check;
use crate::client::Client;
use crate::tally::{cases, replay_all};

const FLOOR: usize = 115;

#[tokio::test(start_paused = true)]
async fn lists_select_as_recorded() {
    let objects = cases("selectors.json").into_iter().find(|case| case["name"] == "selectors/objects");
    let objects = objects.expect("the file tells what there is to select from");
    let client = populated(&objects).await;
    replay_all("selectors.json", FLOOR, |case| replay(&client, case)).await;
}

async fn populated(objects: &Value) -> Client {
    let client = Client::new().await;
    for (list, plural) in [("configMaps", "configmaps"), ("pods", "pods")] {
        for object in objects[list].as_array().into_iter().flatten() {
            client.create(&format!("/api/v1/namespaces/gsel/{plural}"), object).await;
        }
    }
    for (name, status) in objects["podStatus"].as_object().into_iter().flatten() {
        let path = format!("/api/v1/namespaces/gsel/pods/{name}/status");
        assert_eq!(client.write("PATCH", &path, &json!({"status": status})).await.status, 200, "{name}");
    }
    client
}

async fn replay(client: &Client, case: Value) -> Result<Vec<Check>, String> {
    let Some(path) = case["path"].as_str() else {
        // The case that is the objects themselves: that they are there.
        let wanted = ["configMaps", "pods"].map(|list| case[list].as_array().map_or(0, Vec::len));
        let mut found = [0; 2];
        for (n, plural) in ["configmaps", "pods"].into_iter().enumerate() {
            let list = client.get(&format!("/api/v1/namespaces/gsel/{plural}")).await.json();
            found[n] = list["items"].as_array().map_or(0, Vec::len);
        }
        return Ok(vec![Check::new(json!(wanted), json!(found))]);
    };
    let answer = client.get(path).await;
    if case["body"].is_object() || case["status"] != answer.status {
        return Ok(vec![Check::answer(&case["status"], &case["body"], &answer)]);
    }
    let list = answer.json();
    let names: Vec<&Value> = list["items"].as_array().into_iter().flatten().map(|o| &o["metadata"]["name"]).collect();
    Ok(vec![Check::new(case["names"].clone(), json!(names))])
}
