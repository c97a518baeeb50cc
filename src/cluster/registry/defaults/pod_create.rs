//! Admits a pod that is created: priority, tolerations of a node that fails, selectors by label keys, first status.
//! These are not defaults of templates: a pod gets them once, when it comes to be.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{fill, items, present, qos_class};
use crate::object::clock::rfc3339;
use crate::object::{ApiError, kinds};

/// How long a pod stays on a node that is not ready or not reachable, unless it says otherwise.
const TOLERATION_SECONDS: i64 = 300;
const NODE_FAILURES: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
/// The classes that every cluster has.
const PRIORITY_CLASSES: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

/// # Errors
/// `Forbidden` when the pod names a priority or runtime class that does not exist.
pub fn admit_pod(pod: &mut Value, now: Timestamp) -> Result<(), ApiError> {
    priority(pod)?;
    tolerations(&mut pod["spec"]);
    label_keys(pod);
    app_armor(pod);
    let mut status = json!({"phase": "Pending", "qosClass": qos_class(&pod["spec"])});
    if pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        status["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastProbeTime": null, "lastTransitionTime": rfc3339(now)}]);
    }
    pod["status"] = status;
    Ok(())
}

/// A profile that a container has by an annotation, as it was before there was a field, is made one.
fn app_armor(pod: &mut Value) {
    let annotations = pod["metadata"]["annotations"].clone();
    let of_pod = pod["spec"]["securityContext"]["appArmorProfile"].clone();
    for list in ["initContainers", "containers"] {
        for container in items(&mut pod["spec"], list) {
            let name = container["name"].as_str().unwrap_or_default();
            let annotation = &annotations[format!("container.apparmor.security.beta.kubernetes.io/{name}")];
            let profile = match annotation.as_str().unwrap_or_default() {
                "unconfined" => json!({"type": "Unconfined"}),
                "runtime/default" => json!({"type": "RuntimeDefault"}),
                other => match other.strip_prefix("localhost/") {
                    Some(path) => json!({"type": "Localhost", "localhostProfile": path}),
                    None => continue,
                },
            };
            if of_pod != profile {
                fill(&mut container["securityContext"], "appArmorProfile", || profile);
            }
        }
    }
}

/// Gives a pod that is written anew what it was admitted with, where the writer left it out.
pub fn readmit_pod(pod: &mut Value, old: &Value) {
    let spec = &mut pod["spec"];
    for field in ["priority", "preemptionPolicy"] {
        let was = &old["spec"][field];
        if !was.is_null() {
            fill(spec, field, || was.clone());
        }
    }
    tolerations(spec);
}

fn priority(pod: &mut Value) -> Result<(), ApiError> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let refuse = |why: String| Err(ApiError::forbidden(kinds::POD, &name, why));
    let spec = &mut pod["spec"];
    if let Some(class) = spec["runtimeClassName"].as_str() {
        return refuse(format!("pod rejected: RuntimeClass \"{class}\" not found"));
    }
    let priority = match spec["priorityClassName"].as_str() {
        None => 0,
        Some(class) => match PRIORITY_CLASSES.iter().find(|(known, _)| *known == class) {
            Some((_, priority)) => *priority,
            None => return refuse(format!("no PriorityClass with name {class} was found")),
        },
    };
    if spec["priority"].as_i64().is_some_and(|given| given != priority) {
        return refuse(
            "the integer value of priority must not be provided in pod spec; priority admission controller \
             computed a different value from the given PriorityClass name"
                .to_owned(),
        );
    }
    fill(spec, "priority", || priority);
    fill(spec, "preemptionPolicy", || "PreemptLowerPriority");
    Ok(())
}

fn tolerations(spec: &mut Value) {
    for key in NODE_FAILURES {
        let tolerates = |toleration: &Value| {
            let is = |field: &str, value: &str| toleration[field].as_str().is_none_or(|given| given == value);
            is("key", key) && is("effect", "NoExecute")
        };
        if spec["tolerations"].as_array().is_some_and(|given| given.iter().any(tolerates)) {
            continue;
        }
        let toleration = json!({"key": key, "operator": "Exists", "effect": "NoExecute",
            "tolerationSeconds": TOLERATION_SECONDS});
        fill(spec, "tolerations", || json!([]));
        spec["tolerations"].as_array_mut().into_iter().for_each(|list| list.push(toleration.clone()));
    }
}

/// `matchLabelKeys` (and `mismatchLabelKeys`) become requirements on the values that this pod's labels have.
fn label_keys(pod: &mut Value) {
    let labels = pod["metadata"]["labels"].clone();
    let spec = &mut pod["spec"];
    for constraint in items(spec, "topologySpreadConstraints") {
        select_keys(constraint, &labels);
    }
    let Some(affinity) = present(spec, "affinity") else { return };
    for side in ["podAffinity", "podAntiAffinity"] {
        let Some(side) = present(affinity, side) else { continue };
        for term in items(side, "requiredDuringSchedulingIgnoredDuringExecution") {
            select_keys(term, &labels);
        }
        for preference in items(side, "preferredDuringSchedulingIgnoredDuringExecution") {
            present(preference, "podAffinityTerm").into_iter().for_each(|term| select_keys(term, &labels));
        }
    }
}

fn select_keys(term: &mut Value, labels: &Value) {
    for (list, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        let keys: Vec<String> = items(term, list).filter_map(|key| key.as_str().map(str::to_owned)).collect();
        let Some(selector) = present(term, "labelSelector") else { return };
        for key in keys {
            let Some(value) = labels.get(&key) else { continue };
            let requirement = json!({"key": key, "operator": operator, "values": [value]});
            fill(selector, "matchExpressions", || json!([]));
            let Some(expressions) = selector["matchExpressions"].as_array_mut() else { continue };
            if !expressions.contains(&requirement) {
                expressions.push(requirement);
            }
        }
    }
}
