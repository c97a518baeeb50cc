//! Defaults of PersistentVolumes, PersistentVolumeClaims and StorageClasses.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{fill, present, volumes};
use crate::object::clock::rfc3339;

pub fn volume(volume: &mut Value) {
    let spec = &mut volume["spec"];
    fill(spec, "persistentVolumeReclaimPolicy", || "Retain");
    fill(spec, "volumeMode", || "Filesystem");
    volumes::sources(spec);
    if let Some(secret) = present(spec, "azureFile") {
        fill(secret, "secretNamespace", || Value::Null);
    }
    fill(volume, "status", || json!({}));
}

/// A volume begins without a claim; its protection keeps it while one uses it.
pub fn begin_volume(volume: &mut Value, now: Timestamp) {
    protect(volume, "kubernetes.io/pv-protection");
    volume["status"] = json!({"phase": "Pending", "lastPhaseTransitionTime": rfc3339(now)});
}

/// The time of a change of phase, where its writer does not tell it.
pub fn update_volume(volume: &mut Value, old: &Value, now: Timestamp) {
    let (is, was) = (&volume["status"], &old["status"]);
    if is["phase"] != was["phase"] && is["lastPhaseTransitionTime"] == was["lastPhaseTransitionTime"] {
        volume["status"]["lastPhaseTransitionTime"] = json!(rfc3339(now));
    }
}

pub fn claim(claim: &mut Value) {
    let spec = &mut claim["spec"];
    fill(spec, "volumeMode", || "Filesystem");
    fill(spec, "resources", || json!({}));
    for source in ["dataSource", "dataSourceRef"] {
        if let Some(source) = present(spec, source) {
            fill(source, "apiGroup", || Value::Null);
        }
    }
    fill(claim, "status", || json!({}));
}

pub fn begin_claim(claim: &mut Value) {
    protect(claim, "kubernetes.io/pvc-protection");
    let spec = &mut claim["spec"];
    // The two ways to name a source say the same, where both can.
    let (one, other) = (spec["dataSource"].clone(), spec["dataSourceRef"].clone());
    if !one.is_null() && other.is_null() {
        spec["dataSourceRef"] = one;
    } else if one.is_null() && !other.is_null() && other["namespace"].as_str().unwrap_or_default().is_empty() {
        spec["dataSource"] = other;
    }
    claim["status"] = json!({"phase": "Pending"});
}

fn protect(object: &mut Value, finalizer: &str) {
    let metadata = &mut object["metadata"];
    fill(metadata, "finalizers", || json!([]));
    if let Some(finalizers) = metadata["finalizers"].as_array_mut()
        && !finalizers.iter().any(|f| f == finalizer)
    {
        finalizers.push(json!(finalizer));
    }
}

pub fn class(class: &mut Value) {
    fill(class, "reclaimPolicy", || "Delete");
    fill(class, "volumeBindingMode", || "Immediate");
}
