//! Deployments and ReplicaSets.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::Value;

use super::field::{Findings, Path, list, quoted, text};
use super::pod_spec::{self, Place};
use super::{format, metadata, selector};
use crate::object::meta::string_map;
use crate::object::selector::Selector;

const MISMATCH: &str = "`selector` does not match template `labels`";

pub fn deployment(deployment: &Value, found: &mut Findings) {
    let spec = &deployment["spec"];
    let at = Path::Root.child("spec");
    found.not_negative(at.child("replicas"), &spec["replicas"]);
    selector_and_template(spec, at, "deployment", found);
    strategy(&spec["strategy"], at.child("strategy"), found);
    found.not_negative(at.child("minReadySeconds"), &spec["minReadySeconds"]);
    found.not_negative(at.child("revisionHistoryLimit"), &spec["revisionHistoryLimit"]);
    if let Some(deadline) = spec["progressDeadlineSeconds"].as_i64() {
        let at = at.child("progressDeadlineSeconds");
        found.not_negative(at, &spec["progressDeadlineSeconds"]);
        if deadline <= spec["minReadySeconds"].as_i64().unwrap_or(0) {
            found.invalid(at, &spec["progressDeadlineSeconds"], "must be greater than minReadySeconds");
        }
    }
}

pub fn replica_set(set: &Value, found: &mut Findings) {
    let spec = &set["spec"];
    let at = Path::Root.child("spec");
    found.not_negative(at.child("replicas"), &spec["replicas"]);
    found.not_negative(at.child("minReadySeconds"), &spec["minReadySeconds"]);
    // Kubernetes names the deployment here, too.
    selector_and_template(spec, at, "deployment", found);
}

/// Which pods belong to a workload cannot change: those that it has would be lost.
pub fn immutable_selector(new: &Value, old: &Value, found: &mut Findings) {
    let is = &new["spec"]["selector"];
    if *is != old["spec"]["selector"] {
        found.invalid(Path::Root.child("spec").child("selector"), is, "field is immutable");
    }
}

fn selector_and_template(spec: &Value, at: Path<'_>, owner: &str, found: &mut Findings) {
    let given = &spec["selector"];
    let selector_at = at.child("selector");
    if given.is_null() {
        found.required(selector_at, "");
    } else {
        selector::labels(given, selector_at, found);
        if list(given, "matchExpressions").is_empty() && given["matchLabels"].as_object().is_none_or(|m| m.is_empty()) {
            found.invalid(selector_at, given, format_args!("empty selector is invalid for {owner}"));
        }
    }
    let parsed = LabelSelector::deserialize(given).unwrap_or_default();
    let complete = list(given, "matchExpressions").iter().all(|requirement| {
        let values = !list(requirement, "values").is_empty();
        match text(requirement, "operator") {
            "In" | "NotIn" => values,
            "Exists" | "DoesNotExist" => !values,
            _ => false,
        }
    });
    match Selector::of_workload(&parsed) {
        Ok(parsed) if complete => template(spec, (!given.is_null()).then_some(&parsed), at.child("template"), found),
        _ => found.invalid(selector_at, given, "invalid label selector"),
    }
}

/// `selector` is `None` where there is none: it matches nothing then.
fn template(spec: &Value, selector: Option<&Selector>, at: Path<'_>, found: &mut Findings) {
    let template = &spec["template"];
    let labels = &template["metadata"]["labels"];
    let metadata_at = at.child("metadata");
    if !selector.is_some_and(|s| s.is_everything() || s.matches(&string_map(labels))) {
        found.invalid(metadata_at.child("labels"), labels, MISMATCH);
    }
    metadata::labels(labels, metadata_at.child("labels"), found);
    metadata::annotations(&template["metadata"]["annotations"], metadata_at.child("annotations"), found);
    let pod = &template["spec"];
    let at = at.child("spec");
    pod_spec::check(pod, at, Place::Template, found);
    if !list(pod, "ephemeralContainers").is_empty() {
        found.forbidden(at.child("ephemeralContainers"), "ephemeral containers not allowed in pod template");
    }
    if matches!(text(pod, "restartPolicy"), "OnFailure" | "Never") {
        found.unsupported(at.child("restartPolicy"), &pod["restartPolicy"], &["Always"]);
    }
    if !pod["activeDeadlineSeconds"].is_null() {
        let why = "activeDeadlineSeconds in ReplicaSet is not Supported";
        found.forbidden(at.child("activeDeadlineSeconds"), why);
    }
}

fn strategy(strategy: &Value, at: Path<'_>, found: &mut Findings) {
    let rolling = &strategy["rollingUpdate"];
    let rolling_at = at.child("rollingUpdate");
    match text(strategy, "type") {
        "Recreate" if !rolling.is_null() => {
            found.forbidden(rolling_at, "may not be specified when strategy `type` is 'Recreate'");
        }
        "Recreate" => {}
        "RollingUpdate" => {
            for field in ["maxUnavailable", "maxSurge"] {
                number_or_percent(&rolling[field], rolling_at.child(field), found);
            }
            let at = rolling_at.child("maxUnavailable");
            let unavailable = &rolling["maxUnavailable"];
            if amount(unavailable) == Some(0) && amount(&rolling["maxSurge"]) == Some(0) {
                found.invalid(at, unavailable, "may not be 0 when `maxSurge` is 0");
            }
            if unavailable.is_string() && amount(unavailable).is_some_and(|percent| percent > 100) {
                found.invalid(at, unavailable, "must not be greater than 100%");
            }
        }
        other => {
            let shown = format!("{{\"Type\":{},\"RollingUpdate\":null}}", quoted(other));
            found.unsupported_shown(at, &shown, &["Recreate", "RollingUpdate"]);
        }
    }
}

fn number_or_percent(value: &Value, at: Path<'_>, found: &mut Findings) {
    match value.as_str() {
        Some(text) => found.complain(at, text, format::percent(text)),
        None => found.not_negative(at, value),
    }
}

/// The number, be it a count or a percentage.
fn amount(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.strip_suffix('%')?.parse().ok())
}
