//! Hands each change to everyone who watches its kind, in order, and keeps the last ones for those who resume.
//!
//! A kind's last changes are one ring that its watchers read where it is; a watch is a position in it. So a
//! watcher costs the same however far it is behind, and one that is overtaken is told so.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::object::{Kind, Object, Revision};

/// Changes of one kind that are kept; a watcher that is further behind is told that its revision expired.
const MOST_EVENTS: usize = 16_384;
/// Bytes of JSON that they may hold together.
const MOST_BYTES: usize = 16 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

/// One object's change. `object` is the new state; the last state, at the deletion's revision, when it was deleted.
#[derive(Clone, Debug)]
pub struct Event {
    pub revision: Revision,
    pub change: Change,
    pub object: Arc<Object>,
    /// The state before; selectors need it to tell what started or stopped to match.
    pub previous: Option<Arc<Object>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    #[error("too old resource version: {from} ({oldest})")]
    Expired { from: Revision, oldest: Revision },
    #[error("resource version {from} is ahead of the store's ({current})")]
    Future { from: Revision, current: Revision },
}

/// Why a watch gives no more events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEnd {
    /// The watcher was too slow: list again.
    Expired,
    /// The store was closed.
    Closed,
}

/// The changes of one kind after a revision, each once and in order.
#[derive(Debug)]
pub struct Watch {
    ring: watch::Receiver<Ring>,
    /// Of the next event in the ring.
    position: u64,
    /// Events up to here are not for this watch. They may still be on their way: a snapshot is published
    /// before its events are.
    from: Revision,
    /// The revision of the last event that this watch gave.
    given: Revision,
    published: Arc<AtomicU64>,
}

impl Watch {
    /// The next change; waits for it. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the watch has ended.
    pub async fn next(&mut self) -> Result<Arc<Event>, WatchEnd> {
        loop {
            if let Some(event) = self.try_next()? {
                return Ok(event);
            }
            let position = self.position;
            self.ring.wait_for(|ring| ring.end() > position).await.map_err(|_| WatchEnd::Closed)?;
        }
    }

    /// The next change if there is one already.
    ///
    /// # Errors
    /// When the watcher was too slow.
    pub fn try_next(&mut self) -> Result<Option<Arc<Event>>, WatchEnd> {
        let ring = self.ring.borrow();
        if self.position < ring.first {
            if ring.compacted > self.from {
                return Err(WatchEnd::Expired);
            }
            self.position = ring.first;
        }
        while let Some(event) = ring.get(self.position) {
            self.position += 1;
            if event.revision > self.from {
                self.given = event.revision;
                return Ok(Some(event.clone()));
            }
        }
        Ok(None)
    }

    /// A revision up to which this watch has given every event, for a bookmark; `None` while events wait.
    pub fn progress(&self) -> Option<Revision> {
        // Read before looking at the ring: an event that is published in between is then in the ring.
        let published = Revision(self.published.load(Ordering::Acquire));
        (self.ring.borrow().end() <= self.position).then_some(published.max(self.given))
    }
}

#[derive(Debug)]
pub(super) struct Hub {
    /// `None` once the store is closed.
    rings: Mutex<Option<HashMap<&'static Kind, watch::Sender<Ring>>>>,
    published: Arc<AtomicU64>,
    /// Nothing is known of changes up to here: they were before this process.
    origin: Revision,
}

/// The last changes of one kind.
#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    /// Position of the first of `events`; the first change of the process has position 0.
    first: u64,
    bytes: usize,
    /// Revision of the last change that `events` no longer holds.
    compacted: Revision,
}

impl Hub {
    pub fn new(origin: Revision) -> Self {
        let rings = Mutex::new(Some(HashMap::new()));
        Self { rings, published: Arc::new(AtomicU64::new(origin.0)), origin }
    }

