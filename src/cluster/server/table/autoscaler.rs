//! Rows of HorizontalPodAutoscalers and PodDisruptionBudgets.

use serde_json::{Value, json};

use super::{NONE, list, text};

const UNKNOWN: &str = "<unknown>";
/// So many metrics are shown.
const SHOWN: usize = 2;

pub fn row(autoscaler: &Value, age: Value) -> Vec<Value> {
    let (spec, status) = (&autoscaler["spec"], &autoscaler["status"]);
    let target = &spec["scaleTargetRef"];
    let [kind, name] = ["kind", "name"].map(|field| target[field].as_str().unwrap_or_default());
    let min = spec["minReplicas"].as_i64().map_or_else(|| "<unset>".to_owned(), |min| min.to_string());
    vec![
        autoscaler["metadata"]["name"].clone(),
        json!(format!("{kind}/{name}")),
        json!(metrics(list(&spec["metrics"]), list(&status["currentMetrics"]))),
        json!(min),
        json!(spec["maxReplicas"].as_i64().unwrap_or(0)),
        json!(status["currentReplicas"].as_i64().unwrap_or(0)),
        age,
    ]
}

fn metrics(wanted: &[Value], current: &[Value]) -> String {
    let all: Vec<String> = wanted.iter().enumerate().map(|(i, metric)| one(metric, current.get(i))).collect();
    match all.len().checked_sub(SHOWN) {
        _ if all.is_empty() => NONE.to_owned(),
        None | Some(0) => all.join(", "),
        Some(more) => format!("{} + {more} more...", all[..SHOWN].join(", ")),
    }
}

/// `cpu: 33%/50%`: what there is of what is wanted.
fn one(metric: &Value, current: Option<&Value>) -> String {
    let source = match metric["type"].as_str().unwrap_or_default() {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let wanted = &metric[source];
    let target = &wanted["target"];
    let now = |field: &str| current.map_or(&Value::Null, |current| &current[source]["current"][field]);
    let amount = |value: &Value| value.as_str().unwrap_or(UNKNOWN).to_owned();
    let percent =
        |value: &Value, absent: &str| value.as_i64().map_or_else(|| absent.to_owned(), |percent| format!("{percent}%"));
    let average = !target["averageValue"].is_null();
    match source {
        "resource" | "containerResource" => {
            let name = wanted["name"].as_str().unwrap_or_default();
            let (is, want) = match average {
                true => (amount(now("averageValue")), amount(&target["averageValue"])),
                false => {
                    (percent(now("averageUtilization"), UNKNOWN), percent(&target["averageUtilization"], "<auto>"))
                }
            };
            format!("{name}: {is}/{want}")
        }
        "pods" => format!("{}/{}", amount(now("averageValue")), amount(&target["averageValue"])),
        _ if average => format!("{}/{} (avg)", amount(now("averageValue")), amount(&target["averageValue"])),
        _ => format!("{}/{}", amount(now("value")), amount(&target["value"])),
    }
}

pub fn budget(budget: &Value, age: Value) -> Vec<Value> {
    let bound = |field: &str| match &budget["spec"][field] {
        Value::Null => "N/A".to_owned(),
        Value::String(text) => text.clone(),
        number => number.to_string(),
    };
    vec![
        text(&budget["metadata"]["name"]),
        json!(bound("minAvailable")),
        json!(bound("maxUnavailable")),
        json!(budget["status"]["disruptionsAllowed"].as_i64().unwrap_or(0)),
        age,
    ]
}
