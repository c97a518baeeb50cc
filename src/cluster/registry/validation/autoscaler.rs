//! HorizontalPodAutoscalers: what is scaled, between which bounds, by which metrics and how fast.

use serde_json::Value;

use super::field::{Findings, Path, list, text};
use super::{format, resources};
use crate::object::Quantity;

const SOURCES: &[&str] = &["ContainerResource", "External", "Object", "Pods", "Resource"];
const MOST_STABILIZATION: i64 = 3600;
const MOST_PERIOD: i64 = 1800;

/// `old` is the object that is replaced.
pub fn content(autoscaler: &Value, old: Option<&Value>, found: &mut Findings) {
    let spec = &autoscaler["spec"];
    let at = Path::Root.child("spec");
    let (min, max) = (spec["minReplicas"].as_i64(), spec["maxReplicas"].as_i64().unwrap_or(0));
    // What scales to zero already may go on to.
    let lowest = i64::from(old.is_none_or(|old| old["spec"]["minReplicas"] != 0));
    if min.is_some_and(|min| min < lowest) {
        let why = format!("must be greater than or equal to {lowest}");
        found.invalid(at.child("minReplicas"), &spec["minReplicas"], why);
    }
    match max {
        0 => found.required(at.child("maxReplicas"), "must be set and greater than 0"),
        ..0 => found.invalid(at.child("maxReplicas"), &spec["maxReplicas"], "must be greater than 0"),
        _ => {}
    }
    if min.is_some_and(|min| max < min) {
        let why = "must be greater than or equal to `minReplicas`";
        found.invalid_shown(at.child("maxReplicas"), &max.to_string(), why);
    }
    reference(&spec["scaleTargetRef"], at.child("scaleTargetRef"), found);
    let metrics = list(spec, "metrics");
    let metrics_at = at.child("metrics");
    for (index, metric) in metrics.iter().enumerate() {
        self::metric(metric, metrics_at.index(index), found);
    }
    if min == Some(0) && !metrics.iter().any(|metric| matches!(text(metric, "type"), "Object" | "External")) {
        let why = "must specify at least one Object or External metric to support scaling to zero replicas";
        found.forbidden(metrics_at, why);
    }
    let behavior_at = at.child("behavior");
    for direction in ["scaleUp", "scaleDown"] {
        let rules = &spec["behavior"][direction];
        if !rules.is_null() {
            scaling(rules, behavior_at.child(direction), found);
        }
    }
}

fn reference(object: &Value, at: Path<'_>, found: &mut Findings) {
    for field in ["kind", "name"] {
        required_segment(&object[field], at.child(field), "", found);
    }
}

/// A name that is there and could stand in a path.
fn required_segment(name: &Value, at: Path<'_>, why: &str, found: &mut Findings) {
    match name.as_str().unwrap_or_default() {
        "" => found.required(at, why),
        name => found.complain(at, name, format::path_segment(name)),
    }
}

fn metric(metric: &Value, at: Path<'_>, found: &mut Findings) {
    let name = text(metric, "type");
    if name.is_empty() {
        found.required(at.child("type"), "must specify a metric source type");
    }
    let type_value = Value::from(name);
    if !SOURCES.contains(&name) {
        found.unsupported(at.child("type"), &type_value, SOURCES);
    }
    let mut present = ["object", "external", "pods", "resource", "containerResource"]
        .into_iter()
        .filter(|source| !metric[*source].is_null())
        .collect::<Vec<_>>();
    if let Some(first) = present.first() {
        source(first, &metric[*first], at.child(first), found);
    }
    let expected = match name {
        "Object" => "object",
        "External" => "external",
        "Pods" => "pods",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => {
            found.unsupported(at.child("type"), &type_value, SOURCES);
            ""
        }
    };
    if !expected.is_empty() && !present.contains(&expected) {
        found.required(at.child(expected), "must populate information for the given metric source");
    }
    if present.len() != 1 {
        present.retain(|source| *source != expected);
        for source in present {
            found.forbidden(at.child(source), "must populate the given metric source only");
        }
    }
}

