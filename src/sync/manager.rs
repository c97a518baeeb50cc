//! One worker for each Application that there is, in whatever namespace: starts one when an Application appears,
//! ends it when the Application is gone, and tells it when its Application changed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::inbox::Inbox;
use super::syncer::Shared;
use super::trigger::Trigger;
use super::worker::Worker;
use crate::cluster::store::{Change, Watch, WatchEnd};
use crate::object::{Object, ObjectKey, kinds};
use crate::tasks::Tasks;

pub(super) struct Manager {
    shared: Arc<Shared>,
    tasks: Tasks,
    running: HashMap<ObjectKey, Running>,
}

struct Running {
    inbox: Arc<Inbox>,
    stop: CancellationToken,
    /// Closed when the worker has ended.
    ended: watch::Receiver<()>,
}

impl Manager {
    pub fn new(shared: Arc<Shared>, tasks: Tasks) -> Self {
        Self { shared, tasks, running: HashMap::new() }
    }

    pub async fn run(mut self) {
        let mut first = Trigger::Start;
        loop {
            let snapshot = self.shared.registry.snapshot();
            let Ok(watch) = self.shared.registry.store().watch(kinds::APPLICATION, snapshot.revision()) else {
                tokio::task::yield_now().await;
                continue;
            };
            let all: Vec<&Arc<Object>> = snapshot.list(kinds::APPLICATION, "").collect();
            let present: HashSet<&ObjectKey> = all.iter().map(|object| &object.key).collect();
            let gone: Vec<_> = self.running.keys().filter(|key| !present.contains(key)).cloned().collect();
            gone.iter().for_each(|key| self.gone(key));
            for object in all {
                self.present(object, &first);
            }
            first = Trigger::Application;
            if self.follow(watch).await == WatchEnd::Closed {
                // The store ends with the program.
                std::future::pending::<()>().await;
            }
        }
    }

    async fn follow(&mut self, mut watch: Watch) -> WatchEnd {
        loop {
            match watch.next().await {
                Ok(event) if event.change == Change::Deleted => self.gone(&event.object.key),
                Ok(event) => self.present(&event.object, &Trigger::Application),
                Err(end) => return end,
            }
        }
    }

    fn present(&mut self, object: &Object, first: &Trigger) {
        let before = match self.running.get(&object.key) {
            Some(running) if !running.stop.is_cancelled() => {
                if !running.inbox.is_own(object.meta.revision) {
                    running.inbox.application();
                }
                return;
            }
            before => before.map(|running| running.ended.clone()),
        };
        // Those that were told to stop and have.
        self.running.retain(|_, running| !running.stop.is_cancelled() || running.ended.has_changed().is_ok());
        let (inbox, stop) = (Arc::new(Inbox::default()), CancellationToken::new());
        let (end, ended) = watch::channel(());
        let worker = Worker::new(self.shared.clone(), object.key.clone(), inbox.clone(), first.clone());
        let stopped = stop.clone();
        self.tasks.spawn_once("sync", async move {
            // Closed when this task is dropped, at whatever point.
            let _end = end;
            if let Some(mut before) = before {
                let _ = before.changed().await;
            }
            stopped.run_until_cancelled(worker.run()).await;
        });
        self.running.insert(object.key.clone(), Running { inbox, stop, ended });
    }

    /// The repository's own Application is made again by its worker; the others end.
    fn gone(&mut self, key: &ObjectKey) {
        let Some(running) = self.running.get(key) else { return };
        if *key == self.shared.root {
            running.inbox.application();
            return;
        }
        running.stop.cancel();
    }
}
