//! Runs one controller: feeds its queue from its watches and its runs from the queue. One task owns all of it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, FuturesUnordered, SelectAll, StreamExt};
use tokio::time::{Instant, sleep, sleep_until};

use super::counters::Counters;
use super::queue::{Outcome, Queue};
use super::source::Source;
use crate::cluster::store::{Change, Event, Snapshot, Store, WatchEnd};
use crate::object::{ApiError, Kind, ObjectKey, Reason, kinds};
use crate::tasks::Tasks;

/// Runs of one controller that wait for their commits at the same time.
const CONCURRENT_RUNS: usize = 32;
/// The pause before a watch is opened again that could not be.
const REOPEN_PAUSE: Duration = Duration::from_millis(1);

/// When a key is to be looked at again, if nothing that it depends on changes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Done,
    After(Duration),
}

/// Why a run failed; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Refused(#[from] ApiError),
    #[error("{key} does not decode: {source}")]
    Decode { key: ObjectKey, source: serde_json::Error },
    #[error("not all pods could be written: {0}")]
    Pods(String),
    #[error("{0} is stored with another template than it was made of")]
    Unrecognised(ObjectKey),
    #[error("the run panicked")]
    Panicked,
}

/// Makes the cluster be as the object of a key says.
pub trait Controller: Send + Sync + 'static {
    /// For logs and metrics, and the name of its task.
    fn name(&self) -> &'static str;

    fn sources(&self) -> Vec<Source>;

    /// What is listened to of each kind that a definition adds, where a controller cares for all kinds.
    fn custom_sources(&self) -> Option<fn(&'static Kind) -> Source> {
        None
    }

    /// One run. `snapshot` holds every change that led to this run. Dropped at any await it must leave nothing
    /// behind that the next run cannot mend.
    fn reconcile(
        &self,
        snapshot: Arc<Snapshot>,
        key: ObjectKey,
    ) -> impl Future<Output = Result<Next, Failure>> + Send + '_;
}

/// Starts a controller; it runs until `tasks` are stopped.
pub fn start<C: Controller>(controller: C, store: &Store, tasks: &Tasks) -> Arc<Counters> {
    let counters = Arc::new(Counters::default());
    let name = controller.name();
    let engine = Engine {
        sources: controller.sources(),
        definitions: None,
        controller: Arc::new(controller),
        store: store.clone(),
        counters: counters.clone(),
        queue: Queue::default(),
        watches: SelectAll::new(),
        runs: FuturesUnordered::new(),
    };
    tasks.spawn(name, engine.run());
    counters
}

struct Engine<C> {
    controller: Arc<C>,
    sources: Vec<Source>,
    /// The source that tells of definitions, where the controller cares for the kinds that they add. Their sources come
    /// behind it and stay: a kind that is defined anew is the same kind.
    definitions: Option<usize>,
    store: Store,
    counters: Arc<Counters>,
    queue: Queue,
    watches: SelectAll<BoxStream<'static, Heard>>,
    runs: FuturesUnordered<BoxFuture<'static, Ended>>,
}

/// What a watch of the source at this index says.
type Heard = (usize, Result<Arc<Event>, WatchEnd>);
type Ended = (ObjectKey, Result<Next, Failure>);

impl<C: Controller> Engine<C> {
    async fn run(mut self) {
        if self.controller.custom_sources().is_some() {
            self.definitions = Some(self.sources.len());
            self.sources.push(Source::new(kinds::CUSTOM_RESOURCE_DEFINITION, |_, _| Vec::new()));
        }
        for index in 0..self.sources.len() {
            self.list(index).await;
        }
        self.follow_definitions().await;
        loop {
            self.start_runs();
            tokio::select! {
                Some((index, heard)) = self.watches.next() => self.hear(index, heard).await,
                Some((key, result)) = self.runs.next() => self.finish(key, result),
                () = due(self.queue.next_due()) => self.queue.wake(Instant::now()),
            }
        }
    }

