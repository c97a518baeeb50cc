//! Watches that are cut off and come back, and kinds that are served in two group-versions.

use serde_json::{Value, json};

use super::client::{Answer, Ask, Client};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn lines(answer: &Answer) -> Vec<Value> {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

async fn watched(client: &Client, from: &str, more: &str) -> Vec<Value> {
    let path = format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion={from}{more}");
    lines(&client.get(&path).await)
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_was_cut_off_within_a_batch_hears_all_of_it_when_it_comes_back() {
    let client = Client::new().await;
    for name in ["a", "b", "c"] {
        client.create(CONFIG_MAPS, &json!({"metadata": {"name": name}})).await;
    }
    let before = version(&client.get(CONFIG_MAPS).await.json());
    // One batch: its three events have one revision.
    let gone = client.write("DELETE", &format!("{CONFIG_MAPS}?labelSelector=!keep"), &Value::Null).await;
    assert_eq!(gone.status, 200);
    let after = version(&client.get(CONFIG_MAPS).await.json());
    let whole = watched(&client, &before, "").await;
    let revisions: Vec<String> = whole.iter().map(|event| version(&event["object"])).collect();
    assert_eq!(whole.len(), 3);
    assert!(revisions.iter().all(|revision| *revision == revisions[0]));
    // Whoever has heard the first may lack the others; whoever has listed since lacks nothing.
    assert_eq!(watched(&client, &revisions[0], "").await, whole);
    assert_eq!(watched(&client, &after, "").await, Vec::<Value>::new());
    // A watch of one object has heard all that it can hear of the batch.
    assert_eq!(watched(&client, &revisions[0], "&fieldSelector=metadata.name%3Da").await, Vec::<Value>::new());
    // A single write is never heard twice.
    let single = client.create(CONFIG_MAPS, &json!({"metadata": {"name": "d"}})).await.json();
    assert_eq!(watched(&client, &version(&single), "").await, Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_is_one_object_in_two_versions() {
    let client = Client::new().await;
    let [old, new] = ["v1", "v2"].map(|v| format!("/apis/autoscaling/{v}/namespaces/default/horizontalpodautoscalers"));
    let spec = json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 70,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}});
    let made = client.create(&old, &json!({"metadata": {"name": "w"}, "spec": spec})).await.json();
    assert_eq!((&made["apiVersion"], &made["spec"]["minReplicas"]), (&json!("autoscaling/v1"), &json!(1)));
    let stored = client.get(&format!("{new}/w")).await.json();
    assert_eq!(stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 70);
    let patch = json!({"spec": {"targetCPUUtilizationPercentage": 50}});
    let patched = client.write("PATCH", &format!("{old}/w"), &patch).await.json();
    assert_eq!(patched["spec"]["targetCPUUtilizationPercentage"], 50);
    let list = client.get(&old).await.json();
    assert_eq!((&list["apiVersion"], list["items"].as_array().unwrap().len()), (&json!("autoscaling/v1"), 1));
    assert_eq!(list["items"][0]["spec"]["targetCPUUtilizationPercentage"], 50);
    let path = format!("{old}?watch=1&timeoutSeconds=1");
    let shown = lines(&client.ask(Ask { method: "GET", path: &path, ..Ask::default() }).await);
    assert_eq!(shown[0]["object"]["apiVersion"], "autoscaling/v1");
    let unknown = json!({"metadata": {"name": "x"}, "spec": {"metrics": [], "maxReplicas": 1}});
    let refused = client.write("POST", &format!("{old}?fieldValidation=Strict"), &unknown).await.json();
    assert!(refused["message"].as_str().unwrap().contains("unknown field \"spec.metrics\""), "{refused}");
    assert_eq!(client.write("DELETE", &format!("{old}/w"), &Value::Null).await.status, 200);
    assert_eq!(client.get(&format!("{new}/w")).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_one_object_in_two_groups() {
    let client = Client::new().await;
    let newer = "/apis/events.k8s.io/v1/namespaces/default/events";
    let event = json!({"metadata": {"name": "e"}, "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
        "note": "said", "reason": "R", "type": "Normal", "action": "a", "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.com/c", "reportingInstance": "c-1"});
    client.create(newer, &event).await;
    let core = client.get("/api/v1/namespaces/default/events/e").await.json();
    assert_eq!((&core["apiVersion"], &core["message"]), (&json!("v1"), &json!("said")));
    assert_eq!(core["involvedObject"]["name"], "p");
    for (selector, count) in [("regarding.name%3Dp", 1), ("regarding.name%3Dq", 0)] {
        let list = client.get(&format!("{newer}?fieldSelector={selector}")).await.json();
        assert_eq!(list["items"].as_array().unwrap().len(), count, "{selector}");
    }
    let table = client.ask(Ask {
        method: "GET",
        path: newer,
        accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
        ..Ask::default()
    });
    assert_eq!(table.await.json()["rows"][0]["cells"][2], "R");
}
