//! Nodes.

use serde_json::Value;

use super::field::{Findings, Path, list, quoted, text};
use super::format;

pub const TAINT_EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub fn check(node: &Value, found: &mut Findings) {
    let spec = &node["spec"];
    taints(spec, found);
    for (index, range) in list(spec, "podCIDRs").iter().enumerate() {
        let range = range.as_str().unwrap_or_default();
        let at = Path::Root.child("spec");
        found.complain(at.child("podCIDRs").index(index), range, format::cidr(range));
    }
}

/// Kubernetes names the taints as if they were in the metadata.
fn taints(spec: &Value, found: &mut Findings) {
    let taints = list(spec, "taints");
    let at = Path::Root.child("metadata");
    let at = at.child("taints");
    for (index, taint) in taints.iter().enumerate() {
        let at = at.index(index);
        let (key, value) = (text(taint, "key"), text(taint, "value"));
        found.complain(at.child("key"), key, format::qualified_name(key));
        found.complain(at.child("value"), value, format::label_value(value));
        match text(taint, "effect") {
            "" => found.required(at.child("effect"), ""),
            _ => found.one_of(at.child("effect"), &taint["effect"], TAINT_EFFECTS),
        }
        let same = |other: &Value| other["key"] == taint["key"] && other["effect"] == taint["effect"];
        if taints[..index].iter().any(same) {
            let shown = format!(
                "{{\"Key\":{},\"Value\":{},\"Effect\":{},\"TimeAdded\":null}}: taints must be unique by key and effect pair",
                quoted(key),
                quoted(value),
                quoted(text(taint, "effect"))
            );
            found.duplicate_shown(at, &shown);
        }
    }
}

/// A node keeps the addresses that its pods were given.
pub fn immutable(new: &Value, old: &Value, found: &mut Findings) {
    taints(&new["spec"], found);
    let at = Path::Root.child("spec");
    let was = text(&old["spec"], "podCIDR");
    if !was.is_empty() && text(&new["spec"], "podCIDR") != was {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        found.forbidden(at.child("podCIDRs"), why);
    }
    let was = text(&old["spec"], "providerID");
    if !was.is_empty() && text(&new["spec"], "providerID") != was {
        let why = "node updates may not change providerID except from \"\" to valid";
        found.forbidden(at.child("providerID"), why);
    }
}
