//! Defaults of Services. Addresses and node ports are not given here.

use serde_json::{Value, json};

use super::{fill, items, present};

/// How long a client stays with one pod under `ClientIP` affinity: three hours.
const AFFINITY_SECONDS: i64 = 10_800;

pub fn apply(service: &mut Value) {
    let spec = &mut service["spec"];
    fill(spec, "sessionAffinity", || "None");
    fill(spec, "type", || "ClusterIP");
    let of_type = spec["type"].as_str().unwrap_or_default().to_owned();
    if spec["sessionAffinity"] == "ClientIP" {
        fill(&mut spec["sessionAffinityConfig"]["clientIP"], "timeoutSeconds", || AFFINITY_SECONDS);
    } else if let Some(members) = spec.as_object_mut().filter(|spec| spec["sessionAffinity"] == "None") {
        members.remove("sessionAffinityConfig");
    }
    for port in items(spec, "ports") {
        fill(port, "protocol", || "TCP");
        let number = port["port"].clone();
        if matches!(&port["targetPort"], Value::Null) || port["targetPort"] == 0 || port["targetPort"] == "" {
            port["targetPort"] = if number.is_null() { json!(0) } else { number };
        }
    }
    let from_outside = matches!(of_type.as_str(), "NodePort" | "LoadBalancer");
    let external_ips = spec["externalIPs"].as_array().is_some_and(|ips| !ips.is_empty());
    if from_outside || (of_type == "ClusterIP" && external_ips) {
        fill(spec, "externalTrafficPolicy", || "Cluster");
    }
    if of_type != "ExternalName" {
        fill(spec, "internalTrafficPolicy", || "Cluster");
        addresses(spec);
    }
    if of_type == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", || true);
    }
    fill(&mut service["status"], "loadBalancer", || json!({}));
}

/// `clusterIP` and the first of `clusterIPs` are the same address, of IPv4.
fn addresses(spec: &mut Value) {
    if let Some(ip) = present(spec, "clusterIP").cloned() {
        fill(spec, "clusterIPs", || json!([ip]));
    } else if let Some(ip) = spec["clusterIPs"][0].as_str() {
        spec["clusterIP"] = json!(ip);
    }
    let headless = spec["clusterIP"] == "None";
    let selects = spec["selector"].as_object().is_some_and(|labels| !labels.is_empty());
    let unsaid = spec["ipFamilies"].is_null() && spec["ipFamilyPolicy"].is_null();
    // Nobody knows the families of endpoints that no selector finds: they may be of both.
    if headless && !selects && unsaid {
        spec["ipFamilyPolicy"] = json!("RequireDualStack");
        spec["ipFamilies"] = json!(["IPv4", "IPv6"]);
    }
    fill(spec, "ipFamilyPolicy", || "SingleStack");
    fill(spec, "ipFamilies", || json!(["IPv4"]));
}
