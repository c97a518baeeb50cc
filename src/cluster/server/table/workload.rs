//! Rows of Deployments and ReplicaSets.

use serde_json::{Value, json};

use super::{NONE, joined, list};

pub fn deployment(deployment: &Value, age: Value) -> Vec<Value> {
    let status = |field: &str| deployment["status"][field].as_i64().unwrap_or(0);
    let desired = deployment["spec"]["replicas"].as_i64().unwrap_or(0);
    let mut cells = vec![
        deployment["metadata"]["name"].clone(),
        json!(format!("{}/{desired}", status("readyReplicas"))),
        json!(status("updatedReplicas")),
        json!(status("availableReplicas")),
        age,
    ];
    cells.extend(template(&deployment["spec"]));
    cells
}

pub fn replica_set(set: &Value, age: Value) -> Vec<Value> {
    let number = |value: &Value| json!(value.as_i64().unwrap_or(0));
    let mut cells = vec![
        set["metadata"]["name"].clone(),
        number(&set["spec"]["replicas"]),
        number(&set["status"]["replicas"]),
        number(&set["status"]["readyReplicas"]),
        age,
    ];
    cells.extend(template(&set["spec"]));
    cells
}

/// Containers, images and selector.
fn template(spec: &Value) -> [Value; 3] {
    let containers = list(&spec["template"]["spec"]["containers"]);
    let each = |field: &str| {
        let texts: Vec<&str> = containers.iter().map(|c| c[field].as_str().unwrap_or_default()).collect();
        json!(texts.join(","))
    };
    [each("name"), each("image"), json!(selector(&spec["selector"]))]
}

/// A label selector as text: `app=web,tier in (a,b),!old`.
fn selector(selector: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut terms: Vec<String> = equal.map(|(key, value)| format!("{key}={}", text(value))).collect();
    for expression in list(&selector["matchExpressions"]) {
        let key = text(&expression["key"]);
        let mut values: Vec<String> = list(&expression["values"]).iter().map(text).collect();
        values.sort();
        let values = values.join(",");
        terms.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("Exists") => key,
            Some("DoesNotExist") => format!("!{key}"),
            _ => "<error>".to_owned(),
        });
    }
    terms.sort();
    if terms.is_empty() { NONE.to_owned() } else { joined(terms) }
}
