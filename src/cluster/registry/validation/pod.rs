//! Pods: their spec, what of it may change, and the addresses in their status.

use serde_json::{Value, json};

use super::field::{Findings, Path, list, text};
use super::pod_spec::{self, Place};
use super::{format, internal};

const UNCHANGEABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub fn content(pod: &Value, found: &mut Findings) {
    pod_spec::check(&pod["spec"], Path::Root.child("spec"), Place::Pod, found);
    for (index, ip) in list(&pod["status"], "podIPs").iter().enumerate() {
        let at = Path::Root.child("status");
        let ip = text(ip, "ip");
        found.complain(at.child("podIPs").index(index), ip, format::ip(ip));
    }
}

pub fn create(pod: &Value, found: &mut Findings) {
    if !list(&pod["spec"], "ephemeralContainers").is_empty() {
        found.forbidden(Path::Root.child("spec").child("ephemeralContainers"), "cannot be set on create");
    }
}

/// Most of a pod cannot change: another pod is made instead.
pub fn update(new: &Value, old: &Value, found: &mut Findings) {
    let at = Path::Root.child("spec");
    let (is, was) = (&new["spec"], &old["spec"]);
    for containers in ["containers", "initContainers"] {
        if list(is, containers).len() != list(was, containers).len() {
            found.forbidden(at.child(containers), "pod updates may not add or remove containers");
            return;
        }
    }
    deadline(is, was, at.child("activeDeadlineSeconds"), found);
    if !added_only(is, was) {
        found
            .forbidden(at.child("tolerations"), "existing toleration can not be modified except its tolerationSeconds");
    }
    let gates_at = at.child("schedulingGates");
    for (index, gate) in list(is, "schedulingGates").iter().enumerate() {
        if !list(was, "schedulingGates").iter().any(|old| old["name"] == gate["name"]) {
            let why = format!("only deletion is allowed, but found new scheduling gate '{}'", text(gate, "name"));
            found.forbidden(gates_at.index(index).child("name"), why);
        }
    }
    if fixed(is) != fixed(was) && gates_kept(is, was) {
        let diff = internal::difference("PodSpec", was, &unfixed(is, was));
        found.forbidden(at, format_args!("{UNCHANGEABLE}\n{diff}"));
    }
}

/// A deadline may be set or brought forward.
fn deadline(is: &Value, was: &Value, at: Path<'_>, found: &mut Findings) {
    let (new, old) = (&is["activeDeadlineSeconds"], &was["activeDeadlineSeconds"]);
    match (new.as_i64(), old.as_i64()) {
        (None, Some(_)) => found.invalid(at, new, "must not update from a positive integer to nil value"),
        (Some(is), Some(was)) if is > was => {
            found.invalid(at, new, format_args!("must be less than or equal to previous value: {was}"));
        }
        _ => {}
    }
}

fn gates_kept(is: &Value, was: &Value) -> bool {
    let known = |gate: &Value| list(was, "schedulingGates").iter().any(|old| old["name"] == gate["name"]);
    list(is, "schedulingGates").iter().all(known)
}

/// Whether all old tolerations are still there, but for their time.
fn added_only(is: &Value, was: &Value) -> bool {
    let untimed = |toleration: &Value| {
        let mut toleration = toleration.clone();
        toleration["tolerationSeconds"] = json!(null);
        toleration
    };
    let now: Vec<Value> = list(is, "tolerations").iter().map(untimed).collect();
    list(was, "tolerations").iter().all(|old| now.contains(&untimed(old)))
}

/// The new spec with the old values of what may change, so that the rest of the changes shows.
fn unfixed(is: &Value, was: &Value) -> Value {
    let mut spec = is.clone();
    for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates", "terminationGracePeriodSeconds"] {
        spec[field] = was[field].clone();
    }
    for containers in ["containers", "initContainers"] {
        for (container, old) in spec[containers].as_array_mut().into_iter().flatten().zip(list(was, containers)) {
            container["image"] = old["image"].clone();
        }
    }
    spec
}

/// The spec without what may change.
fn fixed(spec: &Value) -> Value {
    let mut spec = spec.clone();
    // While a gate holds the pod back, where it may run can still be narrowed.
    let gated = !list(&spec, "schedulingGates").is_empty();
    let Some(members) = spec.as_object_mut() else { return spec };
    for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates", "terminationGracePeriodSeconds"] {
        members.remove(field);
    }
    if gated {
        members.remove("nodeSelector");
        members.remove("affinity");
    }
    for containers in ["containers", "initContainers"] {
        let list = members.get_mut(containers).and_then(Value::as_array_mut);
        for container in list.into_iter().flatten().filter_map(Value::as_object_mut) {
            container.remove("image");
        }
    }
    spec
}