    fn start_runs(&mut self) {
        while self.queue.running() < CONCURRENT_RUNS && self.queue.has_ready() {
            let snapshot = self.store.snapshot();
            let Some(key) = self.queue.start(snapshot.revision()) else { break };
            self.counters.count_run();
            let controller = self.controller.clone();
            self.runs.push(Box::pin(async move {
                // One object that trips a fault of the program must not stop the care for all others.
                let run = AssertUnwindSafe(controller.reconcile(snapshot, key.clone())).catch_unwind();
                let result = run.await.unwrap_or(Err(Failure::Panicked));
                (key, result)
            }));
        }
    }

    fn finish(&mut self, key: ObjectKey, result: Result<Next, Failure>) {
        let outcome = match result {
            Ok(Next::Done) => Outcome::Done,
            Ok(Next::After(pause)) => Outcome::After(pause),
            Err(failure) => {
                self.counters.count_failure();
                let controller = self.controller.name();
                if matches!(&failure, Failure::Refused(error) if error.reason == Reason::Conflict) {
                    tracing::debug!(controller, %key, %failure, "lost a race, trying again");
                } else {
                    tracing::warn!(controller, %key, %failure, "a run failed, trying again");
                }
                Outcome::Failed
            }
        };
        self.queue.finish(key, outcome, Instant::now());
    }

    /// Takes in what is there to be heard before the next run starts: a batch that changes a thousand pods of
    /// one ReplicaSet is one run of it.
    async fn hear(&mut self, index: usize, heard: Result<Arc<Event>, WatchEnd>) {
        let mut next = Some((index, heard));
        while let Some((index, heard)) = next {
            let defined = self.definitions == Some(index) && !matches!(heard, Err(WatchEnd::Closed));
            match heard {
                Ok(event) => self.enqueue(index, &event),
                Err(WatchEnd::Expired) => self.list(index).await,
                Err(WatchEnd::Closed) => {}
            }
            if defined {
                self.follow_definitions().await;
            }
            next = self.watches.next().now_or_never().flatten();
        }
    }

    /// Listens to the kinds that were defined since.
    async fn follow_definitions(&mut self) {
        let (Some(definitions), Some(source)) = (self.definitions, self.controller.custom_sources()) else { return };
        let snapshot = self.store.snapshot();
        for kind in snapshot.kinds().stored().filter(|kind| !kind.is_built_in()) {
            if !self.sources[definitions..].iter().any(|known| known.kind == kind) {
                self.sources.push(source(kind));
                self.list(self.sources.len() - 1).await;
            }
        }
    }

    fn enqueue(&mut self, index: usize, event: &Event) {
        for (key, wait) in self.sources[index].keys(&self.store.snapshot(), event) {
            self.queue.add_after(key, event.revision, wait, Instant::now());
        }
    }

    /// Asks for a run of all that the objects of a source concern, and watches their changes from there on.
    async fn list(&mut self, index: usize) {
        self.counters.count_relist();
        let kind = self.sources[index].kind;
        let (snapshot, watch) = loop {
            let snapshot = self.store.snapshot();
            match self.store.watch(kind, snapshot.revision()) {
                Ok(watch) => break (snapshot, watch),
                // The snapshot is published a moment before its events are, and may be too old a moment later.
                Err(error) => tracing::debug!(%error, kind = kind.kind, "opening a watch again"),
            }
            sleep(REOPEN_PAUSE).await;
        };
        for object in snapshot.list(kind, "") {
            let revision = snapshot.revision();
            let event = Event { revision, change: Change::Added, object: object.clone(), previous: None };
            for (key, wait) in self.sources[index].keys(&snapshot, &event) {
                self.queue.add_after(key, revision, wait, Instant::now());
            }
        }
        let events = stream::unfold(Some(watch), move |watch| async move {
            let mut watch = watch?;
            let heard = watch.next().await;
            let rest = heard.is_ok().then_some(watch);
            Some(((index, heard), rest))
        });
        self.watches.push(Box::pin(events));
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
