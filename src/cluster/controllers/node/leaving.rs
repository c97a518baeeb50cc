//! When a pod has to leave a node because of its taints. Pure.
//! (Kubernetes API, `Pod.spec.tolerations[].tolerationSeconds`.)

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};

use super::health::NO_EXECUTE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    Never,
    At(Timestamp),
}

pub fn driving_taints(node: &Node) -> Vec<&Taint> {
    let taints = node.spec.iter().flat_map(|s| s.taints.iter().flatten());
    taints.filter(|taint| taint.effect == NO_EXECUTE).collect()
}

/// A pod leaves at once for a taint that it does not tolerate, and otherwise when the first of the times has passed
/// for which it tolerates one. Times count from when the taint was added, so that a restart does not begin anew.
pub fn leaves(pod: &Pod, taints: &[&Taint]) -> Leaves {
    let tolerations: Vec<&Toleration> = pod.spec.iter().flat_map(|s| s.tolerations.iter().flatten()).collect();
    let mut first: Option<Timestamp> = None;
    for taint in taints {
        let added = taint.time_added.as_ref().map_or(Timestamp::MIN, |t| t.0);
        let mut matching = tolerations.iter().filter(|toleration| tolerates(toleration, taint)).peekable();
        let due = if matching.peek().is_none() {
            Some(added)
        } else {
            // Of several tolerations for one taint the shortest counts; one without a time is for ever.
            let seconds = matching.filter_map(|t| t.toleration_seconds).min();
            seconds.map(|s| added.saturating_add(SignedDuration::from_secs(s.max(0))).unwrap_or(Timestamp::MAX))
        };
        first = match (first, due) {
            (Some(first), Some(due)) => Some(first.min(due)),
            (first, due) => first.or(due),
        };
    }
    first.map_or(Leaves::Never, Leaves::At)
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or("");
    let key = toleration.key.as_deref().unwrap_or("");
    if (!effect.is_empty() && effect != taint.effect) || (!key.is_empty() && key != taint.key) {
        return false;
    }
    match toleration.operator.as_deref() {
        Some("Exists") => true,
        _ => !key.is_empty() && toleration.value.as_deref().unwrap_or("") == taint.value.as_deref().unwrap_or(""),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn pods_leave_when_their_patience_ends() {
        let added: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let after = |seconds| Leaves::At(added + SignedDuration::from_secs(seconds));
        let node: Node = serde_json::from_value(json!({"spec": {"taints": [
            {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"},
            {"key": "k", "value": "v", "effect": "NoSchedule"}]}}))
        .unwrap();
        let unreachable = |seconds: Value| {
            json!({"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": seconds})
        };
        for (tolerations, want) in [
            (json!([]), after(0)),
            (json!([unreachable(json!(300))]), after(300)),
            (json!([unreachable(json!(300)), unreachable(json!(20))]), after(20)),
            (json!([unreachable(Value::Null)]), Leaves::Never),
            (json!([{"operator": "Exists"}]), Leaves::Never),
            (json!([{"key": "k", "operator": "Exists"}]), after(0)),
        ] {
            let pod = json!({"spec": {"containers": [], "tolerations": tolerations}});
            let pod: Pod = serde_json::from_value(pod).unwrap();
            assert_eq!(leaves(&pod, &driving_taints(&node)), want, "{tolerations}");
        }
    }
}
