//! Rows of the kinds that make pods out of a template and keep them.

use serde_json::{Value, json};

use super::{NONE, joined, labels, list};

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

/// A ReplicationController selects by a plain map of labels.
pub fn replication_controller(controller: &Value, age: Value) -> Vec<Value> {
    let mut cells = replica_set(controller, age);
    cells.pop();
    cells.push(json!(labels(&controller["spec"]["selector"])));
    cells
}

pub fn stateful_set(set: &Value, age: Value) -> Vec<Value> {
    let ready = set["status"]["readyReplicas"].as_i64().unwrap_or(0);
    let desired = set["spec"]["replicas"].as_i64().unwrap_or(0);
    let [names, images] = containers(&set["spec"]["template"]);
    vec![set["metadata"]["name"].clone(), json!(format!("{ready}/{desired}")), age, names, images]
}

pub fn daemon_set(set: &Value, age: Value) -> Vec<Value> {
    let counts = [
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    ];
    let mut cells = vec![set["metadata"]["name"].clone()];
    cells.extend(counts.map(|field| json!(set["status"][field].as_i64().unwrap_or(0))));
    cells.push(json!(labels(&set["spec"]["template"]["spec"]["nodeSelector"])));
    cells.push(age);
    cells.extend(template(&set["spec"]));
    cells
}

pub fn pod_template(object: &Value) -> Vec<Value> {
    let [names, images] = containers(&object["template"]);
    let labels = labels(&object["template"]["metadata"]["labels"]);
    vec![object["metadata"]["name"].clone(), names, images, json!(labels)]
}

pub fn controller_revision(revision: &Value, age: Value) -> Vec<Value> {
    let owners = list(&revision["metadata"]["ownerReferences"]);
    let controller = owners.iter().find(|owner| owner["controller"] == true).map_or(NONE.to_owned(), |owner| {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        let group = text("apiVersion").split_once('/').map(|(group, _)| format!(".{group}")).unwrap_or_default();
        format!("{}{group}/{}", text("kind").to_lowercase(), text("name"))
    });
    let number = json!(revision["revision"].as_i64().unwrap_or(0));
    vec![revision["metadata"]["name"].clone(), json!(controller), number, age]
}

/// Containers, images and selector.
fn template(spec: &Value) -> [Value; 3] {
    let [names, images] = containers(&spec["template"]);
    [names, images, json!(selector(&spec["selector"]))]
}

/// The names and the images of a template's containers.
pub fn containers(template: &Value) -> [Value; 2] {
    let containers = list(&template["spec"]["containers"]);
    ["name", "image"].map(|field| {
        let texts: Vec<&str> = containers.iter().map(|c| c[field].as_str().unwrap_or_default()).collect();
        json!(texts.join(","))
    })
}

/// A label selector as text: `app=web,tier in (a,b),!old`.
pub fn selector(selector: &Value) -> String {
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
