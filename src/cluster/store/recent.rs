//! The last states of the store, for readers that go on with one: the later pages of a list, or a list at a revision
//! that was current a moment ago. Bounded in number; they share all objects that did not change.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::snapshot::Snapshot;
use crate::object::Revision;

/// States that are kept.
const MOST: usize = 128;

/// Oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Arc<Snapshot>>>);

impl Recent {
    /// The next state; the oldest one is forgotten for it.
    pub fn keep(&self, snapshot: Arc<Snapshot>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A group of refused batches leaves the state as it was.
        if kept.back().is_some_and(|last| last.revision() == snapshot.revision()) {
            return;
        }
        if kept.len() == MOST {
            kept.pop_front();
        }
        kept.push_back(snapshot);
    }

    /// The state at `revision`. Batches that were written together became visible together, so between two states there
    /// may be revisions that never were one; those have none.
    pub fn at(&self, revision: Revision) -> Option<Arc<Snapshot>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = kept.binary_search_by_key(&revision, |snapshot| snapshot.revision()).ok()?;
        kept.get(index).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_states_are_found_by_their_revision() {
        let recent = Recent::default();
        for revision in 1..=MOST as u64 + 2 {
            recent.keep(Arc::new(Snapshot::at(Revision(revision * 2))));
        }
        let found = |revision| recent.at(Revision(revision)).map(|snapshot| snapshot.revision().0);
        assert_eq!([found(4), found(6), found(7), found(260)], [None, Some(6), None, Some(260)]);
    }
}
