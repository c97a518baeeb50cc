//! Where a pod may run: affinity, tolerations and spreading.

use serde_json::Value;

use super::field::{Findings, Path, list, shown, text};
use super::node::TAINT_EFFECTS;
use super::{format, selector};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub fn check(affinity: &Value, at: Path<'_>, found: &mut Findings) {
    node(&affinity["nodeAffinity"], at.child("nodeAffinity"), found);
    for side in ["podAffinity", "podAntiAffinity"] {
        let at = at.child(side);
        for (index, term) in list(&affinity[side], REQUIRED).iter().enumerate() {
            pod_term(term, at.child(REQUIRED).index(index), found);
        }
        for (index, preference) in list(&affinity[side], PREFERRED).iter().enumerate() {
            let at = at.child(PREFERRED);
            let at = at.index(index);
            weight(preference, at.child("weight"), found);
            pod_term(&preference["podAffinityTerm"], at.child("podAffinityTerm"), found);
        }
    }
}

fn node(affinity: &Value, at: Path<'_>, found: &mut Findings) {
    node_selector(&affinity[REQUIRED], at.child(REQUIRED), found);
    for (index, preference) in list(affinity, PREFERRED).iter().enumerate() {
        let at = at.child(PREFERRED);
        let at = at.index(index);
        weight(preference, at.child("weight"), found);
        selector::node_term(&preference["preference"], at.child("preference"), found);
    }
}

/// Which nodes will do; nothing where it is absent.
pub fn node_selector(required: &Value, at: Path<'_>, found: &mut Findings) {
    if !required.is_object() {
        return;
    }
    let at = at.child("nodeSelectorTerms");
    let terms = list(required, "nodeSelectorTerms");
    if terms.is_empty() {
        found.required(at, "must have at least one node selector term");
    }
    for (index, term) in terms.iter().enumerate() {
        selector::node_term(term, at.index(index), found);
    }
}

fn weight(preference: &Value, at: Path<'_>, found: &mut Findings) {
    let weight = preference["weight"].as_i64().unwrap_or(0);
    if !(1..=100).contains(&weight) {
        found.invalid_shown(at, &weight.to_string(), "must be in the range 1-100");
    }
}

fn pod_term(term: &Value, at: Path<'_>, found: &mut Findings) {
    selector::labels(&term["labelSelector"], at.child("labelSelector"), found);
    selector::labels(&term["namespaceSelector"], at.child("namespaceSelector"), found);
    for name in list(term, "namespaces") {
        let name = name.as_str().unwrap_or_default();
        found.complain(at.child("namespace"), name, format::label(name));
    }
    let key = text(term, "topologyKey");
    if key.is_empty() {
        found.required(at.child("topologyKey"), "can not be empty");
    }
    found.complain(at.child("topologyKey"), key, format::qualified_name(key));
}

pub fn tolerations(spec: &Value, at: Path<'_>, found: &mut Findings) {
    for (index, toleration) in list(spec, "tolerations").iter().enumerate() {
        let at = at.index(index);
        let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
        let (value, effect) = (text(toleration, "value"), text(toleration, "effect"));
        if !key.is_empty() {
            found.complain(at.child("key"), key, format::qualified_name(key));
        } else if operator != "Exists" {
            let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            found.invalid_text(at.child("operator"), operator, why);
        }
        if !toleration["tolerationSeconds"].is_null() && effect != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            found.invalid_text(at.child("effect"), effect, why);
        }
        match operator {
            "Equal" | "" => found.complain(at.child("operator"), value, format::label_value(value)),
            "Exists" if !value.is_empty() => {
                found.invalid_shown(
                    at.child("operator"),
                    &shown(toleration),
                    "value must be empty when `operator` is 'Exists'",
                );
            }
            "Exists" => {}
            _ => found.unsupported(at.child("operator"), &toleration["operator"], &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            found.one_of(at.child("effect"), &toleration["effect"], TAINT_EFFECTS);
        }
    }
}

pub fn spreading(spec: &Value, at: Path<'_>, found: &mut Findings) {
    let constraints = list(spec, "topologySpreadConstraints");
    for (index, constraint) in constraints.iter().enumerate() {
        let at = at.index(index);
        if constraint["maxSkew"].as_i64().unwrap_or(0) <= 0 {
            let skew = constraint["maxSkew"].as_i64().unwrap_or(0).to_string();
            found.invalid_shown(at.child("maxSkew"), &skew, "must be greater than zero");
        }
        match text(constraint, "topologyKey") {
            "" => found.required(at.child("topologyKey"), "can not be empty"),
            key => found.complain(at.child("topologyKey"), key, format::qualified_name(key)),
        }
        let actions = ["DoNotSchedule", "ScheduleAnyway"];
        match text(constraint, "whenUnsatisfiable") {
            "" => found.unsupported_shown(at.child("whenUnsatisfiable"), "\"\"", &actions),
            _ => found.one_of(at.child("whenUnsatisfiable"), &constraint["whenUnsatisfiable"], &actions),
        }
        let identity = |c: &Value| (text(c, "topologyKey").to_owned(), text(c, "whenUnsatisfiable").to_owned());
        if constraints[..index].iter().any(|other| identity(other) == identity(constraint)) {
            let (key, action) = identity(constraint);
            let pair = serde_json::Value::String(format!("{{{key}, {action}}}"));
            found.duplicate(at.child("{topologyKey, whenUnsatisfiable}"), &pair);
        }
        if constraint["minDomains"].as_i64().is_some_and(|domains| domains <= 0) {
            found.invalid(at.child("minDomains"), &constraint["minDomains"], "must be greater than 0");
        }
        found.one_of(at.child("nodeAffinityPolicy"), &constraint["nodeAffinityPolicy"], &["Honor", "Ignore"]);
        found.one_of(at.child("nodeTaintsPolicy"), &constraint["nodeTaintsPolicy"], &["Honor", "Ignore"]);
        selector::labels(&constraint["labelSelector"], at.child("labelSelector"), found);
    }
}
