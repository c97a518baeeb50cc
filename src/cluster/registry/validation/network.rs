//! Ingresses, IngressClasses and NetworkPolicies.

use std::net::IpAddr;

use serde_json::Value;

use super::field::{Findings, Path, list, text};
use super::{format, selector};

const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
/// Parts that no path of a rule has: proxies and backends would not agree on what they mean.
const NOT_IN_PATHS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];

pub fn ingress(ingress: &Value, found: &mut Findings) {
    let spec = &ingress["spec"];
    let at = Path::Root.child("spec");
    if list(spec, "rules").is_empty() && spec["defaultBackend"].is_null() {
        found.invalid(at, &Value::Null, "either `defaultBackend` or `rules` must be specified");
    }
    if spec["defaultBackend"].is_object() {
        backend(&spec["defaultBackend"], at.child("defaultBackend"), found);
    }
    for (index, rule) in list(spec, "rules").iter().enumerate() {
        let at = at.child("rules");
        ingress_rule(rule, at.index(index), found);
    }
    for (index, tls) in list(spec, "tls").iter().enumerate() {
        let at = at.child("tls");
        let at = at.index(index);
        for (index, name) in list(tls, "hosts").iter().enumerate() {
            host(name.as_str().unwrap_or_default(), at.child("hosts").index(index), found);
        }
        let secret = text(tls, "secretName");
        if !secret.is_empty() {
            found.complain(at.child("secretName"), secret, format::subdomain(secret));
        }
    }
    if let Some(class) = spec["ingressClassName"].as_str() {
        found.complain(at.child("ingressClassName"), class, format::subdomain(class));
    }
}

/// The old way to name a class, and the new one, at once: refused of new objects only.
pub fn create_ingress(ingress: &Value, found: &mut Findings) {
    let old_way = &ingress["metadata"]["annotations"][CLASS_ANNOTATION];
    if old_way.is_string() && !ingress["spec"]["ingressClassName"].is_null() {
        let at = Path::Root.child("metadata");
        let at = at.child("annotations");
        found.invalid(at.child(CLASS_ANNOTATION), old_way, "can not be set when the class field is also set");
    }
}

fn ingress_rule(rule: &Value, at: Path<'_>, found: &mut Findings) {
    let name = text(rule, "host");
    if !name.is_empty() {
        if name.parse::<IpAddr>().is_ok() {
            found.invalid_text(at.child("host"), name, "must be a DNS name, not an IP address");
        }
        host(name, at.child("host"), found);
    }
    if !rule["http"].is_object() {
        return;
    }
    let at = at.child("http");
    let at = at.child("paths");
    if list(&rule["http"], "paths").is_empty() {
        found.required(at, "");
    }
    for (index, path) in list(&rule["http"], "paths").iter().enumerate() {
        ingress_path(path, at.index(index), found);
    }
}

fn host(name: &str, at: Path<'_>, found: &mut Findings) {
    let complaints = if name.contains('*') { format::wildcard_subdomain(name) } else { format::subdomain(name) };
    found.complain(at, name, complaints);
}

fn ingress_path(rule: &Value, at: Path<'_>, found: &mut Findings) {
    let path = text(rule, "path");
    let path_at = at.child("path");
    match rule["pathType"].as_str() {
        None => found.required(at.child("pathType"), "pathType must be specified"),
        Some("Exact" | "Prefix") => {
            if !path.starts_with('/') {
                found.invalid_text(path_at, path, "must be an absolute path");
            }
            for part in NOT_IN_PATHS.into_iter().filter(|part| path.contains(part)) {
                found.invalid_text(path_at, path, format_args!("must not contain '{part}'"));
            }
            for end in ["/..", "/."].into_iter().filter(|end| path.ends_with(end)) {
                found.invalid_text(path_at, path, format_args!("cannot end with '{end}'"));
            }
        }
        Some("ImplementationSpecific") => {
            if !path.is_empty() && !path.starts_with('/') {
                found.invalid_text(path_at, path, "must be an absolute path");
            }
        }
        Some(_) => {
            let types = ["Exact", "ImplementationSpecific", "Prefix"];
            found.unsupported(at.child("pathType"), &rule["pathType"], &types);
        }
    }
    backend(&rule["backend"], at.child("backend"), found);
}

