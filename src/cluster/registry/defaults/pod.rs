//! Defaults of pods that do not hold in templates.

use serde_json::{Value, json};

use super::{fill, items, pod_spec, present};

pub fn apply(pod: &mut Value) {
    let spec = &mut pod["spec"];
    pod_spec::apply(spec);
    fill(spec, "enableServiceLinks", || true);
    let host_network = spec["hostNetwork"] == true;
    for list in ["initContainers", "containers"] {
        for container in items(spec, list) {
            requests_from_limits(&mut container["resources"]);
            if host_network {
                for port in items(container, "ports") {
                    let container_port = port["containerPort"].clone();
                    fill(port, "hostPort", || container_port);
                }
            }
        }
    }
    if let Some(status) = present(pod, "status") {
        apply_status(status);
    }
}

/// What is limited and not requested is requested as limited.
fn requests_from_limits(resources: &mut Value) {
    let Some(limits) = resources["limits"].as_object().cloned() else { return };
    for (name, limit) in limits {
        fill(&mut resources["requests"], &name, || limit);
    }
}

/// `podIP` and the first of `podIPs` are the same address; fields of conditions and containers that are always there.
fn apply_status(status: &mut Value) {
    if let Some(ip) = present(status, "podIP").cloned() {
        if status["podIPs"][0]["ip"] != ip {
            status["podIPs"] = json!([{"ip": ip}]);
        }
    } else if let Some(ip) = status["podIPs"][0]["ip"].as_str() {
        status["podIP"] = json!(ip);
    }
    for condition in items(status, "conditions") {
        fill(condition, "status", || "");
        for time in ["lastProbeTime", "lastTransitionTime"] {
            fill(condition, time, || Value::Null);
        }
    }
    for list in ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"] {
        for container in items(status, list) {
            fill(container, "state", || json!({}));
            fill(container, "lastState", || json!({}));
            fill(container, "ready", || false);
            fill(container, "restartCount", || 0);
            fill(container, "image", || "");
            fill(container, "imageID", || "");
        }
    }
}
