//! Rows of Services.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{NONE, joined, labels, list, text, text_or_none};

pub fn row(service: &Value, age: Value) -> Vec<Value> {
    let spec = &service["spec"];
    let cluster_ip = if spec["clusterIPs"][0].is_string() { &spec["clusterIPs"][0] } else { &spec["clusterIP"] };
    vec![
        service["metadata"]["name"].clone(),
        text(&spec["type"]),
        text_or_none(cluster_ip),
        json!(external(service)),
        json!(joined(list(&spec["ports"]).iter().map(port))),
        age,
        json!(labels(&spec["selector"])),
    ]
}

fn external(service: &Value) -> String {
    let spec = &service["spec"];
    let given = list(&spec["externalIPs"]).iter().filter_map(Value::as_str);
    match spec["type"].as_str() {
        Some("ExternalName") => spec["externalName"].as_str().unwrap_or(NONE).to_owned(),
        Some("LoadBalancer") => {
            let address = |ingress: &'_ Value| {
                let named = [&ingress["ip"], &ingress["hostname"]].map(|a| a.as_str().unwrap_or_default().to_owned());
                named.into_iter().find(|address| !address.is_empty())
            };
            let balanced: BTreeSet<String> =
                list(&service["status"]["loadBalancer"]["ingress"]).iter().filter_map(address).collect();
            let all: Vec<String> = balanced.into_iter().chain(given.map(str::to_owned)).collect();
            if all.is_empty() { "<pending>".to_owned() } else { joined(all) }
        }
        _ => joined(given),
    }
}

/// `80/TCP`, or `80:30080/TCP` with the port that is open on every node.
fn port(port: &Value) -> String {
    let number = port["port"].as_i64().unwrap_or(0);
    let protocol = port["protocol"].as_str().unwrap_or_default();
    match port["nodePort"].as_i64() {
        Some(node) if node > 0 => format!("{number}:{node}/{protocol}"),
        _ => format!("{number}/{protocol}"),
    }
}
