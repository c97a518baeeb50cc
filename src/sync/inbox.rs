//! What waits for the worker of one Application. A set, not a queue: whatever happens twice waits once, so nothing
//! grows past what the Application owns, and nobody who writes into it waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use git2::Oid;
use tokio::sync::Notify;

use super::trigger::Trigger;
use crate::object::{ObjectKey, Revision};

#[derive(Default)]
pub struct Inbox {
    mail: Mutex<Mail>,
    wake: Notify,
    written: AtomicU64,
}

#[derive(Default, Debug)]
pub struct Mail {
    /// The Application itself changed, or was deleted.
    pub application: bool,
    /// A source moved, or somebody asks for a look.
    pub look: Option<Trigger>,
    /// A repository cannot be reached.
    pub unreadable: Option<String>,
    /// Sources whose repository moved to a commit without a change of theirs.
    pub passed: BTreeMap<usize, Oid>,
    /// Owned objects that changed.
    pub changed: BTreeSet<ObjectKey>,
}

impl Mail {
    fn is_empty(&self) -> bool {
        let Self { application, look, unreadable, passed, changed } = self;
        !application && look.is_none() && unreadable.is_none() && passed.is_empty() && changed.is_empty()
    }
}

impl Inbox {
    fn put(&self, write: impl FnOnce(&mut Mail)) {
        write(&mut self.lock());
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn application(&self) {
        self.put(|mail| mail.application = true);
    }

    pub fn look(&self, why: Trigger) {
        self.put(|mail| {
            mail.unreadable = None;
            mail.look = Some(mail.look.take().map_or(why.clone(), |waiting| waiting.or(why)));
        });
    }

    pub fn unreadable(&self, why: &str) {
        self.put(|mail| mail.unreadable = Some(why.to_owned()));
    }

    pub fn passed(&self, source: usize, commit: Oid) {
        self.put(|mail| {
            mail.passed.insert(source, commit);
        });
    }

    pub fn changed(&self, keys: impl IntoIterator<Item = ObjectKey>) {
        self.put(|mail| mail.changed.extend(keys));
    }

    /// Everything that waits; waits until there is something. Dropping the future loses nothing.
    pub async fn next(&self) -> Mail {
        loop {
            let mail = std::mem::take(&mut *self.lock());
            if !mail.is_empty() {
                return mail;
            }
            self.wake.notified().await;
        }
    }

    /// The Application was written by its own worker at this revision: that is no news.
    pub fn wrote(&self, revision: Revision) {
        self.written.fetch_max(revision.0, Ordering::Release);
    }

    pub fn is_own(&self, revision: Revision) -> bool {
        self.written.load(Ordering::Acquire) == revision.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::kinds;

    #[tokio::test]
    async fn what_happens_often_waits_once() {
        let inbox = Inbox::default();
        let key = ObjectKey::new(kinds::CONFIG_MAP, "a", "b");
        for _ in 0..3 {
            inbox.changed([key.clone()]);
            inbox.look(Trigger::Poll);
            inbox.look(Trigger::Webhook("GitHub"));
        }
        let mail = inbox.next().await;
        assert_eq!((mail.changed.len(), mail.look), (1, Some(Trigger::Webhook("GitHub"))));
        let more = tokio::select! {
            biased;
            mail = inbox.next() => Some(mail),
            () = std::future::ready(()) => None,
        };
        assert!(more.is_none(), "{more:?}");
    }
}
