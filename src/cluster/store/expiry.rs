//! Decides when Events go: an hour after they were last written, or earlier when there are too many.
//! Pure: the writer tells it of changes and of the time, and carries the deletions out.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::batch::{Op, Precondition};
use super::hub::{Change, Event};
use crate::object::{Kind, ObjectKey, Revision, kinds};

/// The kind that expires. Leases are volatile too, but there are only as many as there are holders.
const EXPIRING: &Kind = kinds::EVENT;
/// As the Kubernetes API server keeps events (`--event-ttl`).
const KEEP: Duration = Duration::from_secs(60 * 60);
/// Events that are kept at most; the ones that were written longest ago go first.
const MOST: usize = 8192;

/// The Events that exist, by when they were last written.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    written: HashMap<ObjectKey, (Instant, Revision)>,
    order: BTreeSet<(Instant, Revision, ObjectKey)>,
}

impl Expiry {
    pub fn note(&mut self, event: &Event, now: Instant) {
        let key = &event.object.key;
        if key.kind != EXPIRING {
            return;
        }
        match event.change {
            Change::Added | Change::Modified => self.put(key.clone(), event.revision, now),
            Change::Deleted => self.forget(key),
        }
    }

    /// When something expires next; in the past when something is due.
    pub fn next(&self) -> Option<Instant> {
        let (oldest, ..) = self.order.first()?;
        Some(if self.written.len() > MOST { *oldest } else { *oldest + KEEP })
    }

    /// What is due. It counts as written `now`, so that a deletion that fails is tried again, and not at once.
    pub fn take_due(&mut self, now: Instant) -> Vec<Op> {
        let excess = self.written.len().saturating_sub(MOST);
        let keys = self.order.iter().enumerate();
        let due: Vec<_> = keys
            .take_while(|(index, (written, ..))| *index < excess || *written + KEEP <= now)
            .map(|(_, (_, revision, key))| (*revision, key.clone()))
            .collect();
        let delete = |(revision, key): (Revision, ObjectKey)| {
            self.put(key.clone(), revision, now);
            Op::Delete { key, expect: Precondition::At(revision) }
        };
        due.into_iter().map(delete).collect()
    }

    fn put(&mut self, key: ObjectKey, revision: Revision, now: Instant) {
        self.forget(&key);
        self.order.insert((now, revision, key.clone()));
        self.written.insert(key, (now, revision));
    }

    fn forget(&mut self, key: &ObjectKey) {
        if let Some((written, revision)) = self.written.remove(key) {
            self.order.remove(&(written, revision, key.clone()));
        }
    }
}
