//! Decides what becomes of one object, by its owners, its dependents and its finalizers. Pure.

use crate::cluster::registry::Propagation;
use crate::cluster::store::Snapshot;
use crate::object::meta::Owner;
use crate::object::{Object, ObjectKey};

/// Finalizer of an object that waits until its blocking dependents have gone.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an object whose dependents are to outlive it.
pub const ORPHAN: &str = "orphan";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    /// Some owners stay: only the references to the others go.
    Unlink(Vec<String>),
    /// No owner stays. With `unblock`, its owners must not wait for it, because it waits for its own dependents in turn.
    Delete {
        propagation: Propagation,
        unblock: bool,
    },
    /// Its dependents lose it as their owner, then it goes.
    Orphan(Vec<ObjectKey>),
    /// No dependent blocks its deletion any more.
    Finish,
}

pub fn judge(snapshot: &Snapshot, object: &Object) -> Verdict {
    let meta = &object.meta;
    let has = |finalizer: &str| meta.finalizers.iter().any(|f| f == finalizer);
    if meta.is_deleting() {
        if has(ORPHAN) {
            return Verdict::Orphan(snapshot.owned_by(&meta.uid).map(|o| o.key.clone()).collect());
        }
        let blocked = has(FOREGROUND) && !snapshot.owned_by(&meta.uid).any(|d| blocks(d, &meta.uid));
        return if blocked { Verdict::Finish } else { Verdict::Keep };
    }
    let states: Vec<_> = meta.owners.iter().map(|owner| (owner, state(snapshot, object, owner))).collect();
    let going: Vec<String> =
        states.iter().filter(|(_, s)| *s != OwnerState::Stays).map(|(owner, _)| owner.uid.clone()).collect();
    if going.is_empty() {
        return Verdict::Keep;
    }
    if going.len() < states.len() {
        return Verdict::Unlink(going);
    }
    let awaited = states.iter().any(|(_, s)| *s == OwnerState::Waits);
    let mut dependents = snapshot.owned_by(&meta.uid).peekable();
    if awaited && dependents.peek().is_some() {
        // Two that wait for each other would wait for ever.
        let unblock = dependents.any(|d| waits(d));
        return Verdict::Delete { propagation: Propagation::Foreground, unblock };
    }
    let propagation = match () {
        () if has(ORPHAN) => Propagation::Orphan,
        () if has(FOREGROUND) => Propagation::Foreground,
        () => Propagation::Background,
    };
    Verdict::Delete { propagation, unblock: false }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnerState {
    Stays,
    Gone,
    /// It is being deleted and waits for its dependents.
    Waits,
}

fn state(snapshot: &Snapshot, dependent: &Object, owner: &Owner) -> OwnerState {
    // Of a kind that is not known nobody can say that an object of it is gone.
    let Some(key) = owner_key(snapshot, dependent, owner) else { return OwnerState::Stays };
    match snapshot.get(&key).filter(|o| o.meta.uid == owner.uid) {
        None => OwnerState::Gone,
        Some(owner) if waits(owner) => OwnerState::Waits,
        Some(_) => OwnerState::Stays,
    }
}

/// An owner is in the namespace of its dependent or in none. A cluster-scoped object cannot have a namespaced
/// owner: such a reference points nowhere, and nothing is concluded from it.
pub fn owner_key(snapshot: &Snapshot, dependent: &Object, owner: &Owner) -> Option<ObjectKey> {
    let kind = snapshot.kinds().by_manifest(&owner.api_version, &owner.kind)?;
    let resolvable = !kind.namespaced || dependent.key.kind.namespaced;
    resolvable.then(|| ObjectKey::new(kind, &*dependent.key.namespace, &*owner.name))
}

/// It is being deleted and waits for its dependents.
pub fn waits(object: &Object) -> bool {
    object.meta.is_deleting() && object.meta.finalizers.iter().any(|f| f == FOREGROUND)
}

fn blocks(dependent: &Object, owner: &str) -> bool {
    dependent.meta.owners.iter().any(|o| o.uid == owner && o.block_owner_deletion)
}
