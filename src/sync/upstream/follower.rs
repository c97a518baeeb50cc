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

    /// Whether none of the files that changed can concern it, which has looked at what was before.
    pub(super) fn is_beside(&self, changed: &[String]) -> bool {
        let is_concerned = |file: &String| match file.strip_prefix(self.path.as_str()) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            // The folder itself may have become a file or a link.
            None => self.path.strip_prefix(file.as_str()).is_some_and(|rest| rest.starts_with('/')),
        };
        let has_looked = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        has_looked
            && !self.path.is_empty()
            && !self.is_wide.load(Ordering::Relaxed)
            && !changed.iter().any(is_concerned)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{SYSTEM_NAMESPACE, kinds};

    #[test]
    fn a_follower_is_beside_what_changes_elsewhere_once_it_has_looked() {
        let application = ObjectKey::new(kinds::APPLICATION, SYSTEM_NAMESPACE, "a");
        let follower = |path: &str| Follower::new(application.clone(), 0, "main", path, Arc::default());
        let is_beside = |path: &str, changed: &str| {
            let follower = follower(path);
            follower.settle(Some(Oid::ZERO_SHA1));
            follower.is_beside(&[changed.to_owned()])
        };
        assert!(is_beside("apps/a", "apps/ab/x.yaml") && is_beside("apps/a", "apps/x.yaml"));
        for (path, changed) in [("apps/a", "apps/a/b/x.yaml"), ("apps/a", "apps/a"), ("apps/a", "apps"), ("", "x.yaml")]
        {
            assert!(!is_beside(path, changed), "{path} {changed}");
        }
        let wide = follower("apps/a");
        assert!(!wide.is_beside(&["x".to_owned()]), "it has yet to look");
        wide.settle(Some(Oid::ZERO_SHA1));
        wide.widen(true);
        assert!(!wide.is_beside(&["x".to_owned()]));
    }
}
