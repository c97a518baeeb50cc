//! Carries out the verdicts over objects whose owners, dependents or finalizers have changed.

use std::sync::Arc;

use serde_json::{Value, json};

use super::verdict::{FOREGROUND, ORPHAN, Verdict, judge, owner_key, waits};
use crate::cluster::controllers::claims::{change_owners, remove_owner};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source};
use crate::cluster::registry::{
    Author, DeleteOptions, Patch, Preconditions, Propagation, Registry, Target, Transaction, WriteOptions,
};
use crate::cluster::store::{Change, Event, Snapshot};
use crate::object::{Kind, Meta, Object, ObjectKey, Reason, kinds};

pub struct GarbageCollector {
    registry: Registry,
    author: Author,
}

impl Controller for GarbageCollector {
    fn name(&self) -> &'static str {
        "garbage"
    }

    fn sources(&self) -> Vec<Source> {
        // Events own nothing and are owned by nothing; they are the most frequent objects of all.
        let kinds = kinds::all().iter().filter(|kind| *kind != kinds::EVENT);
        kinds.map(|kind| Source::new(kind, concerned)).collect()
    }

    fn custom_sources(&self) -> Option<fn(&'static Kind) -> Source> {
        Some(|kind| Source::new(kind, concerned))
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else { return Ok(Next::Done) };
        let verdict = judge(&snapshot, object);
        if verdict == Verdict::Keep {
            return Ok(Next::Done);
        }
        tracing::debug!(%key, ?verdict, "collecting");
        let mut transaction = self.registry.begin(&self.author);
        carry_out(&mut transaction, &snapshot, object, verdict)?;
        transaction.commit().await?;
        Ok(Next::Done)
    }
}

impl GarbageCollector {
    pub fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), author: Author::controller("generic-garbage-collector") }
    }
}

/// The objects whose verdict a change may have changed.
fn concerned(snapshot: &Snapshot, event: &Event) -> Vec<ObjectKey> {
    let object = &event.object;
    if event.change == Change::Deleted {
        let dependents = snapshot.owned_by(&object.meta.uid).map(|o| o.key.clone());
        return dependents.chain(waiting_owners(snapshot, object)).collect();
    }
    let before = event.previous.as_ref().map(|o| &o.meta);
    let now = &object.meta;
    let same =
        |b: &&Meta| b.owners == now.owners && b.finalizers == now.finalizers && b.is_deleting() == now.is_deleting();
    if before.as_ref().is_some_and(same) {
        return Vec::new();
    }
    let mut keys = Vec::new();
    if !now.owners.is_empty() || now.is_deleting() {
        keys.push(object.key.clone());
    }
    if waits(object) {
        keys.extend(snapshot.owned_by(&now.uid).map(|o| o.key.clone()));
    }
    // A reference that went, or no longer blocks, may have been what an owner waits for.
    keys.extend(event.previous.iter().flat_map(|previous| waiting_owners(snapshot, previous)));
    keys
}

fn waiting_owners(snapshot: &Snapshot, dependent: &Object) -> Vec<ObjectKey> {
    let keys = dependent.meta.owners.iter().filter_map(|owner| owner_key(snapshot, dependent, owner));
    keys.filter(|key| snapshot.get(key).is_some_and(|owner| waits(owner))).collect()
}

fn carry_out(
    transaction: &mut Transaction,
    snapshot: &Snapshot,
    object: &Object,
    verdict: Verdict,
) -> Result<(), Failure> {
    match verdict {
        Verdict::Keep => Ok(()),
        Verdict::Unlink(uids) => change_owners(transaction, object, |owners| {
            owners.retain(|o| !uids.iter().any(|uid| o["uid"] == uid.as_str()));
        }),
        Verdict::Delete { propagation, unblock } => {
            if unblock {
                change_owners(transaction, object, |owners| {
                    owners.iter_mut().for_each(|o| o["blockOwnerDeletion"] = json!(false));
                })?;
            }
            delete(transaction, object, propagation)
        }
        Verdict::Orphan(dependents) => {
            for dependent in dependents.iter().filter_map(|key| snapshot.get(key)) {
                remove_owner(transaction, dependent, &object.meta.uid)?;
            }
            remove_finalizer(transaction, object, ORPHAN)
        }
        Verdict::Finish => remove_finalizer(transaction, object, FOREGROUND),
    }
}

/// Deletes the object as it was judged: if it has changed since, it is judged again.
fn delete(transaction: &mut Transaction, object: &Object, propagation: Propagation) -> Result<(), Failure> {
    let preconditions = Preconditions { uid: Some(object.meta.uid.clone()), revision: Some(object.meta.revision) };
    let options = DeleteOptions { propagation: Some(propagation), preconditions, ..DeleteOptions::default() };
    match transaction.delete(&object.key, &options) {
        Err(error) if error.reason == Reason::NotFound => Ok(()),
        other => Ok(other?),
    }
}

fn remove_finalizer(transaction: &mut Transaction, object: &Object, finalizer: &str) -> Result<(), Failure> {
    let kept: Vec<&String> = object.meta.finalizers.iter().filter(|f| *f != finalizer).collect();
    let kept = if kept.is_empty() { Value::Null } else { json!(kept) };
    let patch = json!({"metadata": {"finalizers": kept, "uid": object.meta.uid,
        "resourceVersion": object.meta.revision.to_string()}});
    Ok(transaction.patch(&Target::from(object.key.clone()), Patch::Merge(patch), WriteOptions::default())?)
}
