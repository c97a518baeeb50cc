//! What a writer asks of the store: operations with preconditions that happen all at one revision, or not at all.

use std::sync::Arc;

use crate::object::kinds::Durability;
use crate::object::{Claim, Draft, Object, ObjectKey, Revision};

/// Operations that become real together. Each key may occur once.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub ops: Vec<Op>,
}

impl Batch {
    /// Nothing of it goes to disk.
    pub(super) fn is_volatile(&self) -> bool {
        let volatile = |op: &Op| op.key().kind.durability == Durability::Volatile || matches!(op, Op::Check { .. });
        self.ops.iter().all(volatile)
    }
}

#[derive(Clone, Debug)]
pub enum Op {
    Put {
        draft: Box<Draft>,
        expect: Precondition,
    },
    Delete {
        key: ObjectKey,
        expect: Precondition,
    },
    /// Writes nothing: the batch is refused unless the object is as expected.
    Check {
        key: ObjectKey,
        expect: Precondition,
    },
}

impl Op {
    pub fn key(&self) -> &ObjectKey {
        match self {
            Self::Put { draft, .. } => &draft.key,
            Self::Delete { key, .. } | Self::Check { key, .. } => key,
        }
    }

    pub(super) fn expect(&self) -> Precondition {
        match self {
            Self::Put { expect, .. } | Self::Delete { expect, .. } | Self::Check { expect, .. } => *expect,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever is there.
    Any,
    /// The object must not exist.
    Absent,
    /// The object must exist and have been written last at this revision.
    At(Revision),
}

impl Precondition {
    pub(super) fn holds(self, present: Option<&Arc<Object>>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => present.is_none(),
            Self::At(revision) => present.is_some_and(|o| o.meta.revision == revision),
        }
    }
}

/// A batch that was stored.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Of the state that has all of it; where it changed several objects, theirs is the one before.
    pub revision: Revision,
    /// What each operation left, in their order: the object put, the last state of the object deleted
    /// (at the batch's revision), `None` for a check or the delete of an absent object.
    pub objects: Vec<Option<Arc<Object>>>,
}

#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error("{key} is not as the write expects ({expected:?})")]
    Precondition { key: ObjectKey, expected: Precondition, present: Option<Arc<Object>> },
    #[error("{key} wants what {by} has: {claim:?}")]
    Claimed { key: ObjectKey, claim: Claim, by: Box<ObjectKey> },
    #[error("{key} occurs twice in one batch")]
    Repeated { key: ObjectKey },
    /// The disk refuses; nothing of the batch is visible.
    #[error("the store cannot write: {0}")]
    Backend(String),
    #[error("the store is shutting down")]
    Closed,
}