fn backend(backend: &Value, at: Path<'_>, found: &mut Findings) {
    let service = &backend["service"];
    match (backend["resource"].is_object(), service.is_object()) {
        (true, true) => found.invalid_text(at, "", "cannot set both resource and service backends"),
        (true, false) => reference(&backend["resource"], at.child("resource"), found),
        (false, true) => {
            let service_at = at.child("service");
            match text(service, "name") {
                "" => found.required(service_at.child("name"), ""),
                name => found.complain(service_at.child("name"), name, format::label_1035(name)),
            }
            let (name, number) = (text(&service["port"], "name"), service["port"]["number"].as_i64().unwrap_or(0));
            let port_at = service_at.child("port");
            match (name.is_empty(), number != 0) {
                (false, true) => found.invalid_text(at, "", "cannot set both port name & port number"),
                (false, false) => found.complain(port_at.child("name"), name, format::port_name(name)),
                (true, true) if !(1..=65_535).contains(&number) => {
                    found.invalid_shown(port_at.child("number"), &number.to_string(), format::PORT);
                }
                (true, true) => {}
                (true, false) => found.required(at, "port name or number is required"),
            }
        }
        (false, false) => found.invalid_text(at, "", "resource or service backend is required"),
    }
}

/// An object in the same namespace, by group, kind and name.
fn reference(reference: &Value, at: Path<'_>, found: &mut Findings) {
    if let Some(group) = reference["apiGroup"].as_str() {
        found.complain(at.child("apiGroup"), group, format::subdomain(group));
    }
    for (field, why) in [("kind", "kind is required"), ("name", "name is required")] {
        match text(reference, field) {
            "" => found.required(at.child(field), why),
            name => found.complain(at.child(field), name, format::path_segment(name)),
        }
    }
}

pub fn ingress_class(class: &Value, found: &mut Findings) {
    let spec = &class["spec"];
    let at = Path::Root.child("spec");
    let controller = text(spec, "controller");
    if controller.len() > 250 {
        found.too_long(at.child("controller"), 250);
    }
    match controller {
        "" => found.required(at.child("controller"), ""),
        controller => found.complain(at.child("controller"), controller, format::domain_prefixed_path(controller)),
    }
    let parameters = &spec["parameters"];
    if !parameters.is_object() {
        return;
    }
    let at = at.child("parameters");
    reference(parameters, at, found);
    let namespace = &parameters["namespace"];
    match parameters["scope"].as_str() {
        None => found.required(at.child("scope"), ""),
        Some("Namespace") => match namespace.as_str() {
            None => found.required(at.child("namespace"), "`parameters.scope` is set to 'Namespace'"),
            Some(name) => found.complain(at.child("namespace"), name, format::label(name)),
        },
        Some("Cluster") if !namespace.is_null() => {
            found.forbidden(at.child("namespace"), "`parameters.scope` is set to 'Cluster'");
        }
        Some("Cluster") => {}
        Some(_) => found.unsupported(at.child("scope"), &parameters["scope"], &["Cluster", "Namespace"]),
    }
}

pub fn immutable_ingress_class(new: &Value, old: &Value, found: &mut Findings) {
    let is = &new["spec"]["controller"];
    if *is != old["spec"]["controller"] {
        found.invalid(Path::Root.child("spec").child("controller"), is, "field is immutable");
    }
}

pub fn network_policy(policy: &Value, found: &mut Findings) {
    let spec = &policy["spec"];
    let at = Path::Root.child("spec");
    selector::labels(&spec["podSelector"], at.child("podSelector"), found);
    for (direction, side) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in list(spec, direction).iter().enumerate() {
            let at = at.child(direction);
            let at = at.index(index);
            for (index, port) in list(rule, "ports").iter().enumerate() {
                policy_port(port, at.child("ports").index(index), found);
            }
            for (index, peer) in list(rule, side).iter().enumerate() {
                policy_peer(peer, at.child(side).index(index), found);
            }
        }
    }
    let types = list(spec, "policyTypes");
    if types.len() > 2 {
        let why = "may not specify more than two policyTypes";
        found.invalid(at.child("policyTypes"), &spec["policyTypes"], why);
        return;
    }
    for (index, one) in types.iter().enumerate() {
        found.one_of(at.child("policyTypes").index(index), one, &["Ingress", "Egress"]);
    }
}

