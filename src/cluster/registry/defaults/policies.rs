//! Defaults of kinds that say what is allowed, and how much of it: network policies, roles, quotas, limits and
//! admission policies; and of Ingresses.

use serde_json::{Value, json};

use super::{fill, items, present};

const RBAC: &str = "rbac.authorization.k8s.io";

pub fn ingress(ingress: &mut Value) {
    fill(ingress, "spec", || json!({}));
    let spec = &mut ingress["spec"];
    if let Some(backend) = present(spec, "defaultBackend") {
        resource_backend(backend);
    }
    for rule in items(spec, "rules") {
        if let Some(http) = present(rule, "http") {
            items(http, "paths").filter_map(|path| present(path, "backend")).for_each(resource_backend);
        }
    }
    fill(&mut ingress["status"], "loadBalancer", || json!({}));
}

fn resource_backend(backend: &mut Value) {
    if let Some(resource) = present(backend, "resource") {
        fill(resource, "apiGroup", || Value::Null);
    }
}

pub fn ingress_class(class: &mut Value) {
    fill(class, "spec", || json!({}));
    if let Some(parameters) = present(&mut class["spec"], "parameters") {
        fill(parameters, "scope", || "Cluster");
    }
}

pub fn network_policy(policy: &mut Value) {
    let spec = &mut policy["spec"];
    fill(spec, "podSelector", || json!({}));
    for direction in ["ingress", "egress"] {
        for rule in items(spec, direction) {
            for port in items(rule, "ports") {
                fill(port, "protocol", || "TCP");
            }
        }
    }
    if spec["policyTypes"].as_array().is_none_or(Vec::is_empty) {
        let egress = spec["egress"].as_array().is_some_and(|rules| !rules.is_empty());
        spec["policyTypes"] = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    }
}

pub fn role(role: &mut Value) {
    fill(role, "rules", || Value::Null);
}

pub fn role_binding(binding: &mut Value) {
    fill(&mut binding["roleRef"], "apiGroup", || RBAC);
    if binding["roleRef"]["apiGroup"] == "" {
        binding["roleRef"]["apiGroup"] = json!(RBAC);
    }
    for subject in items(binding, "subjects") {
        let given = subject["apiGroup"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("User" | "Group") if given.is_empty() => subject["apiGroup"] = json!(RBAC),
            // The group of a ServiceAccount is the core group, whose name is empty.
            _ if given.is_empty() => drop(subject.as_object_mut().and_then(|s| s.remove("apiGroup"))),
            _ => {}
        }
    }
}

pub fn quota(quota: &mut Value) {
    fill(quota, "spec", || json!({}));
    fill(quota, "status", || json!({}));
}

/// A container's default limit is its maximum; its default request is the default limit, or else the minimum.
pub fn limit_range(range: &mut Value) {
    fill(&mut range["spec"], "limits", || Value::Null);
    for limit in items(&mut range["spec"], "limits") {
        if limit["type"] != "Container" {
            continue;
        }
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let amounts = limit[from].as_object().cloned().unwrap_or_default();
            for (resource, amount) in amounts {
                fill(&mut limit[to], &resource, || amount);
            }
        }
    }
}

pub fn admission_policy(policy: &mut Value) {
    let spec = &mut policy["spec"];
    fill(spec, "failurePolicy", || "Fail");
    if let Some(matching) = present(spec, "matchConstraints") {
        match_resources(matching);
    }
    fill(policy, "status", || json!({}));
}

pub fn admission_binding(binding: &mut Value) {
    if let Some(matching) = present(&mut binding["spec"], "matchResources") {
        match_resources(matching);
    }
}

fn match_resources(matching: &mut Value) {
    fill(matching, "matchPolicy", || "Equivalent");
    for selector in ["namespaceSelector", "objectSelector"] {
        fill(matching, selector, || json!({}));
    }
    for rules in ["resourceRules", "excludeResourceRules"] {
        for rule in items(matching, rules) {
            fill(rule, "scope", || "*");
        }
    }
}
