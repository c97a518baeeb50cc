//! Which nodes a DaemonSet is for: by node name, selector, affinity and taints. Pure.
//! (Kubernetes documentation, "DaemonSet: how daemon pods are scheduled".)

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, PodSpec, Taint, Toleration};

use super::template::tolerations;
use crate::cluster::scheduler::{NodeTerm, tolerates};

/// What a DaemonSet does on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// A pod is to be there.
    pub run: bool,
    /// A pod that is there may stay.
    pub stay: bool,
}

/// What the pods of a DaemonSet ask of their nodes.
#[derive(Debug)]
pub struct Wants {
    node: Option<String>,
    selector: BTreeMap<String, String>,
    terms: Option<Vec<NodeTerm>>,
    tolerations: Vec<Toleration>,
}

impl Wants {
    pub fn of(template: &PodSpec) -> Self {
        let affinity = template.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
        let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
        Self {
            node: template.node_name.clone().filter(|n| !n.is_empty()),
            selector: template.node_selector.clone().unwrap_or_default(),
            terms: required.map(|r| r.node_selector_terms.iter().filter_map(NodeTerm::of).collect()),
            tolerations: tolerations(template),
        }
    }

    pub fn fit(&self, node: &Node) -> Fit {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let none = BTreeMap::new();
        let labels = node.metadata.labels.as_ref().unwrap_or(&none);
        let selected = self.node.as_deref().is_none_or(|wanted| wanted == name)
            && self.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.terms.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches(name, labels)));
        if !selected {
            return Fit::default();
        }
        let taints = || node.spec.iter().flat_map(|s| s.taints.iter().flatten());
        let bears = |taint: &Taint| self.tolerations.iter().any(|toleration| tolerates(toleration, taint));
        let bears_all = |effects: &[&str]| taints().filter(|t| effects.contains(&t.effect.as_str())).all(bears);
        Fit { run: bears_all(&["NoSchedule", "NoExecute"]), stay: bears_all(&["NoExecute"]) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fit(spec: Value, taints: Value) -> (bool, bool) {
        let mut spec = spec;
        spec["containers"] = json!([]);
        let node = json!({"metadata": {"name": "n1", "labels": {"zone": "a"}}, "spec": {"taints": taints}});
        let wants = Wants::of(&serde_json::from_value(spec).unwrap());
        let fit = wants.fit(&serde_json::from_value(node).unwrap());
        (fit.run, fit.stay)
    }

    #[test]
    fn a_node_is_for_it_by_name_selector_affinity_and_taints() {
        let taint = |key: &str, effect: &str| json!([{"key": key, "effect": effect}]);
        let affinity = |zone: &str| {
            let terms = json!([{"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]}]);
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                {"nodeSelectorTerms": terms}}}})
        };
        for (spec, taints, want) in [
            (json!({}), json!([]), (true, true)),
            (json!({"nodeName": "n2"}), json!([]), (false, false)),
            (json!({"nodeSelector": {"zone": "a"}}), json!([]), (true, true)),
            (json!({"nodeSelector": {"zone": "b"}}), json!([]), (false, false)),
            (affinity("a"), json!([]), (true, true)),
            (affinity("b"), json!([]), (false, false)),
            (json!({}), taint("k", "NoSchedule"), (false, true)),
            (json!({}), taint("k", "NoExecute"), (false, false)),
            (json!({}), taint("k", "PreferNoSchedule"), (true, true)),
            (json!({"tolerations": [{"key": "k", "operator": "Exists"}]}), taint("k", "NoExecute"), (true, true)),
            (json!({}), taint("node.kubernetes.io/not-ready", "NoExecute"), (true, true)),
            (json!({}), taint("node.kubernetes.io/unschedulable", "NoSchedule"), (true, true)),
            (json!({}), taint("node.kubernetes.io/network-unavailable", "NoSchedule"), (false, true)),
            (json!({"hostNetwork": true}), taint("node.kubernetes.io/network-unavailable", "NoSchedule"), (true, true)),
        ] {
            assert_eq!(fit(spec.clone(), taints.clone()), want, "{spec} {taints}");
        }
    }
}
