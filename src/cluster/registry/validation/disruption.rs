//! PodDisruptionBudgets.

use serde_json::Value;

use super::field::{Findings, Path, shown};
use super::selector;
use super::workload::{at_most_all, number_or_percent};

pub fn budget(budget: &Value, found: &mut Findings) {
    let spec = &budget["spec"];
    let at = Path::Root.child("spec");
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        found.invalid_shown(at, &shown_spec(spec), "minAvailable and maxUnavailable cannot be both set");
    }
    for field in ["minAvailable", "maxUnavailable"] {
        number_or_percent(&spec[field], at.child(field), found);
        at_most_all(&spec[field], at.child(field), found);
    }
    selector::labels(&spec["selector"], at.child("selector"), found);
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    found.one_of(at.child("unhealthyPodEvictionPolicy"), &spec["unhealthyPodEvictionPolicy"], &policies);
}

/// The spec as Kubernetes writes it in a message.
fn shown_spec(spec: &Value) -> String {
    let members = ["minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy"];
    let member = |name: &str| {
        let (first, rest) = name.split_at(1);
        format!("\"{}{rest}\":{}", first.to_uppercase(), shown(&spec[name]))
    };
    format!("{{{}}}", members.map(member).join(","))
}
