//! Rows of Events.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{age, text};

pub fn row(event: &Value, now: Timestamp) -> Vec<Value> {
    let known = |field: &str| Some(&event[field]).filter(|time| !time.is_null());
    let first = known("firstTimestamp").unwrap_or(&event["eventTime"]);
    let series = &event["series"];
    let (last, count) = if series.is_object() {
        (&series["lastObservedTime"], series["count"].as_i64().unwrap_or(0))
    } else {
        (known("lastTimestamp").unwrap_or(first), event["count"].as_i64().filter(|count| *count != 0).unwrap_or(1))
    };
    vec![
        json!(age::since(last, now)),
        text(&event["type"]),
        text(&event["reason"]),
        json!(target(&event["involvedObject"])),
        text(&event["involvedObject"]["fieldPath"]),
        json!(source(event)),
        json!(event["message"].as_str().unwrap_or_default().trim()),
        json!(age::since(first, now)),
        json!(count),
        event["metadata"]["name"].clone(),
    ]
}

/// `pod/web-0`.
fn target(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
    match object["name"].as_str() {
        None | Some("") => kind,
        Some(name) => format!("{kind}/{name}"),
    }
}

/// `kubelet, n1`: the component and where it runs, from the old fields or from the new ones.
fn source(event: &Value) -> String {
    let nonempty = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    let component = nonempty(&event["source"]["component"]).or_else(|| nonempty(&event["reportingComponent"]));
    let place = nonempty(&event["source"]["host"]).or_else(|| nonempty(&event["reportingInstance"]));
    [component, place].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
