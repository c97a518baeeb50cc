//! Defaults of a pod's volumes.

use serde_json::{Value, json};

use super::pod_spec::{field_source, pull_policy, resources};
use super::{fill, items, present};

/// Permissions of files that come from the API: `0644`.
const FILE_MODE: i64 = 0o644;

pub fn apply(volume: &mut Value) {
    let has_source =
        volume.as_object().is_some_and(|v| v.iter().any(|(name, source)| name != "name" && !source.is_null()));
    if !has_source {
        volume["emptyDir"] = json!({});
    }
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(source) = present(volume, source) {
            fill(source, "defaultMode", || FILE_MODE);
        }
    }
    if let Some(files) = present(volume, "downwardAPI") {
        items(files, "items").for_each(field_source);
    }
    if let Some(projected) = present(volume, "projected") {
        items(projected, "sources").for_each(projection);
    }
    if let Some(image) = present(volume, "image") {
        let policy = pull_policy(image["reference"].as_str().unwrap_or_default());
        fill(image, "pullPolicy", || policy);
    }
    if let Some(template) = present(volume, "ephemeral").and_then(|e| present(e, "volumeClaimTemplate")) {
        claim(template);
    }
    sources(volume);
}

/// What pods' volumes and persistent ones have in common.
pub fn sources(volume: &mut Value) {
    if let Some(path) = present(volume, "hostPath") {
        fill(path, "type", || "");
    }
    for (source, defaults) in legacy() {
        if let Some(source) = present(volume, source) {
            for (field, value) in defaults {
                fill(source, field, || value);
            }
        }
    }
}

/// A claim that is made out of a template.
pub fn claim(template: &mut Value) {
    fill(template, "metadata", || json!({}));
    fill(&mut template["spec"], "resources", || json!({}));
    resources(&mut template["spec"]["resources"]);
    fill(&mut template["spec"], "volumeMode", || "Filesystem");
}

fn projection(source: &mut Value) {
    if let Some(token) = present(source, "serviceAccountToken") {
        fill(token, "expirationSeconds", || 3600);
    }
    if let Some(files) = present(source, "downwardAPI") {
        items(files, "items").for_each(field_source);
    }
}

/// Sources that windlass's agent does not mount, but which are stored as Kubernetes stores them.
fn legacy() -> Vec<(&'static str, Vec<(&'static str, Value)>)> {
    vec![
        ("iscsi", vec![("iscsiInterface", json!("default"))]),
        ("rbd", vec![("pool", json!("rbd")), ("user", json!("admin")), ("keyring", json!("/etc/ceph/keyring"))]),
        (
            "azureDisk",
            vec![
                ("cachingMode", json!("ReadWrite")),
                ("kind", json!("Shared")),
                ("fsType", json!("ext4")),
                ("readOnly", json!(false)),
            ],
        ),
        ("scaleIO", vec![("storageMode", json!("ThinProvisioned")), ("fsType", json!("xfs"))]),
    ]
}
