//! What a volume of the class `local-path` is: a directory below the volumes directory of one node. Pure.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::{Value, json};

use crate::object::{Object, local_path};

const HOSTNAME: &str = "kubernetes.io/hostname";
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// The volume for the claim on the node; `None` while the node does not say where its volumes are.
pub fn volume(claim: &PersistentVolumeClaim, node: &Object, class: &str, reclaim: &str) -> Option<Value> {
    let directory = node.value()["metadata"]["annotations"][local_path::DIRECTORY].as_str()?.to_owned();
    let hostname = node.meta.labels.get(HOSTNAME).unwrap_or(&node.key.name);
    let (metadata, spec) = (&claim.metadata, claim.spec.as_ref()?);
    let name = format!("pvc-{}", metadata.uid.as_deref()?);
    let path = format!("{}/{name}", directory.trim_end_matches('/'));
    Some(json!({
        "metadata": {"name": name, "labels": {(local_path::NODE): node.key.name}, "finalizers": [local_path::FINALIZER],
            "annotations": {(PROVISIONED_BY): local_path::PROVISIONER}},
        "spec": {
            "capacity": spec.resources.as_ref()?.requests,
            "accessModes": spec.access_modes,
            "volumeMode": "Filesystem",
            "storageClassName": class,
            "persistentVolumeReclaimPolicy": reclaim,
            "hostPath": {"path": path, "type": "DirectoryOrCreate"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [hostname]}]}]}},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": metadata.namespace,
                "name": metadata.name, "uid": metadata.uid, "resourceVersion": metadata.resource_version},
        }
    }))
}
