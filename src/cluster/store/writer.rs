//! The one writer: takes batches in order, checks their preconditions, makes them durable (many with one
//! wait for the disk), then shows them to readers and watchers.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::backend::{Backend, BackendError, Record};
use super::batch::{Batch, CommitError, Committed};
use super::expiry::Expiry;
use super::handle::Shared;
use super::hub::Event;
use super::snapshot::Snapshot;
use super::stage::stage;
use crate::object::Revision;

/// Batches that share one wait for the disk.
const GROUP: usize = 256;
/// Revisions that are promised to the disk ahead. Volatile writes use them up without a wait for the disk; after
/// a crash the store goes on above all of them, so that none is handed out twice.
const RESERVE: u64 = 10_000;

pub(super) struct Request {
    pub batch: Batch,
    pub answer: oneshot::Sender<Result<Committed, CommitError>>,
}

pub(super) struct Writer<B> {
    shared: Arc<Shared>,
    /// `None` only while it is away on a thread that may wait.
    backend: Option<B>,
    /// The disk knows that no revision above this was handed out.
    ceiling: Revision,
    requests: mpsc::Receiver<Request>,
    expiry: Expiry,
    /// Last, so that the backend is released when it is dropped.
    _ended: DropGuard,
}

impl<B: Backend> Writer<B> {
    pub fn new(
        shared: Arc<Shared>,
        backend: B,
        ceiling: Revision,
        requests: mpsc::Receiver<Request>,
        ended: CancellationToken,
    ) -> Self {
        let (backend, expiry) = (Some(backend), Expiry::default());
        Self { shared, backend, ceiling, requests, expiry, _ended: ended.drop_guard() }
    }

    pub async fn run(mut self, stop: CancellationToken) {
        let mut group = Vec::with_capacity(GROUP);
        loop {
            let expires = self.expiry.next();
            let expired = async {
                match expires {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // What is queued is still received after this; new requests are refused.
                () = stop.cancelled(), if !self.requests.is_closed() => self.requests.close(),
                received = self.requests.recv_many(&mut group, GROUP) => match received {
                    0 => break,
                    _ => self.turn(&mut group).await,
                },
                () = expired => self.expire().await,
            }
        }
        self.finish().await;
    }

    /// Volatile batches go first: they neither wait for the disk nor fail with it.
    async fn turn(&mut self, group: &mut Vec<Request>) {
        let (volatile, durable): (Vec<_>, Vec<_>) = group.drain(..).partition(|request| request.batch.is_volatile());
        for part in [volatile, durable] {
            if !part.is_empty() {
                self.write(part).await;
            }
        }
    }

    async fn write(&mut self, group: Vec<Request>) {
        let mut next = Snapshot::clone(&self.shared.current.load());
        let mut records = Vec::new();
        let stage_one = |Request { batch, answer }| (answer, stage(&mut next, batch, &mut records));
        let staged: Vec<_> = group.into_iter().map(stage_one).collect();
        if let Err(error) = self.persist(next.revision(), records).await {
            tracing::error!(%error, batches = staged.len(), "the store refuses writes");
            // Refusals too: what they refer to may be a batch of this group, which never was.
            for (answer, _) in staged {
                let _ = answer.send(Err(CommitError::Backend(error.to_string())));
            }
            return;
        }
        let next = Arc::new(next);
        let events = staged.iter().filter_map(|(_, outcome)| outcome.as_ref().ok()).flat_map(|(_, events)| events);
        self.shared.recent.keep(next.clone(), events.map(|event| event.object.json().len()).sum());
        self.shared.current.store(next);
        for (answer, outcome) in staged {
            let outcome = outcome.map(|(committed, events)| self.publish(committed, events));
            let _ = answer.send(outcome);
        }
    }

    fn publish(&mut self, committed: Committed, events: Vec<Event>) -> Committed {
        if !events.is_empty() {
            let now = Instant::now();
            events.iter().for_each(|event| self.expiry.note(event, now));
            self.shared.hub.publish(committed.revision, events);
        }
        committed
    }

    async fn expire(&mut self) {
        let ops = self.expiry.take_due(Instant::now());
        let (answer, _) = oneshot::channel();
        self.write(vec![Request { batch: Batch { ops }, answer }]).await;
    }

    /// Makes records durable that end at revision `last`; does not touch the disk when there is no need to.
    async fn persist(&mut self, last: Revision, records: Vec<Record>) -> Result<(), BackendError> {
        // A commit that waits for the disk anyway renews the reserve early, volatile ones only when they must.
        let left = self.ceiling.0.checked_sub(last.0);
        let renew = left.is_none_or(|left| !records.is_empty() && left < RESERVE / 2);
        let ceiling = if renew { Revision(last.0 + RESERVE) } else { self.ceiling };
        if records.is_empty() && !renew {
            return Ok(());
        }
        self.with_backend(move |backend| backend.commit(ceiling, &records)).await?;
        self.ceiling = ceiling;
        Ok(())
    }

    /// Gives the rest of the reserve back and releases the backend.
    async fn finish(&mut self) {
        let last = self.shared.current.load().revision();
        if last != self.ceiling
            && let Err(error) = self.with_backend(move |backend| backend.commit(last, &[])).await
        {
            tracing::warn!(%error, "the store could not note its last revision; it goes on above its reserve");
        }
        if let Some(backend) = self.backend.take() {
            let released = if backend.blocks() { spawn_blocking(move || drop(backend)).await } else { Ok(()) };
            if let Err(error) = released {
                tracing::warn!(%error, "the store was not closed in good order");
            }
        }
    }

    /// Calls the backend where it may wait.
    async fn with_backend<R: Send + 'static>(
        &mut self,
        call: impl FnOnce(&mut B) -> Result<R, BackendError> + Send + 'static,
    ) -> Result<R, BackendError> {
        let lost = |message: String| BackendError::Io { action: "reach the store's file", message };
        let mut backend = self.backend.take().ok_or_else(|| lost("an earlier write broke it off".into()))?;
        if !backend.blocks() {
            let answer = call(&mut backend);
            self.backend = Some(backend);
            return answer;
        }
        // The blocking pool and not a thread of our own: tokio holds a paused clock while it works.
        let away = spawn_blocking(move || {
            let answer = call(&mut backend);
            (backend, answer)
        });
        match away.await {
            Ok((backend, answer)) => {
                self.backend = Some(backend);
                answer
            }
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(cancelled) => Err(lost(cancelled.to_string())),
            },
        }
    }
}

impl<B> Drop for Writer<B> {
    fn drop(&mut self) {
        self.shared.hub.close();
    }
}
