//! The one writer: takes batches in order, checks their preconditions, makes them durable (many with one
//! wait for the disk), then shows them to readers and watchers.

use std::sync::Arc;
use std::thread;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use super::backend::{Backend, BackendError, Contents, Record};
use super::batch::{Batch, CommitError, Committed, Op};
use super::hub::{Change, Event, Hub, Watch, WatchError};
use super::snapshot::Snapshot;
use crate::object::kinds::Durability;
use crate::object::{Draft, Kind, Object, Revision};

/// Batches that may wait for the writer; more make their senders wait.
const QUEUE: usize = 1024;
/// Batches that share one wait for the disk.
const GROUP: usize = 256;

/// The store: clone it freely, all clones are one.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Request>,
}

struct Shared {
    current: ArcSwap<Snapshot>,
    hub: Hub,
}

struct Request {
    batch: Batch,
    answer: oneshot::Sender<Result<Committed, CommitError>>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("the store holds {key}, which is not JSON: {source}")]
    Object { key: String, source: serde_json::Error },
    #[error("the store's writer did not start: {0}")]
    Thread(std::io::Error),
}

impl Store {
    /// Loads what the backend kept and starts the writer, which lives until the last clone is dropped.
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// When the backend cannot be read.
    pub fn open(mut backend: impl Backend) -> Result<Self, OpenError> {
        let Contents { revision, objects } = backend.load()?;
        let mut snapshot = Snapshot::at(revision);
        for (key, json) in objects {
            let object = Object::from_json(key.kind, json)
                .map_err(|source| OpenError::Object { key: key.to_string(), source })?;
            snapshot.put(Arc::new(object));
        }
        let shared = Arc::new(Shared { current: ArcSwap::from_pointee(snapshot), hub: Hub::new(revision) });
        let (queue, requests) = mpsc::channel(QUEUE);
        let blocks = backend.blocks();
        let writer = Writer { shared: shared.clone(), backend, requests };
        if blocks {
            let named = thread::Builder::new().name("store".into());
            named.spawn(move || writer.run_blocking()).map_err(OpenError::Thread)?;
        } else {
            #[expect(
                clippy::disallowed_methods,
                reason = "ends by itself when the last clone of the store is dropped"
            )]
            tokio::spawn(writer.run());
        }
        Ok(Self { shared, queue })
    }

    /// The latest state. Costs a reference count.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    pub fn revision(&self) -> Revision {
        self.shared.current.load().revision()
    }

    /// Stores the batch whole or not at all; when it returns, the batch is durable and visible.
    ///
    /// # Errors
    /// When a precondition does not hold or the disk refuses; nothing was stored then.
    pub async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Request { batch, answer }).await.map_err(|_| CommitError::Closed)?;
        answered.await.map_err(|_| CommitError::Closed)?
    }

    /// The changes of `kind` after `from`.
    ///
    /// # Errors
    /// When `from` is no longer, or not yet, known.
    pub fn watch(&self, kind: &'static Kind, from: Revision) -> Result<Watch, WatchError> {
        self.shared.hub.watch(kind, from)
    }
}

struct Writer<B> {
    shared: Arc<Shared>,
    backend: B,
    requests: mpsc::Receiver<Request>,
}

/// A batch that is checked and applied to the next snapshot, and not yet durable.
struct Staged {
    answer: oneshot::Sender<Result<Committed, CommitError>>,
    committed: Committed,
    events: Vec<Event>,
}

impl<B: Backend> Writer<B> {
    async fn run(mut self) {
        let mut group = Vec::new();
        while self.requests.recv_many(&mut group, GROUP).await > 0 {
            self.turn(&mut group);
        }
    }

    fn run_blocking(mut self) {
        let mut group = Vec::new();
        while self.requests.blocking_recv_many(&mut group, GROUP) > 0 {
            self.turn(&mut group);
        }
    }

    fn turn(&mut self, group: &mut Vec<Request>) {
        let mut next = Snapshot::clone(&self.shared.current.load());
        let mut staged = Vec::with_capacity(group.len());
        let mut records = Vec::new();
        for Request { batch, answer } in group.drain(..) {
            match stage(&mut next, batch, &mut records) {
                Ok((committed, events)) => staged.push(Staged { answer, committed, events }),
                Err(refused) => drop(answer.send(Err(refused))),
            }
        }
        if !records.is_empty()
            && let Err(error) = self.backend.commit(next.revision(), &records)
        {
            tracing::error!(%error, batches = staged.len(), "the store refuses writes");
            for staged in staged {
                let _ = staged.answer.send(Err(CommitError::Backend(error.to_string())));
            }
            return;
        }
        self.shared.current.store(Arc::new(next));
        for Staged { answer, committed, events } in staged {
            self.shared.hub.publish(committed.revision, events);
            let _ = answer.send(Ok(committed));
        }
    }
}

/// Applies one batch to `next`, or leaves `next` as it was when a precondition does not hold.
fn stage(next: &mut Snapshot, batch: Batch, records: &mut Vec<Record>) -> Result<(Committed, Vec<Event>), CommitError> {
    for op in &batch.ops {
        let present = next.get(op.key());
        if !op.expect().holds(present) {
            return Err(CommitError::Precondition {
                key: op.key().clone(),
                expected: op.expect(),
                present: present.cloned(),
            });
        }
    }
    let writes = batch.ops.iter().any(|op| !matches!(op, Op::Check { .. }));
    let revision = if writes { Revision(next.revision().0 + 1) } else { next.revision() };
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
    next.advance(revision);
    Ok((Committed { revision, objects }, events))
}
