//! What the recordings show of each kind that is a workload, beside its status and its conditions: a new kind is a row.

use serde_json::{Map, Value, json};
use windlass::object::{Kind, kinds};

/// A kind, and its drawn members with where they are in the object.
pub struct Row {
    pub kind: &'static Kind,
    members: &'static [(&'static str, &'static str)],
}

const GENERATION: (&str, &str) = ("generation", "/metadata/generation");
const REPLICAS: (&str, &str) = ("replicas", "/spec/replicas");
const SUSPEND: (&str, &str) = ("suspend", "/spec/suspend");
const REVISION: (&str, &str) = ("revision", "/metadata/annotations/deployment.kubernetes.io~1revision");

pub fn rows() -> [Row; 7] {
    let row = |kind, members| Row { kind, members };
    [
        row(kinds::DEPLOYMENT, &[GENERATION, REPLICAS, REVISION]),
        row(kinds::STATEFUL_SET, &[GENERATION, REPLICAS]),
        row(kinds::DAEMON_SET, &[GENERATION]),
        row(
            kinds::JOB,
            &[GENERATION, ("parallelism", "/spec/parallelism"), ("completions", "/spec/completions"), SUSPEND],
        ),
        row(kinds::CRON_JOB, &[GENERATION, SUSPEND]),
        row(kinds::DISRUPTION_BUDGET, &[GENERATION]),
        row(kinds::RESOURCE_QUOTA, &[]),
    ]
}

impl Row {
    pub fn draw(&self, object: &Value) -> Value {
        let mut drawn = json!({"kind": self.kind.kind, "name": object["metadata"]["name"]});
        for (name, pointer) in self.members {
            drawn[name] = object.pointer(pointer).cloned().unwrap_or_default();
        }
        if object["spec"]["paused"] == true {
            drawn["paused"] = json!(true);
        }
        drawn
    }
}

/// The status without its conditions: times are set or not, of lists of references only the length matters, and what is
/// kept for the counting of a Job is its own business.
pub fn status(object: &Value) -> Map<String, Value> {
    let mut status = object["status"].as_object().cloned().unwrap_or_default();
    status.remove("conditions");
    status.remove("uncountedTerminatedPods");
    for (name, value) in &mut status {
        if name.ends_with("Time") && !value.is_null() {
            *value = json!("set");
        }
        if let Some(references) = value.as_array().filter(|_| name == "active") {
            *value = json!(references.len());
        }
    }
    status
}
