//! Containers of a pod.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::field::{Findings, Path, list, text};
use super::{environment, format, probe, resources, security};

const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const PULL_POLICIES: &[&str] = &["Always", "IfNotPresent", "Never"];
const PROPAGATIONS: &[&str] = &["Bidirectional", "HostToContainer", "None"];

/// What containers need to know of their pod.
pub struct Surroundings<'a> {
    /// The volumes by name; the value is whether it is a claim, which alone can be a device.
    pub volumes: BTreeMap<&'a str, bool>,
    pub grace_seconds: i64,
    pub host_users: bool,
}

/// The containers that run side by side.
pub fn regular(spec: &Value, around: &Surroundings<'_>, at: Path<'_>, found: &mut Findings) {
    let containers = list(spec, "containers");
    if containers.is_empty() {
        found.required(at, "");
        return;
    }
    let mut names = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let at = at.index(index);
        common(container, around, at, found);
        unique_name(container, &mut names, at, found);
        probe::lifecycle(container, at.child("lifecycle"), around.grace_seconds, found);
        probe::probes(container, at, around.grace_seconds, found);
    }
    host_ports(containers, at, found);
}

/// The containers that run before, one after the other; those that restart always go on beside the regular ones.
pub fn init(spec: &Value, around: &Surroundings<'_>, at: Path<'_>, found: &mut Findings) {
    let mut names: BTreeSet<&str> = list(spec, "containers").iter().map(|c| text(c, "name")).collect();
    for (index, container) in list(spec, "initContainers").iter().enumerate() {
        let at = at.index(index);
        common(container, around, at, found);
        unique_name(container, &mut names, at, found);
        found.one_of(at.child("restartPolicy"), &container["restartPolicy"], &["Always", "Never", "OnFailure"]);
        if text(container, "restartPolicy") == "Always" {
            probe::lifecycle(container, at.child("lifecycle"), around.grace_seconds, found);
            probe::probes(container, at, around.grace_seconds, found);
            continue;
        }
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if !container[field].is_null() {
                let why = "may not be set for init containers without restartPolicy=Always";
                found.forbidden(at.child(field), why);
            }
        }
    }
}

/// The containers that are added to a pod that runs, to look into it.
pub fn ephemeral(spec: &Value, around: &Surroundings<'_>, at: Path<'_>, found: &mut Findings) {
    const NEVER: [&str; 8] = [
        "ports",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle",
        "resources",
        "resizePolicy",
        "restartPolicy",
    ];
    let others = list(spec, "containers").iter().chain(list(spec, "initContainers"));
    let others: BTreeSet<&str> = others.map(|c| text(c, "name")).collect();
    let mut names = others.clone();
    for (index, container) in list(spec, "ephemeralContainers").iter().enumerate() {
        let at = at.index(index);
        common(container, around, at, found);
        unique_name(container, &mut names, at, found);
        let is_set = |value: &Value| match value {
            Value::Null => false,
            Value::Array(list) => !list.is_empty(),
            Value::Object(members) => !members.is_empty(),
            _ => true,
        };
        for field in NEVER.into_iter().filter(|field| is_set(&container[*field])) {
            found.forbidden(at.child(field), "cannot be set for an Ephemeral Container");
        }
        let target = text(container, "targetContainerName");
        if !target.is_empty() && !others.contains(target) {
            found.not_found(at.child("targetContainerName"), target);
        }
        for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
            let at = at.child("volumeMounts");
            for field in ["subPath", "subPathExpr"].into_iter().filter(|field| !text(mount, field).is_empty()) {
                found.forbidden(at.index(index).child(field), "cannot be set for an Ephemeral Container");
            }
        }
    }
}

fn unique_name<'a>(container: &'a Value, names: &mut BTreeSet<&'a str>, at: Path<'_>, found: &mut Findings) {
    let name = text(container, "name");
    if !name.is_empty() && !names.insert(name) {
        found.duplicate(at.child("name"), &container["name"]);
    }
}

fn common(container: &Value, around: &Surroundings<'_>, at: Path<'_>, found: &mut Findings) {
    match text(container, "name") {
        "" => found.required(at.child("name"), ""),
        name => found.complain(at.child("name"), name, format::label(name)),
    }
    match text(container, "image") {
        "" => found.required(at.child("image"), ""),
        image if image.trim() != image => {
            found.invalid_text(at.child("image"), image, "must not have leading or trailing whitespace");
        }
        _ => {}
    }
    let policy_at = at.child("terminationMessagePolicy");
    found.one_of(policy_at, &container["terminationMessagePolicy"], &["File", "FallbackToLogsOnError"]);
    ports(container, at.child("ports"), found);
    environment::variables(container, at.child("env"), found);
    environment::sources(container, at.child("envFrom"), found);
    mounts(container, around, at.child("volumeMounts"), found);
    devices(container, around, at.child("volumeDevices"), found);
    found.one_of(at.child("imagePullPolicy"), &container["imagePullPolicy"], PULL_POLICIES);
    resources::check(&container["resources"], at.child("resources"), found);
    security::of_container(&container["securityContext"], around.host_users, at.child("securityContext"), found);
}

