//! Kinds with few rules: Lease, Event, Application.

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
}
