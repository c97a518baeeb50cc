//! The store as everybody holds it: snapshots, commits, watches. Opening starts its one writer.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::backend::{Backend, BackendError, Contents, Memory};
use super::batch::{Batch, CommitError, Committed};
use super::hub::{Event, Hub, Watch, WatchError};
use super::recent::Recent;
use super::snapshot::Snapshot;
use super::writer::{Request, Writer};
use crate::object::{Kind, Object, Revision};
use crate::tasks::Tasks;

/// Batches that may wait for the writer; more make their senders wait.
const QUEUE: usize = 1024;
/// The first revision of an empty store. Not 0: a `resourceVersion` of 0 means "any" to Kubernetes's clients.
const FIRST: Revision = Revision(1);

/// The store: clone it freely, all clones are one.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Request>,
    stop: CancellationToken,
    pub(super) ended: CancellationToken,
}

pub(super) struct Shared {
    pub current: ArcSwap<Snapshot>,
    pub recent: Recent,
    pub hub: Hub,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("the store holds {key}, which is not JSON: {source}")]
    Object { key: String, source: serde_json::Error },
}

impl Store {
    /// Loads what the backend kept and starts the writer. It runs until the store is closed, the tasks are
    /// stopped or the last clone is dropped, whichever is first; then all that was queued is written, and
    /// the backend is released.
    ///
    /// Reads the whole backend before it returns, so call it at start only.
    ///
    /// # Errors
    /// When the backend cannot be read.
    pub fn open(mut backend: impl Backend, tasks: &Tasks) -> Result<Self, OpenError> {
        let Contents { ceiling, objects } = backend.load()?;
        let mut snapshot = Snapshot::at(ceiling.max(FIRST));
        for (key, json) in objects {
            let object = Object::from_json(key.kind, json)
                .map_err(|source| OpenError::Object { key: key.to_string(), source })?;
            snapshot.put(Arc::new(object));
        }
        Ok(Self::start(backend, ceiling, snapshot, tasks))
    }

    /// An empty store that lives as long as the process.
    pub fn in_memory(tasks: &Tasks) -> Self {
        Self::start(Memory, Revision::default(), Snapshot::at(FIRST), tasks)
    }

    fn start(backend: impl Backend, ceiling: Revision, snapshot: Snapshot, tasks: &Tasks) -> Self {
        let hub = Hub::new(snapshot.revision());
        let snapshot = Arc::new(snapshot);
        let recent = Recent::default();
        recent.keep(snapshot.clone(), 0);
        let shared = Arc::new(Shared { current: ArcSwap::new(snapshot), recent, hub });
        let (queue, requests) = mpsc::channel(QUEUE);
        let (stop, ended) = (tasks.token().child_token(), CancellationToken::new());
        let writer = Writer::new(shared.clone(), backend, ceiling, requests, ended.clone());
        tasks.spawn_draining("store", writer.run(stop.clone()));
        Self { shared, queue, stop, ended }
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
    /// When a precondition does not hold or the disk refuses; nothing was stored then. `Closed` also when
    /// the store closes while the batch is under way.
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
        let current = self.revision();
        if from > current {
            return Err(WatchError::Future { from, current });
        }
        self.shared.hub.watch(kind, from)
    }

    /// What one batch changed of a kind: that whose objects have this revision, as far as it is remembered.
    pub fn changed_at(&self, kind: &'static Kind, revision: Revision) -> Vec<Arc<Event>> {
        self.shared.hub.changed_at(kind, revision)
    }

    /// The state of the store from `revision` until it changed, if it is one of the last.
    pub fn state_at(&self, revision: Revision) -> Option<Arc<Snapshot>> {
        self.shared.recent.at(revision)
    }

    /// Writes what is queued and releases the backend; later commits are refused, watches end, reads go on.
    pub async fn close(&self) {
        self.stop.cancel();
        self.ended.cancelled().await;
    }
}
