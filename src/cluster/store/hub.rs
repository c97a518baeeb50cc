//! Hands each change to everyone who watches its kind, in order, and keeps the last ones for those who resume.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast::{self, error::RecvError};

use crate::object::{Kind, Object, Revision};

/// Changes that a watcher may be behind, a kind; one that is further behind is told that its revision expired.
const BACKLOG: usize = 8192;

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
pub struct Watch {
    backlog: VecDeque<Arc<Event>>,
    live: broadcast::Receiver<Arc<Event>>,
    published: Arc<AtomicU64>,
}

impl Watch {
    /// The next change; waits for it. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the watch has ended.
    pub async fn next(&mut self) -> Result<Arc<Event>, WatchEnd> {
        if let Some(event) = self.backlog.pop_front() {
            return Ok(event);
        }
        self.live.recv().await.map_err(|error| match error {
            RecvError::Lagged(_) => WatchEnd::Expired,
            RecvError::Closed => WatchEnd::Closed,
        })
    }

    /// A revision up to which this watch has given every event, for a bookmark; `None` while events wait.
    pub fn progress(&self) -> Option<Revision> {
        // Read before looking at the queue: an event that is published in between is then in the queue.
        let published = Revision(self.published.load(Ordering::Acquire));
        (self.backlog.is_empty() && self.live.is_empty()).then_some(published)
    }
}

#[derive(Debug)]
pub(super) struct Hub {
    channels: Mutex<HashMap<&'static Kind, Channel>>,
    published: Arc<AtomicU64>,
    /// Nothing is known of changes up to here: they were before this process.
    origin: Revision,
}

#[derive(Debug)]
struct Channel {
    live: broadcast::Sender<Arc<Event>>,
    recent: VecDeque<Arc<Event>>,
    /// Revision of the last change that `recent` no longer holds.
    compacted: Revision,
}

impl Hub {
    pub fn new(origin: Revision) -> Self {
        Self { channels: Mutex::default(), published: Arc::new(AtomicU64::new(origin.0)), origin }
    }

    /// Publishes the events of one batch, all of which have its revision.
    pub fn publish(&self, revision: Revision, events: Vec<Event>) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            let event = Arc::new(event);
            let channel = channels.entry(event.object.key.kind).or_insert_with(|| Channel::new(self.origin));
            if channel.recent.len() == BACKLOG
                && let Some(dropped) = channel.recent.pop_front()
            {
                channel.compacted = dropped.revision;
            }
            channel.recent.push_back(event.clone());
            let _ = channel.live.send(event);
        }
        self.published.store(revision.0, Ordering::Release);
    }

    pub fn watch(&self, kind: &'static Kind, from: Revision) -> Result<Watch, WatchError> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.entry(kind).or_insert_with(|| Channel::new(self.origin));
        let current = Revision(self.published.load(Ordering::Acquire));
        if from > current {
            return Err(WatchError::Future { from, current });
        }
        if from < channel.compacted {
            return Err(WatchError::Expired { from, oldest: channel.compacted });
        }
        let start = channel.recent.partition_point(|e| e.revision <= from);
        let backlog = channel.recent.range(start..).cloned().collect();
        Ok(Watch { backlog, live: channel.live.subscribe(), published: self.published.clone() })
    }
}

impl Channel {
    fn new(compacted: Revision) -> Self {
        Self { live: broadcast::channel(BACKLOG).0, recent: VecDeque::new(), compacted }
    }
}
