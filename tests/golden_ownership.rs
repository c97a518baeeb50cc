//! Replays the recorded steps of `apply.json` against server-side apply and field ownership alone, without a
//! registry: each step starts from the state that Kubernetes recorded before it, so no defaulting is needed and
//! kinds that windlass does not serve yet count too.

use serde_json::{Map, Value, json};
use windlass::diff::apply::{Applier, apply};
use windlass::diff::{jsonpatch, managed, strategic};
use windlass::object::kinds::{self, Durability, Kind, Shape, Subresource};
use windlass::object::{ApiError, Reason};

const FLOOR: usize = 106;

#[test]
fn managers_own_what_kubernetes_says_they_own() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden-api/apply.json");
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    // Custom kinds have schemas of their own, which no kind of the table has.
    let cases = cases.iter().filter(|case| case.get("crd").is_none());
    let outcomes: Vec<Result<(), String>> = cases.map(replay).collect();
    let (total, agree) = (outcomes.len(), outcomes.iter().filter(|o| o.is_ok()).count());
    println!("apply.json ownership agree {agree} of {total}");
    outcomes.iter().filter_map(|o| o.as_ref().err()).for_each(|how| println!("    {how}"));
    assert!(agree >= FLOOR, "{agree} cases agree; {FLOOR} did before");
}

fn replay(case: &Value) -> Result<(), String> {
    let mut live: Option<Value> = None;
    for (number, step) in case["steps"].as_array().into_iter().flatten().enumerate() {
        replay_step(step, live.as_ref()).map_err(|how| format!("{} step {number}: {how}", case["name"]))?;
        if step["path"].as_str().is_some_and(|path| path.contains("/scale")) {
            // A Scale comes back from its subresource, which does not say who owns what in the object.
            return Ok(());
        }
        if !step["path"].as_str().unwrap_or_default().contains("dryRun") && step.get("response").is_none() {
            live = Some(recorded(step, live.as_ref()));
        }
    }
    Ok(())
}

fn replay_step(step: &Value, live: Option<&Value>) -> Result<(), String> {
    let text = |name: &str| step[name].as_str().unwrap_or_default();
    let (path, query) = text("path").split_once('?').unwrap_or((text("path"), ""));
    let param = |name: &str| query.split('&').filter_map(|p| p.split_once('=')).find(|(k, _)| *k == name);
    let manager = param("fieldManager").map_or("golden", |(_, v)| v);
    let subresource = ["status", "scale"].into_iter().find(|s| path.ends_with(&format!("/{s}")));
    let body = match &step["body"] {
        Value::String(yaml) => serde_yaml::from_str(yaml).map_err(|e| e.to_string())?,
        body => body.clone(),
    };
    let kind = kind_of(live.unwrap_or(&body));
    let recorded = recorded(step, live);
    let got = match step["op"].as_str().unwrap_or_default() {
        "apply" if subresource != Some("scale") && manager.len() <= 128 => {
            let by = Applier { manager, force: query.contains("force=true"), subresource, now: "<time>" };
            match apply(kind, live, &body, &by).map_err(ApiError::from) {
                Ok(object) => object,
                // Refusals for what the object says are the registry's business.
                Err(error) if step["status"] == error.reason.code() => {
                    return same(&step["response"], &error.to_status());
                }
                Err(error) => return Err(format!("refused: {error}")),
            }
        }
        // What a plain write leaves is recorded; who owns it is in question.
        // (A Scale comes back from its subresource, without the owners of the object's fields.)
        "create" | "update" | "merge" | "json" | "smp"
            if step.get("response").is_none() && subresource != Some("scale") =>
        {
            let mut after = recorded.clone();
            after["metadata"]["managedFields"] = given_managed_fields(step, kind, live, &body);
            managed::record_update(kind, live, &mut after, manager, subresource, "<time>");
            after
        }
        _ => return Ok(()),
    };
    if step["status"].as_u64() >= Some(300) {
        let about_ownership = step["response"]["reason"] == "Conflict" && step["response"]["details"]["name"].is_null();
        return if about_ownership { Err(format!("not refused: {}", step["response"]["message"])) } else { Ok(()) };
    }
    same(&recorded["metadata"]["managedFields"], &got["metadata"]["managedFields"])
}

/// The managed fields that the request leaves in the object, before they are looked at.
fn given_managed_fields(step: &Value, kind: &'static Kind, live: Option<&Value>, body: &Value) -> Value {
    let Some(live) = live else { return Value::Null };
    let patched = match step["op"].as_str() {
        Some("merge") => jsonpatch::merge(live, body),
        Some("json") => jsonpatch::apply(live, body),
        Some("smp") => strategic::merge(kind, live, body),
        _ => Ok(live.clone()),
    };
    patched.map(|object| object["metadata"]["managedFields"].clone()).unwrap_or_default()
}

/// The state that a step left.
fn recorded(step: &Value, live: Option<&Value>) -> Value {
    let body = match &step["body"] {
        Value::String(yaml) => serde_yaml::from_str(yaml).unwrap_or_default(),
        body => body.clone(),
    };
    let named = live.unwrap_or(&body);
    let mut object = Map::new();
    object.insert("apiVersion".into(), named["apiVersion"].clone());
    object.insert("kind".into(), named["kind"].clone());
    object.extend(step["object"].as_object().cloned().unwrap_or_default());
    let mut metadata = step["metadata"].as_object().cloned().unwrap_or_default();
    metadata.insert("name".into(), named["metadata"]["name"].clone());
    if step["path"].as_str().is_some_and(|path| path.contains("/namespaces/golden/")) {
        metadata.insert("namespace".into(), json!("golden"));
    }
    metadata.insert("uid".into(), json!("u"));
    metadata.insert("managedFields".into(), step["managedFields"].clone());
    metadata.retain(|_, v| !v.is_null());
    object.insert("metadata".into(), Value::Object(metadata));
    let status = step.get("statusObject").or(live.and_then(|o| o.get("status")));
    if let Some(status) = status {
        object.insert("status".into(), status.clone());
    } else if kind_of(named).has(Subresource::Status) {
        object.insert("status".into(), json!({}));
    }
    Value::Object(object)
}

fn same(want: &Value, got: &Value) -> Result<(), String> {
    let sorted = |value: &Value| {
        let mut value = value.clone();
        if let Some(causes) = value.pointer_mut("/details/causes").and_then(Value::as_array_mut) {
            causes.sort_by_key(Value::to_string);
        }
        value
    };
    if sorted(want) == sorted(got) { Ok(()) } else { Err(format!("\n      want {want}\n      got  {got}")) }
}

fn kind_of(object: &Value) -> &'static Kind {
    let (api_version, name) = (object["apiVersion"].as_str().unwrap_or(""), object["kind"].as_str().unwrap_or(""));
    kinds::by_manifest(api_version, name).unwrap_or_else(|| {
        let (group, version) = kinds::split_api_version(api_version);
        let text = |text: &str| -> &'static str { String::from(text).leak() };
        Box::leak(Box::new(Kind {
            group: text(group),
            version: text(version),
            kind: text(name),
            plural: text(&name.to_lowercase()),
            singular: "",
            short_names: &[],
            categories: &[],
            namespaced: true,
            subresources: &[Subresource::Status],
            shape: Shape::Spec,
            durability: Durability::Durable,
        }))
    })
}

#[test]
fn an_unknown_reason_is_left_out() {
    assert!(ApiError::new(Reason::Unknown, "x").to_status().get("reason").is_none());
}
