//! What the agent of a node may do: read its own pods and what those refer to, read Services, and write its own node,
//! its heartbeat, the status of its own pods, and events. A node that is taken over reaches no other node's secrets.
//! Pure. (Kubernetes reference, "Using Node Authorization".)

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PersistentVolume, Pod, PodSpec, Volume};
use serde_json::Value;

use super::authorize::Selected;
use super::identity::Identity;
use crate::cluster::rbac::Ask;
use crate::cluster::store::Snapshot;
use crate::object::{ApiError, Kind, ObjectKey, kinds, local_path};

/// Where each node's heartbeat Lease lives.
const NODE_LEASES: &str = "kube-node-lease";

pub fn may(snapshot: &Snapshot, node: &str, namespace: &str, ask: &Ask<'_>, selected: Selected<'_>) -> bool {
    let own = ask.name == node;
    let reads = matches!(ask.verb, "get" | "list" | "watch");
    let writes = matches!(ask.verb, "update" | "patch");
    match (ask.group, ask.resource, ask.subresource) {
        ("", "nodes", "") => ask.verb == "create" || own && (reads || writes),
        ("", "nodes", "status") => own && (reads || writes),
        ("", "nodes", "connect") => own && ask.verb == "create",
        ("", "pods", "") if matches!(ask.verb, "list" | "watch") => {
            selected.fields.split(',').any(|term| term.strip_prefix("spec.nodeName=") == Some(node))
        }
        ("", "pods", "") => matches!(ask.verb, "get" | "delete") && has_pod(snapshot, node, namespace, ask.name),
        ("", "pods", "status") => (reads || writes) && has_pod(snapshot, node, namespace, ask.name),
        ("", "services" | "endpoints" | "namespaces", "") | ("discovery.k8s.io", "endpointslices", "") => reads,
        ("", "configmaps" | "secrets" | "serviceaccounts" | "persistentvolumeclaims", "") => {
            reads && refers(snapshot, node, namespace, ask)
        }
        ("", "persistentvolumes", "") if matches!(ask.verb, "list" | "watch") => selected
            .labels
            .split(',')
            .any(|term| term.strip_prefix(local_path::NODE).and_then(|term| term.strip_prefix('=')) == Some(node)),
        // The agent that has removed a directory of its own says so by taking a finalizer away.
        ("", "persistentvolumes", "") if ask.verb == "patch" => has_volume(snapshot, node, ask.name),
        ("", "persistentvolumes", "") => reads && refers_to_volume(snapshot, node, ask.name),
        ("", "serviceaccounts", "token") => ask.verb == "create" && refers(snapshot, node, namespace, ask),
        ("", "events", "") | ("events.k8s.io", "events", "") => ask.verb == "create" || writes,
        ("coordination.k8s.io", "leases", "") => {
            namespace == NODE_LEASES && (ask.verb == "create" || own && (ask.verb == "get" || writes))
        }
        _ => false,
    }
}

/// An agent registers the node that it is of, and no other.
///
/// # Errors
/// `Forbidden`, as Kubernetes's NodeRestriction words it.
pub fn may_register(identity: &Identity, kind: &'static Kind, object: &Value) -> Result<(), ApiError> {
    let Some(node) = identity.as_node().filter(|_| kind == kinds::NODE) else { return Ok(()) };
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if name == node {
        return Ok(());
    }
    let why = format!("node {node:?} is not allowed to modify node {name:?}");
    Err(ApiError::forbidden(kind, name, why))
}

fn has_pod(snapshot: &Snapshot, node: &str, namespace: &str, name: &str) -> bool {
    let pod = snapshot.get(&ObjectKey::new(kinds::POD, namespace, name));
    pod.is_some_and(|pod| pod.meta.node.as_deref() == Some(node))
}

