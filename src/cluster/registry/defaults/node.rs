//! Defaults of Nodes.

use serde_json::{Value, json};

use super::pod_spec::round_up;
use super::{fill, items, present};

const SYSTEM_INFO: [&str; 10] = [
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
];

pub fn apply(node: &mut Value) {
    fill(node, "spec", || json!({}));
    let spec = &mut node["spec"];
    if let Some(range) = present(spec, "podCIDR").cloned() {
        fill(spec, "podCIDRs", || json!([range]));
    } else if let Some(range) = spec.get("podCIDRs").and_then(|ranges| ranges[0].as_str()).map(str::to_owned) {
        spec["podCIDR"] = json!(range);
    }
    let status = &mut node["status"];
    fill(&mut status["daemonEndpoints"]["kubeletEndpoint"], "Port", || 0);
    for name in SYSTEM_INFO {
        fill(&mut status["nodeInfo"], name, || "");
    }
    for condition in items(status, "conditions") {
        for time in ["lastHeartbeatTime", "lastTransitionTime"] {
            fill(condition, time, || Value::Null);
        }
    }
    if let Some(capacity) = present(status, "capacity") {
        round_up(capacity);
        let capacity = capacity.clone();
        fill(status, "allocatable", || capacity);
        round_up(&mut status["allocatable"]);
    }
}