    /// Publishes the events of one batch, all of which have one revision; with them the state reaches `revision`.
    pub fn publish(&self, revision: Revision, mut events: Vec<Event>) {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rings) = rings.as_mut() else { return };
        // A kind's events arrive together: its watchers wake once, and one that has seen the last of them may say
        // that it is at this revision.
        events.sort_by(|a, b| a.object.key.kind.cmp(b.object.key.kind));
        let mut events = events.into_iter().map(Arc::new).peekable();
        while let Some(kind) = events.peek().map(|event| event.object.key.kind) {
            let ring = rings.entry(kind).or_insert_with(|| Ring::channel(self.origin));
            ring.send_modify(|ring| {
                while let Some(event) = events.next_if(|event| event.object.key.kind == kind) {
                    ring.push(event);
                }
            });
        }
        self.published.store(revision.0, Ordering::Release);
    }

    /// The caller has made sure that `from` is not ahead of the latest snapshot.
    pub fn watch(&self, kind: &'static Kind, from: Revision) -> Result<Watch, WatchError> {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = match rings.as_mut() {
            Some(rings) => rings.entry(kind).or_insert_with(|| Ring::channel(self.origin)).subscribe(),
            None => Ring::channel(self.origin).subscribe(),
        };
        let (position, compacted) = {
            let ring = ring.borrow();
            (ring.first + ring.events.partition_point(|e| e.revision <= from) as u64, ring.compacted)
        };
        if from < compacted {
            return Err(WatchError::Expired { from, oldest: compacted });
        }
        Ok(Watch { ring, position, from, given: from, published: self.published.clone() })
    }

    /// What changed at `revision`, as far as it is still kept: several events where a batch had several of this kind.
    pub fn changed_at(&self, kind: &'static Kind, revision: Revision) -> Vec<Arc<Event>> {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ring) = rings.as_ref().and_then(|rings| rings.get(kind)) else { return Vec::new() };
        let ring = ring.borrow();
        let first = ring.events.partition_point(|event| event.revision < revision);
        ring.events.range(first..).take_while(|event| event.revision == revision).cloned().collect()
    }

    /// Ends all watches, once they have given what was published.
    pub fn close(&self) {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Ring {
    fn channel(compacted: Revision) -> watch::Sender<Self> {
        watch::Sender::new(Self { events: VecDeque::new(), first: 0, bytes: 0, compacted })
    }

    /// The position after the last event.
    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    fn get(&self, position: u64) -> Option<&Arc<Event>> {
        let index = position.checked_sub(self.first)?;
        usize::try_from(index).ok().and_then(|index| self.events.get(index))
    }

    fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.object.json().len();
        self.events.push_back(event);
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES && self.events.len() > 1 {
            let Some(dropped) = self.pop() else { break };
            self.compacted = dropped;
            // A batch goes whole: who knows one of its events may lack the others, which only those who know the
            // revision after it do not.
            while self.events.len() > 1 && self.events.front().is_some_and(|event| event.revision == dropped) {
                self.pop();
                self.compacted = Revision(dropped.0 + 1);
            }
        }
    }

    fn pop(&mut self) -> Option<Revision> {
        let dropped = self.events.pop_front()?;
        self.bytes -= dropped.object.json().len();
        self.first += 1;
        Some(dropped.revision)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::{Draft, kinds};

    fn event(kind: &'static Kind, revision: u64) -> Event {
        let object = Draft::new(kind, &json!({"metadata": {"name": "a", "namespace": "d"}})).seal(Revision(revision));
        Event { revision: Revision(revision), change: Change::Modified, object: Arc::new(object), previous: None }
    }

    fn taken(watch: &mut Watch) -> Vec<u64> {
        std::iter::from_fn(|| watch.try_next().unwrap()).map(|e| e.revision.0).collect()
    }

    #[test]
    fn a_watch_skips_events_that_its_snapshot_already_held() {
        let hub = Hub::new(Revision(4));
        // The snapshot of revision 6 is out, its events are not yet.
        let mut watch = hub.watch(kinds::POD, Revision(6)).unwrap();
        assert_eq!(watch.progress(), Some(Revision(6)));
        for revision in 5..9 {
            hub.publish(Revision(revision), vec![event(kinds::POD, revision)]);
        }
        assert_eq!(taken(&mut watch), [7, 8]);
    }

    #[test]
    fn progress_is_unknown_while_events_wait_and_moves_with_other_kinds() {
        let hub = Hub::new(Revision(1));
        let mut watch = hub.watch(kinds::POD, Revision(1)).unwrap();
        hub.publish(Revision(2), vec![event(kinds::POD, 2), event(kinds::NODE, 2)]);
        assert_eq!(watch.progress(), None);
        assert_eq!(taken(&mut watch), [2]);
        hub.publish(Revision(3), vec![event(kinds::NODE, 3)]);
        assert_eq!(watch.progress(), Some(Revision(3)));
    }

    #[test]
    fn a_slow_watcher_is_told_that_it_expired_and_the_others_go_on() {
        let hub = Hub::new(Revision(1));
        let mut slow = hub.watch(kinds::POD, Revision(1)).unwrap();
        let mut fast = hub.watch(kinds::POD, Revision(1)).unwrap();
        let last = MOST_EVENTS as u64 + 2;
        for revision in 2..=last {
            hub.publish(Revision(revision), vec![event(kinds::POD, revision)]);
            assert_eq!(taken(&mut fast), [revision]);
        }
        assert_eq!(slow.try_next().unwrap_err(), WatchEnd::Expired);
        assert_eq!(slow.progress(), None);
        let expired = hub.watch(kinds::POD, Revision(1)).unwrap_err();
        assert_eq!(expired, WatchError::Expired { from: Revision(1), oldest: Revision(2) });
        assert_eq!(taken(&mut hub.watch(kinds::POD, Revision(2)).unwrap()).len(), MOST_EVENTS);
    }

    #[test]
    fn a_batch_is_found_by_its_revision_and_forgotten_whole() {
        let hub = Hub::new(Revision(1));
        let several = |revision| vec![event(kinds::POD, revision), event(kinds::POD, revision)];
        hub.publish(Revision(3), several(2));
        hub.publish(Revision(4), vec![event(kinds::POD, 4), event(kinds::NODE, 4)]);
        let changed = |revision| hub.changed_at(kinds::POD, Revision(revision)).len();
        assert_eq!([changed(1), changed(2), changed(3), changed(4), changed(5)], [0, 2, 0, 1, 0]);
        let last = MOST_EVENTS as u64 + 3;
        for revision in 5..=last {
            hub.publish(Revision(revision), vec![event(kinds::POD, revision)]);
        }
        // One event too many: its whole batch went.
        assert_eq!(changed(2), 0);
        assert!(hub.watch(kinds::POD, Revision(2)).is_err());
        assert!(hub.watch(kinds::POD, Revision(3)).is_ok());
    }

    #[test]
    fn large_objects_are_kept_by_their_bytes() {
        let hub = Hub::new(Revision(1));
        let data = "x".repeat(MOST_BYTES / 4);
        for revision in 2..12 {
            let value = json!({"metadata": {"name": "a", "namespace": "d"}, "data": {"k": data}});
            let object = Arc::new(Draft::new(kinds::CONFIG_MAP, &value).seal(Revision(revision)));
            let event = Event { object, ..event(kinds::CONFIG_MAP, revision) };
            hub.publish(Revision(revision), vec![event]);
        }
        assert!(hub.watch(kinds::CONFIG_MAP, Revision(7)).is_err());
        assert_eq!(taken(&mut hub.watch(kinds::CONFIG_MAP, Revision(8)).unwrap()), [9, 10, 11]);
    }

    #[tokio::test]
    async fn a_closed_hub_ends_its_watches_after_their_last_event() {
        let hub = Hub::new(Revision(1));
        let mut watch = hub.watch(kinds::POD, Revision(1)).unwrap();
        hub.publish(Revision(2), vec![event(kinds::POD, 2)]);
        hub.close();
        assert_eq!(watch.next().await.unwrap().revision, Revision(2));
        assert_eq!(watch.next().await.unwrap_err(), WatchEnd::Closed);
        assert_eq!(hub.watch(kinds::POD, Revision(2)).unwrap().next().await.unwrap_err(), WatchEnd::Closed);
    }
}
