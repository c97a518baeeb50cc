//! The part of an object's metadata that the control plane asks for often, decoded once.

use std::collections::BTreeMap;

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

/// The string members of a JSON object.
pub fn string_map(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}