fn source(name: &str, source: &Value, at: Path<'_>, found: &mut Findings) {
    let target = &source["target"];
    let target_at = at.child("target");
    let given = |field: &str| !target[field].is_null();
    match name {
        "resource" | "containerResource" => {
            let resource = text(source, "name");
            if resource.is_empty() {
                found.required(at.child("name"), "must specify a resource name");
            } else if name == "containerResource" {
                resources::container_resource(resource, at.child("name"), found);
            }
            if name == "containerResource" {
                match text(source, "container") {
                    "" => found.required(at.child("container"), "must specify a container"),
                    container => found.complain(at.child("container"), container, format::label(container)),
                }
            }
            self::target(target, target_at, found);
            if !given("averageUtilization") && !given("averageValue") {
                let why = "must set either a target raw value or a target utilization";
                found.required(target_at.child("averageUtilization"), why);
            }
            if given("averageUtilization") && given("averageValue") {
                let why = "may not set both a target raw value and a target utilization";
                found.forbidden(target_at.child("averageValue"), why);
            }
            return;
        }
        "object" => reference(&source["describedObject"], at.child("describedObject"), found),
        _ => {}
    }
    let metric_at = at.child("metric");
    required_segment(&source["metric"]["name"], metric_at.child("name"), "must specify a metric name", found);
    self::target(target, target_at, found);
    let missing = match name {
        "object" if !given("value") => "must set either a target value or averageValue",
        "external" if !given("value") => "must set either a target value for metric or a per-pod target",
        "pods" => "must specify a positive target averageValue",
        _ => "",
    };
    if !missing.is_empty() && !given("averageValue") {
        found.required(target_at.child("averageValue"), missing);
    }
    if name == "external" && given("value") && given("averageValue") {
        let why = "may not set both a target value for metric and a per-pod target";
        found.forbidden(target_at.child("value"), why);
    }
}

fn target(target: &Value, at: Path<'_>, found: &mut Findings) {
    let name = text(target, "type");
    if name.is_empty() {
        found.required(at.child("type"), "must specify a metric target type");
    }
    if !matches!(name, "Utilization" | "Value" | "AverageValue") {
        found.invalid_text(at.child("type"), name, "must be either Utilization, Value, or AverageValue");
    }
    for field in ["value", "averageValue"] {
        let amount = target[field].as_str().and_then(|text| Quantity::parse(text).ok());
        if amount.is_some_and(|amount| amount <= Quantity::default()) {
            found.invalid(at.child(field), &target[field], "must be positive");
        }
    }
    if target["averageUtilization"].as_i64().is_some_and(|percent| percent < 1) {
        found.invalid(at.child("averageUtilization"), &target["averageUtilization"], "must be greater than 0");
    }
}

/// How fast it scales in one direction.
fn scaling(rules: &Value, at: Path<'_>, found: &mut Findings) {
    let window = &rules["stabilizationWindowSeconds"];
    let window_at = at.child("stabilizationWindowSeconds");
    match window.as_i64().unwrap_or(0) {
        ..0 => found.invalid(window_at, window, "must be greater than or equal to zero"),
        seconds if seconds > MOST_STABILIZATION => {
            found.invalid(window_at, window, format_args!("must be less than or equal to {MOST_STABILIZATION}"));
        }
        _ => {}
    }
    found.one_of(at.child("selectPolicy"), &rules["selectPolicy"], &["Disabled", "Max", "Min"]);
    let policies = list(rules, "policies");
    let policies_at = at.child("policies");
    if policies.is_empty() {
        found.required(policies_at, "must specify at least one Policy");
    }
    for (index, policy) in policies.iter().enumerate() {
        let at = policies_at.index(index);
        if !matches!(text(policy, "type"), "Pods" | "Percent") {
            found.unsupported(at.child("type"), &Value::from(text(policy, "type")), &["Percent", "Pods"]);
        }
        for field in ["value", "periodSeconds"] {
            let number = policy[field].as_i64().unwrap_or(0);
            if number <= 0 {
                found.invalid_shown(at.child(field), &number.to_string(), "must be greater than zero");
            }
        }
        if policy["periodSeconds"].as_i64().is_some_and(|seconds| seconds > MOST_PERIOD) {
            let why = format!("must be less than or equal to {MOST_PERIOD}");
            found.invalid(at.child("periodSeconds"), &policy["periodSeconds"], why);
        }
    }
    let tolerance = rules["tolerance"].as_str().and_then(|text| Quantity::parse(text).ok());
    if tolerance.is_some_and(|tolerance| tolerance < Quantity::default()) {
        found.invalid(at.child("tolerance"), &rules["tolerance"], "must be greater than or equal to 0");
    }
}
