//! The last states of the store, for readers that go on with one: the later pages of a list, or a list at a revision
//! that was current a moment ago. They share all objects that did not change, so what one costs is what was written
//! after it; bounded in number and in that.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::snapshot::Snapshot;
use crate::object::Revision;

/// States that are kept.
const MOST: usize = 128;
/// Bytes of JSON that were written between the first of them and the last.
const MOST_BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Oldest first, each with the bytes that were written to reach it.
    states: VecDeque<(Arc<Snapshot>, usize)>,
    bytes: usize,
}

impl Recent {
    /// The next state, and the bytes of what was written to reach it; the oldest ones are forgotten for it.
    pub fn keep(&self, snapshot: Arc<Snapshot>, written: usize) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A group of refused batches leaves the state as it was.
        if kept.states.back().is_some_and(|(last, _)| last.revision() == snapshot.revision()) {
            return;
        }
        kept.states.push_back((snapshot, written));
        kept.bytes += written;
        while kept.states.len() > MOST || kept.bytes > MOST_BYTES && kept.states.len() > 1 {
            let Some((_, bytes)) = kept.states.pop_front() else { break };
            kept.bytes -= bytes;
        }
    }

    /// The state at `revision`. Batches that were written together became visible together, so between two states there
    /// may be revisions that never were one; those have none.
    pub fn at(&self, revision: Revision) -> Option<Arc<Snapshot>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = kept.states.binary_search_by_key(&revision, |(snapshot, _)| snapshot.revision()).ok()?;
        kept.states.get(index).map(|(snapshot, _)| snapshot.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_states_are_found_by_their_revision() {
        let recent = Recent::default();
        for revision in 1..=MOST as u64 + 2 {
            recent.keep(Arc::new(Snapshot::at(Revision(revision * 2))), 1);
        }
        let found = |revision| recent.at(Revision(revision)).map(|snapshot| snapshot.revision().0);
        assert_eq!([found(4), found(6), found(7), found(260)], [None, Some(6), None, Some(260)]);
        recent.keep(Arc::new(Snapshot::at(Revision(262))), MOST_BYTES);
        assert_eq!([found(260), found(262)], [None, Some(262)], "large writes take the place of many");
    }
}
