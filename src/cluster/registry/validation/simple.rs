//! Kinds with few rules: Lease, Event, PriorityClass, Application.

use serde_json::Value;

use super::field::{Findings, Path, list, text};

pub fn lease(lease: &Value, found: &mut Findings) {
    let spec = &lease["spec"];
    let at = Path::Root.child("spec");
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        found.invalid(at.child("leaseDurationSeconds"), &spec["leaseDurationSeconds"], "must be greater than 0");
    }
    found.not_negative(at.child("leaseTransitions"), &spec["leaseTransitions"]);
}

/// The highest priority that a user can give.
const MOST_PRIORITY: i64 = 1_000_000_000;
const SYSTEM_CLASSES: [&str; 2] = ["system-node-critical", "system-cluster-critical"];

pub fn priority_class(class: &Value, found: &mut Findings) {
    let name = text(&class["metadata"], "name");
    if name.starts_with("system-") {
        if !SYSTEM_CLASSES.contains(&name) {
            let why = format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a known system priority class"
            );
            found.forbidden(Path::Root.child("metadata").child("name"), why);
        }
    } else if class["value"].as_i64().is_some_and(|value| value > MOST_PRIORITY) {
        let why = format!("maximum allowed value of a user defined priority is {MOST_PRIORITY}");
        found.forbidden(Path::Root.child("value"), why);
    }
    let policies = ["PreemptLowerPriority", "Never"];
    found.one_of(Path::Root.child("preemptionPolicy"), &class["preemptionPolicy"], &policies);
}

/// Pods were given the priority already.
pub fn immutable_priority(new: &Value, old: &Value, found: &mut Findings) {
    for field in ["value", "preemptionPolicy"] {
        if new[field] != old[field] {
            match field {
                "value" => found.forbidden(Path::Root.child(field), "may not be changed in an update."),
                _ => found.invalid(Path::Root.child(field), &new[field], "field is immutable"),
            }
        }
    }
}

/// An event lives in the namespace of what it is about; events about cluster-scoped objects in `default`.
pub fn event(event: &Value, found: &mut Findings) {
    let about = text(&event["involvedObject"], "namespace");
    let namespace = text(&event["metadata"], "namespace");
    let fits = if about.is_empty() { matches!(namespace, "" | "default" | "kube-system") } else { about == namespace };
    if !fits {
        let at = Path::Root.child("involvedObject");
        found.invalid_text(at.child("namespace"), about, "does not match event.namespace");
    }
}

pub fn application(application: &Value, found: &mut Findings) {
    let spec = &application["spec"];
    let at = Path::Root.child("spec");
    if list(spec, "sources").is_empty() && text(&spec["source"], "repoURL").is_empty() {
        found.required(at.child("source").child("repoURL"), "");
    }
    found.not_negative(at.child("revisionHistoryLimit"), &spec["revisionHistoryLimit"]);
    if !application["operation"]["sync"]["manifests"].is_null() {
        let sync = Path::Root.child("operation");
        let sync = sync.child("sync");
        found.forbidden(
            sync.child("manifests"),
            "not supported: commit the objects; `windlass diff` shows what they would change",
        );
    }
}
