//! The part of an object's metadata that the control plane asks for often, decoded once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::key::Revision;

/// Decoded metadata; what it does not hold is read from the object's JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    pub uid: String,
    pub revision: Revision,
    pub generation: i64,
    pub labels: BTreeMap<String, String>,
    pub owners: Vec<Owner>,
    pub finalizers: Vec<String>,
    pub created: Option<Timestamp>,
    pub deleted: Option<Timestamp>,
    /// `spec.nodeName` of a pod that is bound to a node.
    pub node: Option<String>,
    pub claims: BTreeSet<Claim>,
}

/// What one object of a cluster has, and no other may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// The cluster IP of a Service.
    Address(IpAddr),
    /// A port that a Service has on every node, for whatever protocols.
    NodePort(u16),
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
    pub controller: bool,
    pub block_owner_deletion: bool,
}

impl Meta {
    /// Reads the metadata of an object in its JSON form. Absent or mistyped fields read as empty: an object
    /// that came through the registry has been validated.
    pub fn of(object: &Value) -> Self {
        let meta = &object["metadata"];
        let text = |name: &str| meta[name].as_str();
        let time = |name: &str| text(name).and_then(|t| t.parse().ok());
        Self {
            uid: text("uid").unwrap_or_default().to_owned(),
            revision: text("resourceVersion").and_then(|r| r.parse().ok()).unwrap_or_default(),
            generation: meta["generation"].as_i64().unwrap_or_default(),
            labels: string_map(&meta["labels"]),
            owners: Vec::deserialize(&meta["ownerReferences"]).unwrap_or_default(),
            finalizers: Vec::deserialize(&meta["finalizers"]).unwrap_or_default(),
            created: time("creationTimestamp"),
            deleted: time("deletionTimestamp"),
            node: object["spec"]["nodeName"].as_str().filter(|n| !n.is_empty()).map(str::to_owned),
            claims: claims(object),
        }
    }

    /// The owner that manages this object (`controller: true`), of which there is at most one.
    pub fn controller(&self) -> Option<&Owner> {
        self.owners.iter().find(|o| o.controller)
    }

    /// A deletion was asked for; the object goes when its finalizers and grace period have.
    pub fn is_deleting(&self) -> bool {
        self.deleted.is_some()
    }
}

/// What an object in its JSON form claims.
pub fn claims(object: &Value) -> BTreeSet<Claim> {
    if object["kind"] != "Service" || object["apiVersion"] != "v1" {
        return BTreeSet::new();
    }
    let spec = &object["spec"];
    let addresses = spec["clusterIPs"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let addresses = addresses.filter_map(|address| address.parse().ok()).map(Claim::Address);
    let ports = spec["ports"].as_array().into_iter().flatten().map(|port| &port["nodePort"]);
    let ports = ports.chain([&spec["healthCheckNodePort"]]).filter_map(Value::as_u64);
    let ports = ports.filter_map(|port| u16::try_from(port).ok()).filter(|port| *port > 0).map(Claim::NodePort);
    addresses.chain(ports).collect()
}

/// The string members of a JSON object.
pub fn string_map(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}
