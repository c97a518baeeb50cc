//! Decides which objects a workload takes under its control, keeps or lets go, by selector and owner reference.
//! (Kubernetes API conventions, "controller references".)

use std::sync::Arc;

use serde_json::{Value, json};

use super::engine::Failure;
use crate::cluster::registry::{Patch, Target, Transaction, WriteOptions};
use crate::cluster::store::Snapshot;
use crate::object::selector::Selector;
use crate::object::{Kind, Object, ObjectKey};

/// What becomes of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is controlled and still matches.
    Keep,
    /// It matches and nobody controls it.
    Adopt,
    /// It is controlled and no longer matches.
    Release,
    /// It is none of the workload's business.
    Ignore,
}

/// A workload that claims objects.
pub struct Claimant<'a> {
    pub owner: &'a Object,
    pub selector: &'a Selector,
}

impl Claimant<'_> {
    pub fn claim(&self, object: &Object) -> Claim {
        let owner = &self.owner.meta;
        let matches = self.selector.matches(&object.meta.labels);
        match object.meta.controller() {
            Some(controller) if controller.uid != owner.uid => Claim::Ignore,
            Some(_) if matches => Claim::Keep,
            Some(_) if owner.is_deleting() => Claim::Ignore,
            Some(_) => Claim::Release,
            None if matches && !owner.is_deleting() && !object.meta.is_deleting() => Claim::Adopt,
            None => Claim::Ignore,
        }
    }

    /// The objects of a kind that the workload controls, and those that it may adopt.
    pub fn candidates<'s>(&'s self, snapshot: &'s Snapshot, kind: &'static Kind) -> Vec<&'s Arc<Object>> {
        let namespace = self.owner.key.namespace.as_str();
        let owned = snapshot.owned_by(&self.owner.meta.uid).filter(|o| o.key.kind == kind);
        let orphans = snapshot.list(kind, namespace).filter(|o| o.meta.controller().is_none());
        let mut all: Vec<_> = owned.filter(|o| o.meta.controller().is_some()).chain(orphans).collect();
        all.retain(|o| self.claim(o) != Claim::Ignore);
        all
    }

    pub fn reference(&self) -> Value {
        let key = &self.owner.key;
        json!({"apiVersion": key.kind.api_version(), "kind": key.kind.kind, "name": key.name,
            "uid": self.owner.meta.uid, "controller": true, "blockOwnerDeletion": true})
    }

    /// Adds the workload to the owners of an object that it adopts.
    pub fn adopt(&self, transaction: &mut Transaction, object: &Object) -> Result<(), Failure> {
        change_owners(transaction, object, |owners| owners.push(self.reference()))
    }

    /// Takes the workload out of the owners of an object that it lets go.
    pub fn release(&self, transaction: &mut Transaction, object: &Object) -> Result<(), Failure> {
        remove_owner(transaction, object, &self.owner.meta.uid)
    }
}

/// Takes one owner out of an object's owner references.
pub fn remove_owner(transaction: &mut Transaction, object: &Object, uid: &str) -> Result<(), Failure> {
    change_owners(transaction, object, |owners| owners.retain(|o| o["uid"] != uid))
}

/// The objects of `kind` whose workload selector, as `selector_of` reads it, matches an object that nobody
/// controls: they may want to adopt it.
pub fn could_adopt(
    snapshot: &Snapshot,
    kind: &'static Kind,
    orphan: &Object,
    selector_of: impl Fn(&Object) -> Option<Selector>,
) -> Vec<ObjectKey> {
    if orphan.meta.controller().is_some() || orphan.meta.is_deleting() || orphan.meta.labels.is_empty() {
        return Vec::new();
    }
    let claims = |o: &&Arc<Object>| selector_of(o).is_some_and(|s| s.matches(&orphan.meta.labels));
    snapshot.list(kind, &orphan.key.namespace).filter(claims).map(|o| o.key.clone()).collect()
}

/// Owner references are replaced whole, under the resource version that they were read at.
pub fn change_owners(
    transaction: &mut Transaction,
    object: &Object,
    change: impl FnOnce(&mut Vec<Value>),
) -> Result<(), Failure> {
    let mut owners = object.value()["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
    change(&mut owners);
    let owners = if owners.is_empty() { Value::Null } else { json!(owners) };
    let patch = json!({"metadata": {"ownerReferences": owners, "uid": object.meta.uid,
        "resourceVersion": object.meta.revision.to_string()}});
    transaction.patch(&Target::from(object.key.clone()), Patch::Merge(patch), WriteOptions::default())?;
    Ok(())
}
