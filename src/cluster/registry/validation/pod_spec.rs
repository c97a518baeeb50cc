//! The spec of a pod, in a pod or in the template of a workload.

use std::collections::BTreeSet;

use serde_json::Value;

use super::container::{self, Surroundings};
use super::field::{Findings, Path, list, text};
use super::{affinity, format, metadata, security, volume};

#[derive(Clone, Copy, PartialEq)]
pub enum Place {
    Pod,
    Template,
}

const RESTART_POLICIES: &[&str] = &["Always", "OnFailure", "Never"];
const DNS_POLICIES: &[&str] = &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

pub fn check(spec: &Value, at: Path<'_>, place: Place, found: &mut Findings) {
    let around = Surroundings {
        volumes: volume::check(spec, at.child("volumes"), found),
        grace_seconds: spec["terminationGracePeriodSeconds"].as_i64().unwrap_or(30),
        host_users: spec["hostUsers"] != false,
    };
    container::regular(spec, &around, at.child("containers"), found);
    container::init(spec, &around, at.child("initContainers"), found);
    match text(spec, "restartPolicy") {
        "" => found.required(at.child("restartPolicy"), ""),
        _ => found.one_of(at.child("restartPolicy"), &spec["restartPolicy"], RESTART_POLICIES),
    }
    match text(spec, "dnsPolicy") {
        "" => found.required(at.child("dnsPolicy"), ""),
        _ => found.one_of(at.child("dnsPolicy"), &spec["dnsPolicy"], DNS_POLICIES),
    }
    metadata::labels(&spec["nodeSelector"], at.child("nodeSelector"), found);
    security::of_pod(spec, at, found);
    affinity::check(&spec["affinity"], at.child("affinity"), found);
    dns(spec, at.child("dnsConfig"), found);
    gates(spec, at, found);
    affinity::spreading(spec, at.child("topologySpreadConstraints"), found);
    if spec["hostUsers"] == false {
        for field in ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|field| spec[*field] == true) {
            found.forbidden(at.child(field), "when `hostUsers` is false");
        }
    }
    names(spec, at, place, found);
    affinity::tolerations(spec, at.child("tolerations"), found);
    aliases(spec, at.child("hostAliases"), found);
    for field in ["priorityClassName", "runtimeClassName"] {
        if let Some(name) = spec[field].as_str() {
            found.complain(at.child(field), name, format::subdomain(name));
        }
    }
    found.one_of(at.child("preemptionPolicy"), &spec["preemptionPolicy"], &["PreemptLowerPriority", "Never"]);
    if spec["os"].is_object() {
        match text(&spec["os"], "name") {
            "" => found.required(at.child("os").child("name"), "cannot be empty"),
            _ => found.one_of(at.child("os"), &spec["os"]["name"], &["linux", "windows"]),
        }
    }
}

/// Names that other objects or DNS know, and the deadline between them as Kubernetes has it.
fn names(spec: &Value, at: Path<'_>, place: Place, found: &mut Findings) {
    let mut check = |field: &str, form: fn(&str) -> Vec<String>| {
        let name = text(spec, field);
        if !name.is_empty() {
            found.complain(at.child(field), name, form(name));
        }
    };
    check("serviceAccountName", format::subdomain);
    check("nodeName", format::subdomain);
    check("hostname", format::label);
    check("subdomain", format::label);
    let deadline = &spec["activeDeadlineSeconds"];
    let in_range = |seconds: i64| (1..=i64::from(i32::MAX)).contains(&seconds);
    if place == Place::Pod && deadline.as_i64().is_some_and(|seconds| !in_range(seconds)) {
        found.invalid(at.child("activeDeadlineSeconds"), deadline, "must be between 1 and 2147483647, inclusive");
    }
}

fn dns(spec: &Value, at: Path<'_>, found: &mut Findings) {
    let config = &spec["dnsConfig"];
    if text(spec, "dnsPolicy") == "None" {
        if config.is_null() {
            found.required(at, "must provide `dnsConfig` when `dnsPolicy` is None");
        } else if list(config, "nameservers").is_empty() {
            found
                .required(at.child("nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is None");
        }
    }
    for (index, server) in list(config, "nameservers").iter().enumerate() {
        let server = server.as_str().unwrap_or_default();
        found.complain(at.child("nameservers").index(index), server, format::ip(server));
    }
    for (index, domain) in list(config, "searches").iter().enumerate() {
        let domain = domain.as_str().unwrap_or_default();
        let absolute = domain.strip_suffix('.').unwrap_or(domain);
        if domain != "." {
            let complaints = format::subdomain_with_underscore(absolute);
            found.complain(at.child("searches").index(index), absolute, complaints);
        }
    }
    for (index, option) in list(config, "options").iter().enumerate() {
        if text(option, "name").is_empty() {
            found.required(at.child("options").index(index), "must not be empty");
        }
    }
}

fn gates(spec: &Value, at: Path<'_>, found: &mut Findings) {
    for (index, gate) in list(spec, "readinessGates").iter().enumerate() {
        let name = text(gate, "conditionType");
        let at = at.child("readinessGates");
        found.complain(at.index(index).child("conditionType"), name, format::qualified_name(name));
    }
    let mut seen = BTreeSet::new();
    for (index, gate) in list(spec, "schedulingGates").iter().enumerate() {
        let at = at.child("schedulingGates");
        let name = text(gate, "name");
        found.complain(at.index(index), name, format::qualified_name(name));
        if !seen.insert(name) {
            found.duplicate(at.index(index), &gate["name"]);
        }
    }
}

fn aliases(spec: &Value, at: Path<'_>, found: &mut Findings) {
    for (index, alias) in list(spec, "hostAliases").iter().enumerate() {
        let at = at.index(index);
        let ip = text(alias, "ip");
        found.complain(at.child("ip"), ip, format::ip(ip));
        for (index, name) in list(alias, "hostnames").iter().enumerate() {
            let name = name.as_str().unwrap_or_default();
            found.complain(at.child("hostnames").index(index), name, format::subdomain(name));
        }
    }
}