/// Whether a pod of the node names the object.
fn refers(snapshot: &Snapshot, node: &str, namespace: &str, ask: &Ask<'_>) -> bool {
    !ask.name.is_empty()
        && snapshot.pods_on(node).filter(|pod| pod.key.namespace == namespace).any(|object| {
            object.typed::<Pod>().is_ok_and(|pod| {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                let Some(spec) = &pod.spec else { return false };
                match ask.resource {
                    "serviceaccounts" => spec.service_account_name.as_deref().unwrap_or("default") == ask.name,
                    "configmaps" => config_maps(spec).contains(ask.name),
                    "secrets" => secrets(spec).contains(ask.name),
                    _ => claims(name, spec).contains(ask.name),
                }
            })
        })
}

/// Whether the volume is a directory of the node.
fn has_volume(snapshot: &Snapshot, node: &str, name: &str) -> bool {
    let volume = snapshot.get(&ObjectKey::new(kinds::VOLUME, "", name));
    volume.is_some_and(|volume| volume.meta.labels.get(local_path::NODE).is_some_and(|named| named == node))
}

fn refers_to_volume(snapshot: &Snapshot, node: &str, name: &str) -> bool {
    let volume = snapshot.get(&ObjectKey::new(kinds::VOLUME, "", name));
    let volume = volume.and_then(|object| object.typed::<PersistentVolume>().ok());
    let claim = volume.as_ref().and_then(|volume| volume.spec.as_ref()?.claim_ref.as_ref());
    let Some(claim) = claim else { return false };
    let (namespace, claim) =
        (claim.namespace.as_deref().unwrap_or_default(), claim.name.as_deref().unwrap_or_default());
    let ask = Ask { resource: "persistentvolumeclaims", name: claim, ..Ask::default() };
    refers(snapshot, node, namespace, &ask)
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.containers.iter().chain(spec.init_containers.iter().flatten())
}

fn volumes(spec: &PodSpec) -> impl Iterator<Item = &Volume> {
    spec.volumes.iter().flatten()
}

fn config_maps(spec: &PodSpec) -> BTreeSet<&str> {
    let from = containers(spec).flat_map(|c| c.env_from.iter().flatten()).filter_map(|f| f.config_map_ref.as_ref());
    let keys = containers(spec).flat_map(|c| c.env.iter().flatten()).filter_map(|e| e.value_from.as_ref());
    let keys = keys.filter_map(|source| source.config_map_key_ref.as_ref());
    let whole = volumes(spec).filter_map(|v| v.config_map.as_ref());
    let projected = volumes(spec).flat_map(|v| v.projected.iter().flat_map(|p| p.sources.iter().flatten()));
    let projected = projected.filter_map(|source| source.config_map.as_ref());
    from.map(|r| r.name.as_str())
        .chain(keys.map(|r| r.name.as_str()))
        .chain(whole.map(|r| r.name.as_str()))
        .chain(projected.map(|r| r.name.as_str()))
        .collect()
}

fn secrets(spec: &PodSpec) -> BTreeSet<&str> {
    let from = containers(spec).flat_map(|c| c.env_from.iter().flatten()).filter_map(|f| f.secret_ref.as_ref());
    let keys = containers(spec).flat_map(|c| c.env.iter().flatten()).filter_map(|e| e.value_from.as_ref());
    let keys = keys.filter_map(|source| source.secret_key_ref.as_ref());
    let whole = volumes(spec).filter_map(|v| v.secret.as_ref()?.secret_name.as_deref());
    let projected = volumes(spec).flat_map(|v| v.projected.iter().flat_map(|p| p.sources.iter().flatten()));
    let projected = projected.filter_map(|source| source.secret.as_ref());
    let pull = spec.image_pull_secrets.iter().flatten();
    from.map(|r| r.name.as_str())
        .chain(keys.map(|r| r.name.as_str()))
        .chain(whole)
        .chain(projected.map(|r| r.name.as_str()))
        .chain(pull.map(|r| r.name.as_str()))
        .collect()
}

fn claims(pod: &str, spec: &PodSpec) -> BTreeSet<String> {
    let named = volumes(spec).filter_map(|v| v.persistent_volume_claim.as_ref()).map(|claim| claim.claim_name.clone());
    let own = volumes(spec).filter(|v| v.ephemeral.is_some()).map(|v| format!("{pod}-{}", v.name));
    named.chain(own).collect()
}
