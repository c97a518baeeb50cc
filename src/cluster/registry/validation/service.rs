//! Services. Whether an address or a port is free is for those who give them out.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::field::{Findings, Path, entries, list, quoted, shown, text};
use super::{format, metadata};

const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const ONLY_LOAD_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";
/// The longest time that a client can stay with one pod: a day.
const AFFINITY_SECONDS: i64 = 86_400;
/// The ports that every node can be asked to open.
pub const NODE_PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

pub fn check(service: &Value, found: &mut Findings) {
    let spec = &service["spec"];
    let at = Path::Root.child("spec");
    let of_type = text(spec, "type");
    let headless = text(spec, "clusterIP") == "None";
    let ports = list(spec, "ports");
    if ports.is_empty() && !headless && of_type != "ExternalName" {
        found.required(at.child("ports"), "");
    }
    addresses_of_type(spec, of_type, headless, at, found);
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        check_port(port, ports.len() > 1, &mut names, at.child("ports").index(index), found);
    }
    metadata::labels(&spec["selector"], at.child("selector"), found);
    affinity(spec, at, found);
    cluster_ips(spec, of_type, at, found);
    for (index, ip) in list(spec, "externalIPs").iter().enumerate() {
        let ip = ip.as_str().unwrap_or_default();
        let at = at.child("externalIPs");
        found.complain(at.index(index), ip, format::ip(ip));
        found.complain(at.index(index), ip, format::special_ip(ip));
    }
    found.one_of(at.child("type"), &spec["type"], &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    ports_together(ports, of_type, at.child("ports"), found);
    source_ranges(spec, of_type, at.child("LoadBalancerSourceRanges"), found);
    traffic(spec, of_type, at, found);
    load_balancer(spec, of_type, at, found);
}

fn addresses_of_type(spec: &Value, of_type: &str, headless: bool, at: Path<'_>, found: &mut Findings) {
    let ips_at = at.child("clusterIPs");
    match of_type {
        "LoadBalancer" | "NodePort" if headless => {
            let why = format!("may not be set to 'None' for {of_type} services");
            found.invalid_text(ips_at.index(0), "None", why);
        }
        "ExternalName" => {
            if !list(spec, "clusterIPs").is_empty() || !text(spec, "clusterIP").is_empty() {
                found.forbidden(ips_at, "may not be set for ExternalName services");
            }
            for field in ["ipFamilyPolicy", "ipFamilies"] {
                if !spec[field].is_null() {
                    found.forbidden(at.child(field), "may not be set for ExternalName services");
                }
            }
            match text(spec, "externalName") {
                "" => found.required(at.child("externalName"), ""),
                name => {
                    let absolute = name.strip_suffix('.').unwrap_or(name);
                    found.complain(at.child("externalName"), absolute, format::subdomain(absolute));
                }
            }
        }
        _ => {}
    }
}

fn check_port<'a>(
    port: &'a Value,
    needs_name: bool,
    names: &mut BTreeSet<&'a str>,
    at: Path<'_>,
    found: &mut Findings,
) {
    match text(port, "name") {
        "" if needs_name => found.required(at.child("name"), ""),
        "" => {}
        name => {
            found.complain(at.child("name"), name, format::label(name));
            if !names.insert(name) {
                found.duplicate(at.child("name"), &port["name"]);
            }
        }
    }
    number(&port["port"], at.child("port"), found);
    match text(port, "protocol") {
        "" => found.required(at.child("protocol"), ""),
        _ => found.one_of(at.child("protocol"), &port["protocol"], PROTOCOLS),
    }
    match port["targetPort"].as_str() {
        Some(name) => found.complain(at.child("targetPort"), name, format::port_name(name)),
        None => number(&port["targetPort"], at.child("targetPort"), found),
    }
    let protocol = text(port, "appProtocol");
    if port["appProtocol"].is_string() {
        found.complain(at.child("appProtocol"), protocol, format::qualified_name(protocol));
    }
}

fn number(value: &Value, at: Path<'_>, found: &mut Findings) {
    let number = value.as_i64().unwrap_or(0);
    if !(1..=65_535).contains(&number) {
        found.invalid_shown(at, &number.to_string(), format::PORT);
    }
}

fn affinity(spec: &Value, at: Path<'_>, found: &mut Findings) {
    match text(spec, "sessionAffinity") {
        "" => found.required(at.child("sessionAffinity"), ""),
        _ => found.one_of(at.child("sessionAffinity"), &spec["sessionAffinity"], &["ClientIP", "None"]),
    }
    let seconds = &spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"];
    if text(spec, "sessionAffinity") == "ClientIP"
        && !seconds.as_i64().is_some_and(|s| (1..=AFFINITY_SECONDS).contains(&s))
    {
        let at = at.child("sessionAffinityConfig");
        let at = at.child("clientIP");
        let why = format!("must be greater than 0 and less than {AFFINITY_SECONDS}");
        found.invalid(at.child("timeoutSeconds"), seconds, why);
    }
}

