//! Defaults of the kinds that make pods out of a template: Deployment, ReplicaSet, ReplicationController,
//! StatefulSet, DaemonSet, PodTemplate.

use serde_json::{Value, json};

use super::{fill, items, pod_spec, volumes};

/// How often a DaemonSet's template has changed; Kubernetes keeps it in an annotation since the field was removed.
pub const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

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

/// The labels of the template are those of the controller and its selector, where these have none.
pub fn replication_controller(controller: &mut Value) {
    let has_template = controller["spec"]["template"].is_object();
    if has_template {
        template(&mut controller["spec"]["template"]);
    }
    let labels = controller["spec"]["template"]["metadata"]["labels"].clone();
    fill(controller, "spec", || json!({}));
    if labels.is_object() {
        fill(&mut controller["spec"], "selector", || labels.clone());
        fill(&mut controller["metadata"], "labels", || labels);
    } else if !has_template && let Some(spec) = controller["spec"].as_object_mut() {
        spec.remove("template");
    }
    fill(&mut controller["spec"], "replicas", || 1);
    fill(&mut controller["status"], "replicas", || 0);
}

pub fn stateful_set(set: &mut Value) {
    let spec = &mut set["spec"];
    template(&mut spec["template"]);
    fill(spec, "replicas", || 1);
    fill(spec, "serviceName", || "");
    fill(spec, "podManagementPolicy", || "OrderedReady");
    fill(spec, "revisionHistoryLimit", || 10);
    fill(spec, "updateStrategy", || json!({}));
    let strategy = &mut spec["updateStrategy"];
    fill(strategy, "type", || "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        fill(strategy, "rollingUpdate", || json!({}));
        fill(&mut strategy["rollingUpdate"], "partition", || 0);
    }
    fill(spec, "persistentVolumeClaimRetentionPolicy", || json!({}));
    for when in ["whenDeleted", "whenScaled"] {
        fill(&mut spec["persistentVolumeClaimRetentionPolicy"], when, || "Retain");
    }
    for claim in items(spec, "volumeClaimTemplates") {
        claim_template(claim);
    }
    for count in ["replicas", "availableReplicas"] {
        fill(&mut set["status"], count, || 0);
    }
}

/// A claim of a StatefulSet is stored as a whole object, though it is a template.
fn claim_template(claim: &mut Value) {
    fill(claim, "apiVersion", || "v1");
    fill(claim, "kind", || "PersistentVolumeClaim");
    volumes::claim(claim);
    fill(&mut claim["status"], "phase", || "Pending");
}

pub fn daemon_set(set: &mut Value) {
    let spec = &mut set["spec"];
    template(&mut spec["template"]);
    fill(spec, "revisionHistoryLimit", || 10);
    fill(spec, "updateStrategy", || json!({}));
    let strategy = &mut spec["updateStrategy"];
    fill(strategy, "type", || "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        fill(strategy, "rollingUpdate", || json!({}));
        fill(&mut strategy["rollingUpdate"], "maxUnavailable", || 1);
        fill(&mut strategy["rollingUpdate"], "maxSurge", || 0);
    }
    fill(&mut set["metadata"]["annotations"], TEMPLATE_GENERATION, || "0");
    for count in ["currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"] {
        fill(&mut set["status"], count, || 0);
    }
}

/// A new DaemonSet's template is in its first generation, unless it says otherwise.
pub fn begin_daemon_set(set: &mut Value) {
    let generation = template_generation(set).max(1);
    set["metadata"]["annotations"][TEMPLATE_GENERATION] = json!(generation.to_string());
    daemon_set(set);
}

/// Only the server counts the generations of a template.
pub fn go_on_daemon_set(set: &mut Value, old: &Value) {
    let changed = set["spec"]["template"] != old["spec"]["template"];
    let generation = template_generation(old) + i64::from(changed);
    set["metadata"]["annotations"][TEMPLATE_GENERATION] = json!(generation.to_string());
}

fn template_generation(set: &Value) -> i64 {
    let text = set["metadata"]["annotations"][TEMPLATE_GENERATION].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub fn pod_template(object: &mut Value) {
    template(&mut object["template"]);
}

pub fn template(template: &mut Value) {
    fill(template, "metadata", || json!({}));
    pod_spec::apply(&mut template["spec"]);
}
