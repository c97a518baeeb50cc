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
    let mut differ = false;
    for (field, name) in [("containers", "containers"), ("initContainers", "init containers")] {
        if list(is, field).len() != list(was, field).len() {
            found.forbidden(at.child(field), format_args!("pod updates may not add or remove {name}"));
            differ = true;
        }
    }
    if differ {
        return;
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
    let mut munged = unchanged(is, was);
    if !list(was, "schedulingGates").is_empty() {
        narrowed(&mut munged, was, at, found);
    }
    if munged != *was {
        let difference = internal::difference("PodSpec", was, &munged);
        found.forbidden(at, format_args!("{UNCHANGEABLE}\n{difference}"));
    }
}

/// While a gate holds a pod back, where it may run can still be narrowed.
fn narrowed(munged: &mut Value, was: &Value, at: Path<'_>, found: &mut Findings) {
    let (is, had) = (&munged["nodeSelector"], was["nodeSelector"].as_object());
    if had.into_iter().flatten().any(|(key, value)| is.get(key) != Some(value)) {
        let why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        found.invalid(at.child("nodeSelector"), is, why);
    }
    put_back(munged, was, "nodeSelector");
    put_back(munged, was, "affinity");
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

/// The new spec with what may change put back as it was.
fn unchanged(is: &Value, was: &Value) -> Value {
    let mut spec = is.clone();
    for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        put_back(&mut spec, was, field);
    }
    let grace = "terminationGracePeriodSeconds";
    if was[grace].as_i64().is_some_and(|seconds| seconds < 0) && spec[grace] == 1 {
        put_back(&mut spec, was, grace);
    }
    for containers in ["containers", "initContainers"] {
        let now = spec.get_mut(containers).and_then(Value::as_array_mut);
        for (container, old) in now.into_iter().flatten().zip(list(was, containers)) {
            put_back(container, old, "image");
        }
    }
    spec
}

fn put_back(object: &mut Value, old: &Value, field: &str) {
    let Some(members) = object.as_object_mut() else { return };
    match old.get(field) {
        Some(value) => members.insert(field.to_owned(), value.clone()),
        None => members.remove(field),
    };
}
