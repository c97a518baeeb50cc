//! Runs one pod: asks `lifecycle::next`, carries the actions out side by side, feeds what came of them back in, and
//! reports the status. Decides nothing itself and never waits for one action before it looks at the next.

mod act;
mod config;
mod images;
mod make;
mod outcome;
mod report;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::lifecycle::{self, Action, Seen};
use super::runtime::Container;
use outcome::Outcome;

/// What the API says of a pod.
#[derive(Clone, Debug)]
pub struct Desired {
    pub pod: Arc<Pod>,
    /// The API has it no longer.
    pub gone: bool,
}

/// Ids of containers to look at again: a set, so it never grows beyond them.
#[derive(Debug, Default)]
pub struct Pokes {
    asked: Mutex<Asked>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Asked {
    ids: BTreeSet<String>,
    /// Also those that the worker knows of.
    all: bool,
}

impl Pokes {
    pub fn poke(&self, ids: impl IntoIterator<Item = String>) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).ids.extend(ids);
        self.notify.notify_one();
    }

    /// Asks for another look at all containers of the pod.
    pub fn poke_all(&self) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).all = true;
        self.notify.notify_one();
    }

    fn take(&self) -> Asked {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub struct Worker {
    context: Arc<Context>,
    desired: watch::Receiver<Desired>,
    pod: Arc<Pod>,
    pokes: Arc<Pokes>,
    seen: Seen,
    running: FuturesUnordered<BoxFuture<'static, Outcome>>,
    /// Containers that are being looked at, and those to look at once more after that.
    looking: BTreeSet<String>,
    look_again: BTreeSet<String>,
    /// Ends what may be dropped half-way (a pull) when the pod is to end.
    starts: CancellationToken,
    /// Of the ConfigMaps and Secrets that are shown as files.
    changes: config::Changes,
    reported: Option<PodStatus>,
    reporting: bool,
    report_failed: bool,
}

impl Worker {
    /// A worker for a pod of which `containers` are there already.
    pub fn new(
        context: Arc<Context>,
        desired: watch::Receiver<Desired>,
        pokes: Arc<Pokes>,
        containers: Vec<Container>,
    ) -> Self {
        let pod = desired.borrow().pod.clone();
        let containers = containers.into_iter().map(|c| (c.id.clone(), c)).collect();
        let mut seen = Seen { containers, ..Seen::default() };
        outcome::adopt(&pod, &mut seen);
        let changes = config::changes(&context.client, &pod);
        Self {
            context,
            desired,
            pod,
            pokes,
            seen,
            running: FuturesUnordered::new(),
            looking: BTreeSet::new(),
            look_again: BTreeSet::new(),
            starts: CancellationToken::new(),
            changes,
            reported: None,
            reporting: false,
            report_failed: false,
        }
    }

    /// Runs the pod until it is gone from the API and nothing of it is left here.
    pub async fn run(mut self) {
        let pokes = self.pokes.clone();
        self.take_desired();
        loop {
            let now = self.context.clock.now();
            let next = lifecycle::next(&self.pod, &self.seen, now);
            // Beginning to stop is only written down: what follows from it is asked for at once.
            let begins_to_stop = next.actions.iter().any(|action| matches!(action, Action::Stop { .. }));
            for action in next.actions {
                self.act(action, now);
            }
            if begins_to_stop {
                continue;
            }
            self.report(now);
            if self.seen.memory.cleaned && self.seen.memory.gone.is_some() {
                return;
            }
            let retry = self.report_failed.then_some(Duration::from_secs(1));
            let wake = next.wake.map(|at| at.duration_since(now).unsigned_abs());
            let wait = wake.into_iter().chain(retry).min().unwrap_or(Duration::from_secs(3600));
            tokio::select! {
                changed = self.desired.changed() => match changed {
                    Ok(()) => self.take_desired(),
                    // The agent is stopping: containers run on.
                    Err(_) => return,
                },
                () = pokes.notify.notified() => {
                    let Asked { mut ids, all } = pokes.take();
                    if all {
                        ids.extend(self.seen.containers.keys().cloned());
                    }
                    for id in ids {
                        self.look(id);
                    }
                }
                Some(outcome) = self.running.next() => self.apply(outcome),
                Some(()) = self.changes.next() => self.seen.memory.volumes_stale = true,
                () = tokio::time::sleep(wait) => self.report_failed = false,
            }
        }
    }

    fn take_desired(&mut self) {
        let desired = self.desired.borrow_and_update().clone();
        self.pod = desired.pod;
        if desired.gone && self.seen.memory.gone.is_none() {
            let grace = lifecycle::spec::grace_seconds(&self.pod);
            self.seen.memory.gone = Some((self.context.clock.now(), grace));
        }
        if desired.gone || lifecycle::spec::is_deleting(&self.pod) {
            self.starts.cancel();
        }
    }

    /// Asks the engine for a container's state; at most one such question a container is under way.
    fn look(&mut self, id: String) {
        if !self.looking.insert(id.clone()) {
            self.look_again.insert(id);
            return;
        }
        let context = self.context.clone();
        self.running.push(Box::pin(async move {
            let found = context.runtime.inspect(&id).await;
            Outcome::Looked { id, found }
        }));
    }
}