fn ports(container: &Value, at: Path<'_>, found: &mut Findings) {
    let mut names = BTreeSet::new();
    for (index, port) in list(container, "ports").iter().enumerate() {
        let at = at.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            let complaints = format::port_name(name);
            let well_formed = complaints.is_empty();
            found.complain(at.child("name"), name, complaints);
            if well_formed && !names.insert(name) {
                found.duplicate(at.child("name"), &port["name"]);
            }
        }
        match port["containerPort"].as_i64().unwrap_or(0) {
            0 => found.required(at.child("containerPort"), ""),
            1..=65_535 => {}
            _ => found.invalid(at.child("containerPort"), &port["containerPort"], format::PORT),
        }
        if port["hostPort"].as_i64().is_some_and(|port| port != 0 && !(1..=65_535).contains(&port)) {
            found.invalid(at.child("hostPort"), &port["hostPort"], format::PORT);
        }
        match text(port, "protocol") {
            "" => found.required(at.child("protocol"), ""),
            _ => found.one_of(at.child("protocol"), &port["protocol"], PROTOCOLS),
        }
    }
}

/// A port of the host belongs to one container of the pod.
fn host_ports(containers: &[Value], at: Path<'_>, found: &mut Findings) {
    let mut taken = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        for (port_index, port) in list(container, "ports").iter().enumerate() {
            let Some(host_port) = port["hostPort"].as_i64().filter(|port| *port != 0) else { continue };
            let key = format!("{}/{}/{host_port}", text(port, "protocol"), text(port, "hostIP"));
            if taken.contains(&key) {
                let at = at.index(index);
                let at = at.child("ports");
                found.duplicate(at.index(port_index).child("hostPort"), &json!(key));
            }
            taken.insert(key);
        }
    }
}

fn mounts(container: &Value, around: &Surroundings<'_>, at: Path<'_>, found: &mut Findings) {
    let mut paths = BTreeSet::new();
    for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
        let here = at.index(index);
        let name = text(mount, "name");
        if name.is_empty() {
            found.required(here.child("name"), "");
        }
        if !around.volumes.contains_key(name) {
            found.not_found(here.child("name"), name);
        }
        let path = text(mount, "mountPath");
        if path.is_empty() {
            found.required(here.child("mountPath"), "");
        }
        if !paths.insert(path) {
            found.invalid_text(here.child("mountPath"), path, "must be unique");
        }
        let (sub_path, expression) = (text(mount, "subPath"), text(mount, "subPathExpr"));
        if !sub_path.is_empty() {
            found.complain(here.child("subPath"), sub_path, format::descending_path(sub_path));
        }
        if !expression.is_empty() {
            if !sub_path.is_empty() {
                let why = "subPathExpr and subPath are mutually exclusive";
                found.invalid_text(here.child("subPathExpr"), expression, why);
            }
            found.complain(here.child("subPathExpr"), expression, format::descending_path(expression));
        }
        found.one_of(at.child("mountPropagation"), &mount["mountPropagation"], PROPAGATIONS);
        let privileged = container["securityContext"]["privileged"] == true;
        if mount["mountPropagation"] == "Bidirectional" && !privileged {
            let why = "Bidirectional mount propagation is available only to privileged containers";
            found.forbidden(at.child("mountPropagation"), why);
        }
    }
}

fn devices(container: &Value, around: &Surroundings<'_>, at: Path<'_>, found: &mut Findings) {
    let mut paths = BTreeSet::new();
    for (index, device) in list(container, "volumeDevices").iter().enumerate() {
        let at = at.index(index);
        let (name, path) = (text(device, "name"), text(device, "devicePath"));
        match around.volumes.get(name) {
            _ if name.is_empty() => found.required(at.child("name"), ""),
            None => found.not_found(at.child("name"), name),
            Some(true) => {}
            Some(false) => {
                let why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                found.invalid_text(at.child("name"), name, why);
            }
        }
        if path.is_empty() {
            found.required(at.child("devicePath"), "");
        } else if !paths.insert(path) {
            found.invalid_text(at.child("devicePath"), path, "must be unique");
        }
        found.complain(at.child("devicePath"), path, format::no_steps_back(path));
    }
}
