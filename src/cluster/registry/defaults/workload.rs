//! Defaults of Deployments and ReplicaSets.

use serde_json::{Value, json};

use super::{fill, pod_spec};

pub fn deployment(deployment: &mut Value) {
    let spec = &mut deployment["spec"];
    template(&mut spec["template"]);
    fill(spec, "replicas", || 1);
    fill(spec, "revisionHistoryLimit", || 10);
    fill(spec, "progressDeadlineSeconds", || 600);
    fill(spec, "strategy", || json!({}));
    let strategy = &mut spec["strategy"];
    fill(strategy, "type", || "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        fill(strategy, "rollingUpdate", || json!({}));
        fill(&mut strategy["rollingUpdate"], "maxUnavailable", || "25%");
        fill(&mut strategy["rollingUpdate"], "maxSurge", || "25%");
    }
    fill(deployment, "status", || json!({}));
}

pub fn replica_set(set: &mut Value) {
    let spec = &mut set["spec"];
    template(&mut spec["template"]);
    fill(spec, "replicas", || 1);
    fill(&mut set["status"], "replicas", || 0);
}

fn template(template: &mut Value) {
    fill(template, "metadata", || json!({}));
    pod_spec::apply(&mut template["spec"]);
}
