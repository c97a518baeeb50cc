//! Brings a fresh cluster into the state that a case begins with.

use serde_json::{Value, json};

use crate::client::{Ask, Client};

/// A client of an empty cluster, after `setup` of the case: its definition, its objects, and what its note tells.
pub async fn prepared(case: &Value) -> Result<Client, String> {
    let client = Client::new().await;
    if case["crd"].is_object() {
        client.define(&case["crd"]).await?;
    }
    for step in case["setup"].as_array().into_iter().flatten() {
        create(&client, step["path"].as_str().unwrap_or_default(), &step["body"]).await?;
    }
    note(&client, case).await?;
    Ok(client)
}

pub async fn create(client: &Client, path: &str, object: &Value) -> Result<Value, String> {
    let answer = client.write("POST", path, object).await;
    match answer.status {
        201 => Ok(answer.json()),
        status => Err(format!("{path} refused with {status}: {}", answer.json()["message"])),
    }
}

/// The body of a recorded request; text stands for itself.
pub fn body(request: &Value) -> Vec<u8> {
    match (&request["body"], request["bodyText"].as_str()) {
        (Value::Null, text) => text.unwrap_or_default().into(),
        (Value::String(text), _) => text.clone().into(),
        (body, _) => body.to_string().into(),
    }
}

/// A recorded request as the client asks it.
pub fn ask(request: &Value) -> Ask<'_> {
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    Ask {
        method: text("method"),
        path: text("path"),
        content_type: text("contentType"),
        accept: text("accept"),
        body: body(request),
    }
}

/// Preparation that the recordings tell in words.
async fn note(client: &Client, case: &Value) -> Result<(), String> {
    let (note, name) = (case["note"].as_str().unwrap_or_default(), case["name"].as_str().unwrap_or_default());
    if name.contains("/terminating/") {
        return terminate_a_namespace(client).await;
    }
    if let Some((_, text)) = note.split_once("spec.hard and status.hard = ") {
        let hard = text.rsplit_once(", status.used").map_or(text, |(hard, _)| hard);
        return limit_a_namespace(client, &serde_json::from_str(hard).map_err(|e| e.to_string())?).await;
    }
    if let Some((_, text)) = note.split_once("object ") {
        let (object, spec) = text.split_once(" exists: ").ok_or("an unknown note")?;
        let spec: Value = serde_yaml::from_str(spec.trim_end_matches(" in its spec")).map_err(|e| e.to_string())?;
        let definition = &case["crd"]["spec"];
        let (group, version) = (definition["group"].as_str(), definition["versions"][0]["name"].as_str());
        let api_version = format!("{}/{}", group.unwrap_or_default(), version.unwrap_or_default());
        let plural = definition["names"]["plural"].as_str().unwrap_or_default();
        let manifest = json!({"apiVersion": api_version, "kind": definition["names"]["kind"],
            "metadata": {"name": object}, "spec": spec});
        create(client, &format!("/apis/{api_version}/namespaces/golden/{plural}"), &manifest).await?;
    }
    Ok(())
}

/// A namespace that cannot go because something in it has a finalizer.
async fn terminate_a_namespace(client: &Client) -> Result<(), String> {
    create(client, "/api/v1/namespaces", &json!({"metadata": {"name": "gterm"}})).await?;
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/x"]}});
    create(client, "/api/v1/namespaces/gterm/configmaps", &held).await?;
    client.write("DELETE", "/api/v1/namespaces/gterm", &Value::Null).await;
    Ok(())
}

/// A namespace with a quota that its controller has counted.
async fn limit_a_namespace(client: &Client, hard: &Value) -> Result<(), String> {
    create(client, "/api/v1/namespaces", &json!({"metadata": {"name": "gquota"}})).await?;
    let quotas = "/api/v1/namespaces/gquota/resourcequotas";
    create(client, quotas, &json!({"metadata": {"name": "q"}, "spec": {"hard": hard}})).await?;
    let used: Value = hard.as_object().into_iter().flatten().map(|(name, _)| (name.clone(), json!("0"))).collect();
    let status = json!({"status": {"hard": hard, "used": used}});
    let answer = client.write("PATCH", &format!("{quotas}/q/status"), &status).await;
    if answer.status == 200 { Ok(()) } else { Err(format!("quota's status refused: {}", answer.json()["message"])) }
}
