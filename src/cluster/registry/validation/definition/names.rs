//! Group, scope and names of a definition.

use serde_json::Value;

use super::super::field::{Findings, Path, list, text};
use super::super::format;

const APPROVAL: &str = "api-approved.kubernetes.io";

pub fn group_and_scope(crd: &Value, found: &mut Findings) {
    let spec = &crd["spec"];
    let at = Path::Root.child("spec");
    let (group, name) = (text(spec, "group"), text(&crd["metadata"], "name"));
    if !name.is_empty() && name != format!("{}.{group}", text(&spec["names"], "plural")) {
        let path = Path::Root.child("metadata");
        found.invalid_text(path.child("name"), name, "must be spec.names.plural+\".\"+spec.group");
    }
    let complaints = format::subdomain(group);
    if group.is_empty() {
        found.required(at.child("group"), "");
    } else if !complaints.is_empty() {
        found.invalid_text(at.child("group"), group, complaints.join(","));
    } else if !group.contains('.') {
        found.invalid_text(at.child("group"), group, "should be a domain with at least one dot");
    }
    match text(spec, "scope") {
        "" => found.required(at.child("scope"), ""),
        scope => found.one_of(at.child("scope"), &Value::from(scope), &["Cluster", "Namespaced"]),
    }
}

pub fn check(names: &Value, at: Path<'_>, found: &mut Findings) {
    let required = ["plural", "singular", "kind", "listKind"];
    for field in required {
        if text(names, field).is_empty() {
            found.required(at.child(field), "");
        }
    }
    for field in required {
        let name = text(names, field);
        let mixed = matches!(field, "kind" | "listKind");
        let complaints = format::label_1035(&if mixed { name.to_lowercase() } else { name.to_owned() });
        if !name.is_empty() && !complaints.is_empty() {
            let why = complaints.join(",");
            let mixed = if mixed { "may have mixed case, but should otherwise match: " } else { "" };
            found.invalid_text(at.child(field), name, format_args!("{mixed}{why}"));
        }
    }
    for field in ["shortNames", "categories"] {
        if field == "categories" && !text(names, "kind").is_empty() && text(names, "kind") == text(names, "listKind") {
            let why = "kind and listKind may not be the same";
            found.invalid_text(at.child("listKind"), text(names, "listKind"), why);
        }
        let path = at.child(field);
        for (index, name) in list(names, field).iter().enumerate() {
            let name = name.as_str().unwrap_or_default();
            let complaints = format::label_1035(name);
            if !complaints.is_empty() {
                found.invalid_text(path.index(index), name, complaints.join(","));
            }
        }
    }
}

/// Groups of the Kubernetes community ask for its approval.
pub fn approval(crd: &Value, found: &mut Findings) {
    let group = text(&crd["spec"], "group");
    let ends = |domain: &str| group == domain || group.ends_with(&format!(".{domain}"));
    if !ends("k8s.io") && !ends("kubernetes.io") {
        return;
    }
    let (metadata, annotations) = (Path::Root.child("metadata"), &crd["metadata"]["annotations"]);
    let path = metadata.child("annotations");
    match annotations[APPROVAL].as_str().unwrap_or_default() {
        "" => {
            let why = format!(
                "protected groups must have approval annotation {APPROVAL:?}, see \
                 https://github.com/kubernetes/enhancements/pull/1111"
            );
            found.required(path.key(APPROVAL), &why);
        }
        value if value.starts_with("unapproved") || value.parse::<http::Uri>().is_ok_and(|u| u.host().is_some()) => {}
        value => {
            let why = format!(
                "protected groups must have approval annotation {APPROVAL:?} with either a URL or a reason starting with \
                 \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111"
            );
            found.invalid_text(path.key(APPROVAL), value, why);
        }
    }
}
