//! What a node's conditions mean: its taints, and what is written when it has gone silent. Pure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
pub const NO_SCHEDULE: &str = "NoSchedule";
pub const NO_EXECUTE: &str = "NoExecute";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    NotReady,
    /// Nobody knows: the node is silent.
    Unknown,
}

pub fn readiness(node: &Node) -> Readiness {
    match condition(node, "Ready").map(|c| c.status.as_str()) {
        Some("True") => Readiness::Ready,
        Some("False") => Readiness::NotReady,
        _ => Readiness::Unknown,
    }
}

pub fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|c| c.type_ == kind)
}

/// The conditions of a node that has gone silent; `None` when they say so already.
pub fn silenced(node: &Node, now: Timestamp) -> Option<Vec<NodeCondition>> {
    let mut conditions = node.status.as_ref().and_then(|s| s.conditions.clone()).unwrap_or_default();
    let mut changed = false;
    for kind in ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"] {
        match conditions.iter_mut().find(|c| c.type_ == kind) {
            Some(known) if known.status == "Unknown" => {}
            Some(known) => {
                known.status = "Unknown".into();
                known.reason = Some("NodeStatusUnknown".into());
                known.message = Some("Kubelet stopped posting node status.".into());
                known.last_transition_time = Some(Time(now));
                changed = true;
            }
            None => {
                conditions.push(NodeCondition {
                    type_: kind.into(),
                    status: "Unknown".into(),
                    reason: Some("NodeStatusNeverUpdated".into()),
                    message: Some("Kubelet never posted node status.".into()),
                    last_transition_time: Some(Time(now)),
                    last_heartbeat_time: node.metadata.creation_timestamp.clone(),
                });
                changed = true;
            }
        }
    }
    changed.then_some(conditions)
}

/// The taint that drives pods off a node which is not ready.
pub fn driving(readiness: Readiness) -> Option<&'static str> {
    match readiness {
        Readiness::Ready => None,
        Readiness::NotReady => Some(NOT_READY),
        Readiness::Unknown => Some(UNREACHABLE),
    }
}

/// The taints that a node is to have; `None` when it has them. Those of others stay as they are. `drive` says
/// whether the node may get the taint that drives its pods off; one that has it keeps it while `drive` holds.
pub fn taints(node: &Node, drive: bool, now: Timestamp) -> Option<Vec<Taint>> {
    let present = node.spec.as_ref().and_then(|s| s.taints.clone()).unwrap_or_default();
    let readiness = readiness(node);
    let mut wanted: Vec<(&str, &str)> =
        keeping_off(node, readiness).into_iter().map(|key| (key, NO_SCHEDULE)).collect();
    if let Some(key) = driving(readiness).filter(|_| drive) {
        wanted.push((key, NO_EXECUTE));
    }
    let is_ours = |taint: &Taint| match taint.effect.as_str() {
        NO_SCHEDULE => OURS.contains(&taint.key.as_str()),
        NO_EXECUTE => matches!(taint.key.as_str(), NOT_READY | UNREACHABLE),
        _ => false,
    };
    let stays = |taint: &Taint| !is_ours(taint) || wanted.contains(&(&*taint.key, &*taint.effect));
    let mut next: Vec<Taint> = present.iter().filter(|taint| stays(taint)).cloned().collect();
    for (key, effect) in wanted {
        if !next.iter().any(|taint| taint.key == key && taint.effect == effect) {
            let time_added = Some(Time(now));
            next.push(Taint { key: key.into(), effect: effect.into(), time_added, value: None });
        }
    }
    (next != present).then_some(next)
}

/// Taints that come and go with conditions, and with `kubectl cordon`.
const OURS: &[&str] = &[NOT_READY, UNREACHABLE, MEMORY, DISK, PIDS, NETWORK, CORDONED];
const MEMORY: &str = "node.kubernetes.io/memory-pressure";
const DISK: &str = "node.kubernetes.io/disk-pressure";
const PIDS: &str = "node.kubernetes.io/pid-pressure";
const NETWORK: &str = "node.kubernetes.io/network-unavailable";
const CORDONED: &str = "node.kubernetes.io/unschedulable";

fn keeping_off(node: &Node, readiness: Readiness) -> Vec<&'static str> {
    let holds = |kind: &str| condition(node, kind).is_some_and(|c| c.status == "True");
    let mut keys: Vec<&str> = driving(readiness).into_iter().collect();
    let pressures = [("MemoryPressure", MEMORY), ("DiskPressure", DISK), ("PIDPressure", PIDS)];
    let pressures = pressures.into_iter().chain([("NetworkUnavailable", NETWORK)]);
    keys.extend(pressures.filter(|(kind, _)| holds(kind)).map(|(_, key)| key));
    if node.spec.as_ref().and_then(|s| s.unschedulable).unwrap_or(false) {
        keys.push(CORDONED);
    }
    keys
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(ready: Option<&str>, spec: Value) -> Node {
        let conditions: Vec<Value> = ready.iter().map(|status| json!({"type": "Ready", "status": status})).collect();
        serde_json::from_value(json!({"metadata": {"name": "n"}, "spec": spec, "status": {"conditions": conditions}}))
            .unwrap()
    }

    #[test]
    fn taints_follow_the_conditions_and_leave_others_alone() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let own = json!({"key": "gpu", "effect": "NoSchedule"});
        for (ready, spec, drive, want) in [
            (Some("True"), json!({}), true, None),
            (Some("False"), json!({}), false, Some(vec!["not-ready NoSchedule"])),
            (Some("False"), json!({}), true, Some(vec!["not-ready NoSchedule", "not-ready NoExecute"])),
            (None, json!({}), true, Some(vec!["unreachable NoSchedule", "unreachable NoExecute"])),
            (Some("True"), json!({"unschedulable": true}), true, Some(vec!["unschedulable NoSchedule"])),
            (
                Some("True"),
                json!({"taints": [own, {"key": UNREACHABLE, "effect": "NoExecute"}]}),
                true,
                Some(vec!["gpu NoSchedule"]),
            ),
        ] {
            let drawn = taints(&node(ready, spec.clone()), drive, now).map(|taints| {
                let short = |t: &Taint| format!("{} {}", t.key.trim_start_matches("node.kubernetes.io/"), t.effect);
                taints.iter().map(short).collect::<Vec<_>>()
            });
            let want = want.map(|w| w.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(drawn, want, "{ready:?} {spec}");
        }
    }

    #[test]
    fn silence_is_written_once() {
        let mut silent = node(Some("True"), json!({}));
        let conditions = silenced(&silent, Timestamp::UNIX_EPOCH).unwrap();
        assert!(conditions.iter().all(|c| c.status == "Unknown"));
        silent.status.as_mut().unwrap().conditions = Some(conditions);
        assert_eq!(silenced(&silent, Timestamp::UNIX_EPOCH), None);
        assert_eq!(readiness(&silent), Readiness::Unknown);
    }
}
