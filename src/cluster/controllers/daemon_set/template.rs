//! What the pod of a node is: the template, bound to the node by name, that bears what befalls nodes. Pure.

use k8s_openapi::api::core::v1::{PodSpec, Toleration};
use serde_json::{Value, json};

pub const REVISION: &str = "controller-revision-hash";
/// Counts the templates of a DaemonSet, since before it had revisions.
pub const GENERATION: &str = "pod-template-generation";
pub const GENERATION_ANNOTATION: &str = "deprecated.daemonset.template.generation";

/// What every daemon pod bears: it belongs to its node, in good days and bad.
const BORNE: &[(&str, &str)] = &[
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
/// A pod in the host's network needs no other.
const BORNE_IN_HOST_NETWORK: (&str, &str) = ("node.kubernetes.io/network-unavailable", "NoSchedule");

/// The tolerations of the template, and those that every daemon pod has.
pub fn tolerations(template: &PodSpec) -> Vec<Toleration> {
    let mut all = template.tolerations.clone().unwrap_or_default();
    let in_host_network = template.host_network.unwrap_or(false).then_some(&BORNE_IN_HOST_NETWORK);
    for (key, effect) in BORNE.iter().chain(in_host_network) {
        let toleration = Toleration {
            key: Some((*key).to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some((*effect).to_owned()),
            ..Toleration::default()
        };
        // One for the same, for a limited time, is replaced: daemon pods stay.
        let same = |t: &Toleration| {
            (&t.key, &t.operator, &t.effect) == (&toleration.key, &toleration.operator, &toleration.effect)
        };
        match all.iter().position(|t| same(t) && t.value.as_deref().unwrap_or_default().is_empty()) {
            Some(index) => all[index] = toleration,
            None => all.push(toleration),
        }
    }
    all
}

/// Makes the pod of a template that of a node.
pub fn bind_to(pod: &mut Value, node: &str) {
    let affinity = &mut pod["spec"]["affinity"]["nodeAffinity"];
    affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] =
        json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerations_for_a_time_are_replaced_and_others_kept() {
        let spec = json!({"containers": [], "hostNetwork": true, "tolerations": [{"key": "k", "operator": "Exists"},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]});
        let all = tolerations(&serde_json::from_value(spec).unwrap());
        assert_eq!(all.len(), 8);
        assert_eq!(all[0].key.as_deref(), Some("k"));
        assert_eq!((all[1].key.as_deref(), all[1].toleration_seconds), (Some(BORNE[0].0), None));
    }

    #[test]
    fn the_node_replaces_the_required_terms_and_nothing_else() {
        let mut pod = json!({"spec": {"affinity": {"podAntiAffinity": {}, "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [],
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": []}]}}}}});
        bind_to(&mut pod, "n1");
        assert_eq!(
            pod["spec"]["affinity"],
            json!({"podAntiAffinity": {}, "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [],
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]}}})
        );
        let mut plain = json!({"spec": {}});
        bind_to(&mut plain, "n1");
        assert!(plain["spec"]["affinity"]["nodeAffinity"].is_object());
    }
}