fn cluster_ips(spec: &Value, of_type: &str, at: Path<'_>, found: &mut Findings) {
    if of_type == "ExternalName" {
        return;
    }
    let ips = list(spec, "clusterIPs");
    let at_ips = at.child("clusterIPs");
    for (index, ip) in ips.iter().enumerate() {
        let ip = ip.as_str().unwrap_or_default();
        if ip == "None" && index == 0 {
            if ips.len() > 1 {
                found.invalid(at_ips, &spec["clusterIPs"], "'None' must be the first and only value");
            }
        } else {
            found.complain(at_ips.index(index), ip, format::ip(ip));
        }
    }
    let policies = ["SingleStack", "PreferDualStack", "RequireDualStack"];
    found.one_of(at.child("ipFamilyPolicy"), &spec["ipFamilyPolicy"], &policies);
    // Whoever writes the endpoints of a service without addresses and selector knows their families.
    let only_described = text(spec, "clusterIP") == "None" && entries(&spec["selector"]).next().is_none();
    if !only_described && spec["ipFamilyPolicy"] == "RequireDualStack" {
        let why = "this cluster is not configured for dual-stack services";
        found.invalid(at.child("ipFamilyPolicy"), &spec["ipFamilyPolicy"], why);
    }
    for (index, family) in list(spec, "ipFamilies").iter().enumerate() {
        let at = at.child("ipFamilies");
        found.one_of(at.index(index), family, &["IPv4", "IPv6"]);
        if !only_described && family == "IPv6" {
            found.invalid(at.index(index), family, "not configured on this cluster");
        }
    }
}

/// What holds between ports: none twice, and node ports only where nodes listen.
fn ports_together(ports: &[Value], of_type: &str, at: Path<'_>, found: &mut Findings) {
    for (index, port) in ports.iter().enumerate() {
        let node_port = port["nodePort"].as_i64().unwrap_or(0);
        if of_type == "ClusterIP" && node_port != 0 {
            found.forbidden(at.index(index).child("nodePort"), "may not be used when `type` is 'ClusterIP'");
        } else if node_port != 0 && !NODE_PORTS.contains(&node_port) {
            let (low, high) = (NODE_PORTS.start(), NODE_PORTS.end());
            let why = format!("provided port is not in the valid range. The range of valid ports is {low}-{high}");
            found.invalid(at.index(index).child("nodePort"), &port["nodePort"], why);
        }
    }
    for (index, port) in ports.iter().enumerate() {
        let same = |other: &&Value| other["port"] == port["port"] && other["protocol"] == port["protocol"];
        if ports[..index].iter().any(|other| same(&other)) {
            let key = format!(
                "{{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
                shown(&port["protocol"]),
                port["port"]
            );
            found.duplicate_shown(at.index(index), &key);
        }
    }
}

fn source_ranges(spec: &Value, of_type: &str, at: Path<'_>, found: &mut Findings) {
    let ranges = list(spec, "loadBalancerSourceRanges");
    if !ranges.is_empty() && of_type != "LoadBalancer" {
        found.forbidden(at, ONLY_LOAD_BALANCER);
        return;
    }
    for (index, range) in ranges.iter().enumerate() {
        let range = range.as_str().unwrap_or_default();
        found.complain(at.index(index), range, format::cidr(range.trim()));
    }
}

fn traffic(spec: &Value, of_type: &str, at: Path<'_>, found: &mut Findings) {
    let from_outside = matches!(of_type, "NodePort" | "LoadBalancer")
        || (of_type == "ClusterIP" && !list(spec, "externalIPs").is_empty());
    let policy = &spec["externalTrafficPolicy"];
    if policy.is_string() && !from_outside && !of_type.is_empty() {
        let why = "may only be set for externally-accessible services";
        found.invalid(at.child("externalTrafficPolicy"), policy, why);
    } else {
        found.one_of(at.child("externalTrafficPolicy"), policy, &["Cluster", "Local"]);
    }
    let health_port = &spec["healthCheckNodePort"];
    if health_port.as_i64().unwrap_or(0) != 0 && !(of_type == "LoadBalancer" && policy == "Local") {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        found.invalid(at.child("healthCheckNodePort"), health_port, why);
    }
    found.one_of(at.child("internalTrafficPolicy"), &spec["internalTrafficPolicy"], &["Cluster", "Local"]);
    let near = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    found.one_of(at.child("trafficDistribution"), &spec["trafficDistribution"], &near);
}

fn load_balancer(spec: &Value, of_type: &str, at: Path<'_>, found: &mut Findings) {
    for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
        if !spec[field].is_null() && of_type != "LoadBalancer" {
            found.forbidden(at.child(field), ONLY_LOAD_BALANCER);
        }
    }
    class_name(spec, of_type, at, found);
}

fn class_name(spec: &Value, of_type: &str, at: Path<'_>, found: &mut Findings) {
    if let Some(class) = spec["loadBalancerClass"].as_str().filter(|_| of_type == "LoadBalancer") {
        found.complain(at.child("loadBalancerClass"), class, format::qualified_name(class));
    }
}

/// The address of a service stays: clients have it in their memory.
pub fn immutable(new: &Value, old: &Value, found: &mut Findings) {
    let at = Path::Root.child("spec");
    let (is, was) = (&new["spec"], &old["spec"]);
    let first = |spec: &Value| text(spec, "clusterIP").to_owned();
    let inside = text(is, "type") != "ExternalName" && text(was, "type") != "ExternalName";
    if inside && !first(was).is_empty() && first(is) != first(was) {
        let given =
            if is["clusterIPs"].is_array() { shown(&is["clusterIPs"]) } else { format!("[{}]", quoted(&first(is))) };
        found.invalid_shown(at.child("clusterIPs").index(0), &given, "may not change once set");
    }
    let (class, old_class) = (&is["loadBalancerClass"], &was["loadBalancerClass"]);
    if text(is, "type") == "LoadBalancer" && class != old_class {
        if text(was, "type") == "LoadBalancer" {
            let class = if class.is_null() { json!(null) } else { class.clone() };
            found.invalid(at.child("loadBalancerClass"), &class, "may not change once set");
        } else {
            class_name(is, "LoadBalancer", at, found);
        }
    }
}
