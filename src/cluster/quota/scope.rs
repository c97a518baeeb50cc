//! Which objects a quota counts: all of the namespace, or the pods that its scopes choose.

use serde_json::Value;

use crate::object::{Kind, kinds};

/// Whether a quota with this `spec` counts the object.
pub fn counts(spec: &Value, kind: &'static Kind, object: &Value) -> bool {
    let plain = spec["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut terms: Vec<(&str, &str, Vec<&str>)> = plain.map(|scope| (scope, "Exists", Vec::new())).collect();
    for term in spec["scopeSelector"]["matchExpressions"].as_array().into_iter().flatten() {
        let text = |name: &str| term[name].as_str().unwrap_or_default();
        let values = term["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        terms.push((text("scopeName"), text("operator"), values));
    }
    terms.is_empty()
        || kind == kinds::POD
            && terms.iter().all(|(scope, operator, values)| holds(scope, operator, values, &object["spec"]))
}

fn holds(scope: &str, operator: &str, values: &[&str], spec: &Value) -> bool {
    let terminates = spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0);
    match scope {
        "Terminating" => terminates,
        "NotTerminating" => !terminates,
        "BestEffort" => asks_for_nothing(spec),
        "NotBestEffort" => !asks_for_nothing(spec),
        "CrossNamespacePodAffinity" => reaches_other_namespaces(&spec["affinity"]),
        "PriorityClass" => {
            let class = spec["priorityClassName"].as_str().filter(|class| !class.is_empty());
            match operator {
                "In" => class.is_some_and(|class| values.contains(&class)),
                "NotIn" => class.is_none_or(|class| !values.contains(&class)),
                "DoesNotExist" => class.is_none(),
                _ => class.is_some(),
            }
        }
        _ => false,
    }
}

/// The quality of service is `BestEffort`: no container requests or limits CPU or memory.
fn asks_for_nothing(spec: &Value) -> bool {
    let lists = ["containers", "initContainers"].map(|list| spec[list].as_array());
    !lists.into_iter().flatten().flatten().any(|container| {
        ["requests", "limits"]
            .iter()
            .any(|given| ["cpu", "memory"].iter().any(|name| !container["resources"][*given][*name].is_null()))
    })
}

fn reaches_other_namespaces(affinity: &Value) -> bool {
    let terms = ["podAffinity", "podAntiAffinity"].into_iter().flat_map(|kind| {
        let required = affinity[kind]["requiredDuringSchedulingIgnoredDuringExecution"].as_array();
        let preferred = affinity[kind]["preferredDuringSchedulingIgnoredDuringExecution"].as_array();
        let preferred = preferred.into_iter().flatten().map(|weighted| &weighted["podAffinityTerm"]);
        required.into_iter().flatten().chain(preferred)
    });
    terms.into_iter().any(|term| {
        term["namespaces"].as_array().is_some_and(|names| !names.is_empty()) || !term["namespaceSelector"].is_null()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scopes_choose_pods() {
        let plain = json!({"spec": {"containers": [{"name": "a"}]}});
        let mut deadline = plain.clone();
        deadline["spec"]["activeDeadlineSeconds"] = json!(10);
        let mut gold = plain.clone();
        gold["spec"]["priorityClassName"] = json!("gold");
        let class = |operator: &str, values: Value| json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": operator, "values": values}]}});
        let cases = [
            (json!({}), &plain, true),
            (json!({"scopes": ["Terminating"]}), &plain, false),
            (json!({"scopes": ["Terminating"]}), &deadline, true),
            (json!({"scopes": ["Terminating", "NotBestEffort"]}), &deadline, false),
            (json!({"scopes": ["BestEffort"]}), &plain, true),
            (class("In", json!(["gold"])), &gold, true),
            (class("In", json!(["gold"])), &plain, false),
            (class("NotIn", json!(["gold"])), &plain, true),
            (class("Exists", json!([])), &plain, false),
        ];
        for (spec, pod, want) in cases {
            assert_eq!(counts(&spec, kinds::POD, pod), want, "{spec} {pod}");
        }
        assert!(!counts(&json!({"scopes": ["BestEffort"]}), kinds::SERVICE, &json!({})));
    }
}
