//! Deployments, ReplicaSets, ReplicationControllers, PodTemplates and ControllerRevisions; and what is the same for
//! every kind that makes pods out of a template.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::Value;

use super::field::{Findings, Path, list, quoted, shown, text};
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

/// A ReplicationController selects by a plain map of labels.
pub fn replication_controller(controller: &Value, found: &mut Findings) {
    let spec = &controller["spec"];
    let at = Path::Root.child("spec");
    found.not_negative(at.child("minReadySeconds"), &spec["minReadySeconds"]);
    let selector = string_map(&spec["selector"]);
    if selector.is_empty() {
        found.required(at.child("selector"), "");
    }
    found.not_negative(at.child("replicas"), &spec["replicas"]);
    let template = &spec["template"];
    let at = at.child("template");
    if template.is_null() {
        return found.required(at, "");
    }
    let labels = &template["metadata"]["labels"];
    let has = string_map(labels);
    if !selector.iter().all(|(key, value)| has.get(key) == Some(value)) {
        found.invalid(at.child("metadata").child("labels"), labels, MISMATCH);
    }
    pod_template(template, at, found);
    long_running(template, at, "ReplicationController", found);
}

/// `v1` PodTemplate: a template that nothing makes pods of.
pub fn pod_template_object(object: &Value, found: &mut Findings) {
    pod_template(&object["template"], Path::Root.child("template"), found);
}

/// A revision of a StatefulSet's or DaemonSet's template.
pub fn controller_revision(revision: &Value, found: &mut Findings) {
    if revision["data"].is_null() {
        found.required(Path::Root.child("data"), "data is mandatory");
    }
    found.not_negative(Path::Root.child("revision"), &revision["revision"]);
}

/// What a revision holds is history.
pub fn immutable_data(new: &Value, old: &Value, found: &mut Findings) {
    if new["data"] != old["data"] {
        found.invalid(Path::Root.child("data"), &new["data"], "field is immutable");
    }
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
    required_selector(given, selector_at, owner, found);
    let Some(selector) = parsed(given) else {
        return found.invalid(selector_at, given, "invalid label selector");
    };
    let template = &spec["template"];
    let at = at.child("template");
    match_template(&selector, template, at, found);
    pod_template(template, at, found);
    long_running(template, at, "ReplicaSet", found);
}

/// A workload must say which pods are its own, and may not say that all are.
pub fn required_selector(given: &Value, at: Path<'_>, owner: &str, found: &mut Findings) {
    if given.is_null() {
        return found.required(at, "");
    }
    selector::labels(given, at, found);
    nonempty_selector(given, at, owner, found);
}

pub fn nonempty_selector(given: &Value, at: Path<'_>, owner: &str, found: &mut Findings) {
    let labels = given["matchLabels"].as_object().map_or(0, serde_json::Map::len);
    if given.is_object() && labels + list(given, "matchExpressions").len() == 0 {
        found.invalid(at, given, format_args!("empty selector is invalid for {owner}"));
    }
}

/// A workload's selector as it is matched: one that is absent matches nothing.
pub enum Matcher {
    Nothing,
    Labels(Selector),
}

impl Matcher {
    pub fn matches(&self, labels: &Value) -> bool {
        match self {
            Self::Nothing => false,
            Self::Labels(selector) => selector.is_everything() || selector.matches(&string_map(labels)),
        }
    }
}

/// The selector, if it is well formed.
pub fn parsed(given: &Value) -> Option<Matcher> {
    if given.is_null() {
        return Some(Matcher::Nothing);
    }
    let complete = list(given, "matchExpressions").iter().all(|requirement| {
        let values = !list(requirement, "values").is_empty();
        match text(requirement, "operator") {
            "In" | "NotIn" => values,
            "Exists" | "DoesNotExist" => !values,
            _ => false,
        }
    });
    let selector = LabelSelector::deserialize(given).ok().filter(|_| complete)?;
    Selector::of_workload(&selector).ok().map(Matcher::Labels)
}

/// The pods that a workload makes must be its own.
pub fn match_template(selector: &Matcher, template: &Value, at: Path<'_>, found: &mut Findings) {
    let labels = &template["metadata"]["labels"];
    if !selector.matches(labels) {
        found.invalid(at.child("metadata").child("labels"), labels, MISMATCH);
    }
}

/// The template of pods, whoever makes them.
pub fn pod_template(template: &Value, at: Path<'_>, found: &mut Findings) {
    let metadata = &template["metadata"];
    let metadata_at = at.child("metadata");
    metadata::labels(&metadata["labels"], metadata_at.child("labels"), found);
    metadata::annotations(&metadata["annotations"], metadata_at.child("annotations"), found);
    let pod = &template["spec"];
    let at = at.child("spec");
    pod_spec::check(pod, at, Place::Template, found);
    if !list(pod, "ephemeralContainers").is_empty() {
        found.forbidden(at.child("ephemeralContainers"), "ephemeral containers not allowed in pod template");
    }
}

/// Pods that are replaced whenever they end must restart, and cannot end by a deadline.
pub fn long_running(template: &Value, at: Path<'_>, owner: &str, found: &mut Findings) {
    let pod = &template["spec"];
    let at = at.child("spec");
    if text(pod, "restartPolicy") != "Always" {
        found.unsupported(at.child("restartPolicy"), &pod["restartPolicy"], &["Always"]);
    }
    if !pod["activeDeadlineSeconds"].is_null() {
        let why = format!("activeDeadlineSeconds in {owner} is not Supported");
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
            at_most_all(unavailable, at, found);
        }
        other => {
            found.unsupported_shown(at, &shown_strategy(other, rolling), &["Recreate", "RollingUpdate"]);
        }
    }
}

/// A strategy of an unknown type as Kubernetes writes it in a message.
pub fn shown_strategy(name: &str, rolling: &Value) -> String {
    let number = |field: &str| if rolling[field].is_null() { "0".to_owned() } else { shown(&rolling[field]) };
    let rolling = match rolling {
        Value::Null => "null".to_owned(),
        _ => format!("{{\"MaxUnavailable\":{},\"MaxSurge\":{}}}", number("maxUnavailable"), number("maxSurge")),
    };
    format!("{{\"Type\":{},\"RollingUpdate\":{rolling}}}", quoted(name))
}

pub fn number_or_percent(value: &Value, at: Path<'_>, found: &mut Findings) {
    match value.as_str() {
        Some(text) => found.complain(at, text, format::percent(text)),
        None => found.not_negative(at, value),
    }
}

/// More than all cannot be had.
pub fn at_most_all(value: &Value, at: Path<'_>, found: &mut Findings) {
    if value.is_string() && amount(value).is_some_and(|percent| percent > 100) {
        found.invalid(at, value, "must not be greater than 100%");
    }
}

/// The number, be it a count or a percentage.
pub fn amount(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.strip_suffix('%')?.parse().ok())
}
