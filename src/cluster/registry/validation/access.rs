//! Roles, and who has them.

use serde_json::Value;

use super::field::{Findings, Path, list, quoted, shown, text};
use super::{format, selector};

const GROUP: &str = "rbac.authorization.k8s.io";

pub fn role(role: &Value, found: &mut Findings) {
    rules(role, true, found);
}

pub fn cluster_role(role: &Value, found: &mut Findings) {
    rules(role, false, found);
    let aggregation = &role["aggregationRule"];
    if !aggregation.is_object() {
        return;
    }
    let at = Path::Root.child("aggregationRule");
    let at = at.child("clusterRoleSelectors");
    let selectors = list(aggregation, "clusterRoleSelectors");
    if selectors.is_empty() {
        found.required(at, "at least one clusterRoleSelector required if aggregationRule is non-nil");
    }
    for (index, one) in selectors.iter().enumerate() {
        selector::labels(one, at.index(index), found);
    }
}

fn rules(role: &Value, namespaced: bool, found: &mut Findings) {
    for (index, rule) in list(role, "rules").iter().enumerate() {
        let at = Path::Root.child("rules");
        let at = at.index(index);
        if list(rule, "verbs").is_empty() {
            found.required(at.child("verbs"), "verbs must contain at least one value");
        }
        let given = |field: &str| !list(rule, field).is_empty();
        if given("nonResourceURLs") {
            let urls = &rule["nonResourceURLs"];
            if namespaced {
                let why = "namespaced rules cannot apply to non-resource URLs";
                found.invalid(at.child("nonResourceURLs"), urls, why);
            }
            if given("apiGroups") || given("resources") || given("resourceNames") {
                let why = "rules cannot apply to both regular resources and non-resource URLs";
                found.invalid(at.child("nonResourceURLs"), urls, why);
            }
            continue;
        }
        if !given("apiGroups") {
            found.required(at.child("apiGroups"), "resource rules must supply at least one api group");
        }
        if !given("resources") {
            found.required(at.child("resources"), "resource rules must supply at least one resource");
        }
    }
}

/// `namespaced`: the binding says for one namespace only what its subjects may do.
pub fn binding(binding: &Value, namespaced: bool, found: &mut Findings) {
    let role = &binding["roleRef"];
    let at = Path::Root.child("roleRef");
    if text(role, "apiGroup") != GROUP {
        found.unsupported_shown(at.child("apiGroup"), &quoted(text(role, "apiGroup")), &[GROUP]);
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&text(role, "kind")) {
        found.unsupported_shown(at.child("kind"), &quoted(text(role, "kind")), kinds);
    }
    match text(role, "name") {
        "" => found.required(at.child("name"), ""),
        name => found.complain(at.child("name"), name, format::path_segment(name)),
    }
    for (index, subject) in list(binding, "subjects").iter().enumerate() {
        let at = Path::Root.child("subjects");
        check_subject(subject, namespaced, at.index(index), found);
    }
}

fn check_subject(subject: &Value, namespaced: bool, at: Path<'_>, found: &mut Findings) {
    let (name, group) = (text(subject, "name"), text(subject, "apiGroup"));
    if name.is_empty() {
        found.required(at.child("name"), "");
    }
    match text(subject, "kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                found.complain(at.child("name"), name, format::subdomain(name));
            }
            if !group.is_empty() {
                found.unsupported_shown(at.child("apiGroup"), &quoted(group), &[""]);
            }
            if !namespaced && text(subject, "namespace").is_empty() {
                found.required(at.child("namespace"), "");
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                found.unsupported_shown(at.child("apiGroup"), &quoted(group), &[GROUP]);
            }
        }
        other => {
            found.unsupported_shown(at.child("kind"), &quoted(other), &["ServiceAccount", "User", "Group"]);
        }
    }
}

/// Whoever was given a role keeps that one: another is another binding.
pub fn immutable_binding(new: &Value, old: &Value, found: &mut Findings) {
    let is = &new["roleRef"];
    if *is != old["roleRef"] {
        let parts = [("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name")];
        let parts = parts.map(|(name, field)| format!("\"{name}\":{}", shown(&is[field])));
        found.invalid_shown(Path::Root.child("roleRef"), &format!("{{{}}}", parts.join(",")), "cannot change roleRef");
    }
}
