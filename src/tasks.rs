//! Starts tasks: each has a name and a span, is cancelled by a token, and its end is looked at.
//! A task that ends before it was told to is a fault of the program and ends it loudly.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// A group of tasks that are stopped together. Clones share the group.
#[derive(Clone, Debug)]
pub struct Tasks {
    token: CancellationToken,
    tracker: TaskTracker,
    fault: watch::Sender<Option<&'static str>>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { token: CancellationToken::new(), tracker: TaskTracker::new(), fault: watch::Sender::new(None) }
    }
}

impl Tasks {
    /// Cancelled when the group is to stop; every task selects on it or is made to stop by `spawn`.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Runs `work` until it ends or the group is stopped; then it is dropped at its next await.
    /// Work that ends before the group is stopped is a fault.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let group = self.clone();
        let guarded = async move {
            let ended = group.token.run_until_cancelled(AssertUnwindSafe(work).catch_unwind()).await;
            if let Some(outcome) = ended {
                tracing::error!(task = name, panicked = outcome.is_err(), "a task ended that never should");
                group.fault.send_replace(Some(name));
            }
        };
        self.tracker.spawn(guarded.instrument(tracing::info_span!("task", name)));
    }

    /// Runs `work` that is meant to end by itself; a panic in it is a fault.
    pub fn spawn_once(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let group = self.clone();
        let guarded = async move {
            let ended = group.token.run_until_cancelled(AssertUnwindSafe(work).catch_unwind()).await;
            if let Some(Err(_)) = ended {
                tracing::error!(task = name, "a task panicked");
                group.fault.send_replace(Some(name));
            }
        };
        self.tracker.spawn(guarded.instrument(tracing::info_span!("task", name)));
    }

    /// Runs `work` that ends by itself, in good order, once the group's token is cancelled: `stop` waits for it instead of
    /// dropping it. A panic in it is a fault.
    pub fn spawn_draining(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let group = self.clone();
        let guarded = async move {
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                tracing::error!(task = name, "a task panicked");
                group.fault.send_replace(Some(name));
            }
        };
        self.tracker.spawn(guarded.instrument(tracing::info_span!("task", name)));
    }

    /// Waits until a task faults and gives its name.
    pub async fn faulted(&self) -> &'static str {
        let mut fault = self.fault.subscribe();
        match fault.wait_for(Option::is_some).await {
            Ok(name) => name.unwrap_or("unknown"),
            Err(_) => std::future::pending().await,
        }
    }

    /// Stops all tasks and waits until they have ended.
    pub async fn stop(&self) {
        self.token.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_a_fault_and_the_others_still_stop() {
        let tasks = Tasks::default();
        tasks.spawn("forever", std::future::pending());
        tasks.spawn("fragile", async { panic!("on purpose") });
        assert_eq!(tasks.faulted().await, "fragile");
        tasks.stop().await;
    }
}
