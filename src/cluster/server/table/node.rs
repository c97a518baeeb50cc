//! Rows of Nodes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{NONE, joined, list, text};

const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
const ROLE: &str = "kubernetes.io/role";

pub fn row(node: &Value, age: Value) -> Vec<Value> {
    let status = &node["status"];
    let info = &status["nodeInfo"];
    let known = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    let or_unknown = |value: Option<String>| json!(value.unwrap_or_else(|| "<unknown>".to_owned()));
    let kernel = known(&info["kernelVersion"]).map(|version| match known(&info["architecture"]) {
        Some(architecture) => format!("{version} ({architecture})"),
        None => version,
    });
    vec![
        node["metadata"]["name"].clone(),
        json!(readiness(node)),
        json!(roles(&node["metadata"]["labels"])),
        age,
        text(&info["kubeletVersion"]),
        address(status, "InternalIP"),
        address(status, "ExternalIP"),
        or_unknown(known(&info["osImage"])),
        or_unknown(kernel),
        or_unknown(known(&info["containerRuntimeVersion"])),
    ]
}

fn readiness(node: &Value) -> String {
    let ready = list(&node["status"]["conditions"]).iter().find(|condition| condition["type"] == "Ready");
    let word = match ready.map(|condition| condition["status"] == "True") {
        Some(true) => "Ready",
        Some(false) => "NotReady",
        None => "Unknown",
    };
    if node["spec"]["unschedulable"] == true { format!("{word},SchedulingDisabled") } else { word.to_owned() }
}

fn roles(labels: &Value) -> String {
    let role = |(key, value): (&String, &Value)| match key.strip_prefix(ROLE_PREFIX) {
        Some(role) => Some(role.to_owned()),
        None if key == ROLE => value.as_str().map(str::to_owned),
        None => None,
    };
    let roles: BTreeSet<String> = labels.as_object().into_iter().flatten().filter_map(role).collect();
    joined(roles.into_iter().filter(|role| !role.is_empty()))
}

fn address(status: &Value, of_type: &str) -> Value {
    let found = list(&status["addresses"]).iter().find(|address| address["type"] == of_type);
    json!(found.and_then(|address| address["address"].as_str()).unwrap_or(NONE))
}
