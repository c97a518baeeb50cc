//! Rows of Pods.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{NONE, age, list, pod_status, text_or_none};

pub fn row(pod: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let summary = pod_status::summary(pod);
    let restarts = match summary.last_restart {
        Some(last) if summary.restarts > 0 => {
            format!("{} ({} ago)", summary.restarts, age::short(now.as_second() - last.as_second()))
        }
        _ => summary.restarts.to_string(),
    };
    let ip = if status["podIPs"][0]["ip"].is_string() { &status["podIPs"][0]["ip"] } else { &status["podIP"] };
    vec![
        pod["metadata"]["name"].clone(),
        json!(format!("{}/{}", summary.ready, summary.containers)),
        json!(summary.word),
        json!(restarts),
        json!(age::since(&pod["metadata"]["creationTimestamp"], now)),
        text_or_none(ip),
        text_or_none(&spec["nodeName"]),
        text_or_none(&status["nominatedNodeName"]),
        json!(readiness_gates(pod)),
    ]
}

fn readiness_gates(pod: &Value) -> String {
    let gates = list(&pod["spec"]["readinessGates"]);
    if gates.is_empty() {
        return NONE.to_owned();
    }
    let holds = |gate: &&Value| {
        let conditions = list(&pod["status"]["conditions"]);
        conditions.iter().any(|c| c["type"] == gate["conditionType"] && c["status"] == "True")
    };
    format!("{}/{}", gates.iter().filter(holds).count(), gates.len())
}
