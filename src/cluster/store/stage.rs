//! Applies one batch to the next snapshot, and says what it changed. Pure: nothing is visible or durable yet.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::backend::Record;
use super::batch::{Batch, CommitError, Committed, Op};
use super::hub::{Change, Event};
use super::snapshot::Snapshot;
use crate::object::kinds::Durability;
use crate::object::{Draft, ObjectKey, Revision};

/// Applies `batch` to `next`, or leaves `next` as it was when the batch is refused.
pub(super) fn stage(
    next: &mut Snapshot,
    batch: Batch,
    records: &mut Vec<Record>,
) -> Result<(Committed, Vec<Event>), CommitError> {
    check(next, &batch)?;
    let revision = Revision(next.revision().0 + 1);
    let mut events = Vec::with_capacity(batch.ops.len());
    let mut objects = Vec::with_capacity(batch.ops.len());
    for op in batch.ops {
        let previous = next.get(op.key()).cloned();
        let (change, object) = match (op, &previous) {
            (Op::Check { .. }, _) | (Op::Delete { .. }, None) => {
                objects.push(None);
                continue;
            }
            (Op::Put { draft, .. }, None) => (Change::Added, Arc::new(draft.seal(revision))),
            (Op::Put { draft, .. }, Some(_)) => (Change::Modified, Arc::new(draft.seal(revision))),
            (Op::Delete { .. }, Some(last)) => {
                (Change::Deleted, Arc::new(Draft::new(last.key.kind, &last.value()).seal(revision)))
            }
        };
        // Deleted and created anew in one batch: whoever watches hears of both.
        let replaced = previous.as_ref().filter(|last| change == Change::Modified && last.meta.uid != object.meta.uid);
        let change = match replaced {
            None => change,
            Some(last) => {
                let gone = Arc::new(Draft::new(last.key.kind, &last.value()).seal(revision));
                events.push(Event { revision, change: Change::Deleted, object: gone, previous: previous.clone() });
                Change::Added
            }
        };
        let previous = previous.filter(|_| change != Change::Added);
        match change {
            Change::Deleted => next.remove(&object.key),
            Change::Added | Change::Modified => next.put(object.clone()),
        }
        if object.key.kind.durability == Durability::Durable {
            let json = (change != Change::Deleted).then(|| object.json().clone());
            records.push(Record { key: object.key.clone(), json });
        }
        objects.push(Some(object.clone()));
        events.push(Event { revision, change, object, previous });
    }
    next.advance(Revision(next.revision().0 + revisions_of(events.len())));
    Ok((Committed { revision: next.revision(), objects }, events))
}

/// The revisions that a batch with so many events takes. None without an event: they would only wake watchers. Two
/// with several: the objects have the first, and the state with all of them the second. So whoever says that it knows
/// the first may have heard of one object only, and whoever says the second has heard of all.
fn revisions_of(events: usize) -> u64 {
    events.min(2) as u64
}

fn check(next: &Snapshot, batch: &Batch) -> Result<(), CommitError> {
    let mut seen = HashSet::new();
    for op in &batch.ops {
        let (key, expected) = (op.key(), op.expect());
        if batch.ops.len() > 1 && !seen.insert(key) {
            return Err(CommitError::Repeated { key: key.clone() });
        }
        let present = next.get(key);
        if !expected.holds(present) {
            return Err(CommitError::Precondition { key: key.clone(), expected, present: present.cloned() });
        }
    }
    check_claims(next, batch, &seen)
}

/// What an object claims must be free, or be given up by the same batch.
fn check_claims(next: &Snapshot, batch: &Batch, keys: &HashSet<&ObjectKey>) -> Result<(), CommitError> {
    let mut claimed = HashMap::new();
    for op in &batch.ops {
        let Op::Put { draft, .. } = op else { continue };
        for claim in &draft.meta.claims {
            let here = claimed.insert(claim, &draft.key);
            let there = next.claimed_by(*claim).filter(|by| !keys.contains(by));
            if let Some(by) = here.or(there).filter(|by| **by != draft.key) {
                return Err(CommitError::Claimed { key: draft.key.clone(), claim: *claim, by: Box::new(by.clone()) });
            }
        }
    }
    Ok(())
}
