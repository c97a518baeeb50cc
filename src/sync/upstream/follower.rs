//! One source of one Application, as its repository knows it: what is followed, what was looked at last, and whom
//! to tell.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use git2::Oid;

use crate::object::ObjectKey;
use crate::sync::inbox::Inbox;
use crate::sync::mirror::{Mirror, MirrorError};

pub struct Follower {
    pub application: ObjectKey,
    /// Which of the Application's sources.
    pub index: usize,
    pub target_revision: String,
    /// Folder inside the repository; empty for all of it.
    pub path: String,
    /// The folder refers to others, so that any change of the repository may concern it.
    is_wide: AtomicBool,
    pub inbox: Arc<Inbox>,
    looked_at: Mutex<Option<Oid>>,
}

/// Where a follower's source is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub commit: Oid,
    /// Id of the folder, which changes with anything in it.
    pub content: Oid,
}

impl Follower {
    pub fn new(application: ObjectKey, index: usize, target_revision: &str, path: &str, inbox: Arc<Inbox>) -> Self {
        Self {
            application,
            index,
            target_revision: target_revision.to_owned(),
            path: path.to_owned(),
            is_wide: AtomicBool::new(false),
            inbox,
            looked_at: Mutex::default(),
        }
    }

    /// Where the source is at a commit. A folder that does not exist is a content of its own.
    pub(super) fn at(&self, mirror: &Mirror, commit: Oid) -> Result<Position, MirrorError> {
        let path = if self.is_wide.load(Ordering::Relaxed) { "" } else { &self.path };
        Ok(Position { commit, content: mirror.content(commit, path)?.unwrap_or(Oid::ZERO_SHA1) })
    }

    /// The folder refers to others, or not.
    pub fn widen(&self, is_wide: bool) {
        self.is_wide.store(is_wide, Ordering::Relaxed);
    }

    /// What was looked at and needs no second look; `None` to be told of the next look in any case.
    pub fn settle(&self, content: Option<Oid>) {
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = content;
    }

    pub(super) fn is_settled(&self, content: Oid) -> bool {
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) == Some(content)
    }
}