fn policy_port(port: &Value, at: Path<'_>, found: &mut Findings) {
    found.one_of(at.child("protocol"), &port["protocol"], &["TCP", "UDP", "SCTP"]);
    let (number, end) = (&port["port"], &port["endPort"]);
    let end_at = at.child("endPort");
    let valid = |number: i64| (1..=65_535).contains(&number);
    match (number, end.as_i64()) {
        (Value::Null, None) => {}
        (Value::Null, Some(_)) => {
            found.invalid(end_at, end, "may not be specified when `port` is not specified");
        }
        (Value::String(name), _) => {
            if !end.is_null() {
                found.invalid(end_at, end, "may not be specified when `port` is non-numeric");
            }
            found.complain(at.child("port"), name, format::port_name(name));
        }
        (number, last) => {
            let first = number.as_i64().unwrap_or(0);
            if !valid(first) {
                found.invalid(at.child("port"), number, format::PORT);
            }
            if let Some(last) = last {
                if last < first {
                    found.invalid(end_at, number, "must be greater than or equal to `port`");
                }
                if !valid(last) {
                    found.invalid(end_at, end, format::PORT);
                }
            }
        }
    }
}

fn policy_peer(peer: &Value, at: Path<'_>, found: &mut Findings) {
    let mut peers = 0;
    for field in ["podSelector", "namespaceSelector"] {
        if peer[field].is_object() {
            peers += 1;
            selector::labels(&peer[field], at.child(field), found);
        }
    }
    let block = &peer["ipBlock"];
    if block.is_object() {
        peers += 1;
        ip_block(block, at.child("ipBlock"), found);
    }
    if peers == 0 {
        found.required(at, "must specify a peer");
    } else if peers > 1 && block.is_object() {
        found.forbidden(at, "may not specify both ipBlock and another peer");
    }
}

fn ip_block(block: &Value, at: Path<'_>, found: &mut Findings) {
    let cidr = text(block, "cidr");
    if cidr.is_empty() {
        found.required(at.child("cidr"), "");
        return;
    }
    let complaints = format::cidr(cidr);
    if !complaints.is_empty() {
        found.complain(at.child("cidr"), cidr, complaints);
        return;
    }
    for (index, except) in list(block, "except").iter().enumerate() {
        let except = except.as_str().unwrap_or_default();
        let here = at.child("except");
        let here = here.index(index);
        let complaints = format::cidr(except);
        if !complaints.is_empty() {
            found.complain(here, except, complaints);
        } else if !within(except, cidr) {
            found.invalid_text(here, except, "must be a strict subset of `cidr`");
        }
    }
}

/// Whether a range is a part, and not all, of another. Both are well formed.
fn within(part: &str, whole: &str) -> bool {
    let range = |text: &str| -> Option<(u128, u32, u32)> {
        let (address, bits) = text.split_once('/')?;
        let bits = bits.parse().ok()?;
        Some(match address.parse().ok()? {
            IpAddr::V4(ip) => (u128::from(u32::from(ip)), bits, 32),
            IpAddr::V6(ip) => (u128::from(ip), bits, 128),
        })
    };
    let (Some((ip, bits, width)), Some((of, fixed, same_width))) = (range(part), range(whole)) else { return false };
    let network = |ip: u128| ip.checked_shr(width - fixed.min(width)).unwrap_or(0);
    width == same_width && bits > fixed && network(ip) == network(of)
}

#[test]
fn a_range_is_within_a_larger_one() {
    let cases = [
        ("10.1.0.0/16", "10.0.0.0/8", true),
        ("11.0.0.0/16", "10.0.0.0/8", false),
        ("10.0.0.0/8", "10.0.0.0/8", false),
        ("10.0.0.0/7", "10.0.0.0/8", false),
        ("1.2.3.4/32", "0.0.0.0/0", true),
        ("fd00::/64", "fd00::/8", true),
        ("10.0.0.0/16", "::/0", false),
    ];
    for (part, whole, want) in cases {
        assert_eq!(within(part, whole), want, "{part} {whole}");
    }
}
