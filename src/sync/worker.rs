//! The syncer's loop: one task that owns what is known of the repository and of the objects that came from it.
//! It waits for a trigger, a change of an owned object or a time to try again, and acts on one at a time; what
//! comes meanwhile waits and is taken together. `deploy` and `heal` are the two things that it does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use git2::Oid;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::events::Note;
use super::heal::Fights;
use super::mirror::{FetchError, Remote};
use super::reader::Reading;
use super::stage::Verified;
use super::syncer::Shared;
use super::trigger::Trigger;
use super::watching::Watching;
use super::{application, events, status, syncer};
use crate::object::application::ApplicationStatus;
use crate::object::{ApiError, ObjectKey};
use crate::tasks::Tasks;

/// Least time between two reports of health.
const REPORTS_APART: Duration = Duration::from_millis(250);
/// A wait for an event that is never due.
const FAR: Duration = Duration::from_secs(86_400);

pub(super) struct Worker {
    pub shared: Arc<Shared>,
    triggered: mpsc::Receiver<Trigger>,
    pub watching: Watching,
    /// The branch's tip that was looked at last and needs no second look.
    pub settled: Option<Oid>,
    /// The commit that is deployed, and where each of its objects is among its documents.
    pub current: Option<Current>,
    pub verified: Verified,
    pub fights: Fights,
    /// Objects to look at again, and when.
    pub later: BTreeMap<ObjectKey, Instant>,
    /// When to try a sync again that failed for a reason that may pass, and after how many failures.
    pub retry: Option<(Instant, u32)>,
    /// The status that was written last: given back to an Application that somebody deletes.
    pub status: ApplicationStatus,
    fetching: Option<Fetching>,
    health_at: Option<Instant>,
    unwell: BTreeSet<ObjectKey>,
}

#[derive(Clone)]
pub(super) struct Current {
    pub reading: Reading,
    pub places: Arc<HashMap<ObjectKey, usize>>,
}

/// A fetch that is under way, on a thread that may be left behind when the program ends.
struct Fetching {
    trigger: Trigger,
    outcome: oneshot::Receiver<Result<Oid, FetchError>>,
    /// What asked for a look meanwhile.
    again: Option<Trigger>,
}

impl Fetching {
    fn begin(remote: Arc<Remote>, branch: String, trigger: Trigger) -> Self {
        let (done, outcome) = oneshot::channel();
        let work = move || drop(done.send(remote.fetch(&branch)));
        if let Err(error) = thread::Builder::new().name("git-fetch".to_owned()).spawn(work) {
            tracing::warn!(%error, "no thread for a fetch");
        }
        Self { trigger, outcome, again: None }
    }
}

/// The outcome of the fetch under way; waits for ever when there is none. Dropping the future loses nothing.
async fn fetched(fetching: &mut Option<Fetching>) -> Result<Oid, FetchError> {
    match fetching {
        Some(running) => (&mut running.outcome).await.unwrap_or(Err(FetchError::Abandoned)),
        None => std::future::pending().await,
    }
}

impl Worker {
    pub fn new(shared: Arc<Shared>, triggered: mpsc::Receiver<Trigger>, tasks: Tasks) -> Self {
        let watching = Watching::new(shared.registry.store().clone(), tasks);
        Self {
            shared,
            triggered,
            watching,
            settled: None,
            current: None,
            verified: Verified::default(),
            fights: Fights::default(),
            later: BTreeMap::new(),
            retry: None,
            status: ApplicationStatus::default(),
            fetching: None,
            health_at: None,
            unwell: BTreeSet::new(),
        }
    }

    pub async fn run(mut self) {
        self.watching.own([self.shared.application.clone()].into());
        loop {
            let due = self.due();
            tokio::select! {
                Some(trigger) = self.triggered.recv() => {
                    let trigger = self.strongest(trigger);
                    self.look(trigger).await;
                }
                fetched = fetched(&mut self.fetching) => self.fetched(fetched).await,
                changed = self.watching.changed() => self.take(changed).await,
                () = sleep_until(due) => self.wake().await,
            }
        }
    }

    /// One look serves all waiting triggers; one that a person or a git host asked for names it.
    fn strongest(&mut self, first: Trigger) -> Trigger {
        let mut strongest = first;
        while let Ok(trigger) = self.triggered.try_recv() {
            strongest = strongest.or(trigger);
        }
        strongest
    }

    /// Follows the branch: at once where the repository is here, after a fetch where it is not.
    pub(super) async fn look(&mut self, trigger: Trigger) {
        let Some(remote) = self.shared.remote.clone() else {
            self.read(trigger.clone()).await;
            self.answer(&trigger).await;
            return;
        };
        if trigger == Trigger::Start {
            // What was fetched before is deployed even while the remote is down.
            self.read(trigger.clone()).await;
        }
        match &mut self.fetching {
            // The push may have come after the fetch has begun.
            Some(running) => running.again = Some(running.again.take().map_or(trigger.clone(), |t| t.or(trigger))),
            None => self.fetching = Some(Fetching::begin(remote, self.shared.branch.clone(), trigger)),
        }
    }

    async fn fetched(&mut self, outcome: Result<Oid, FetchError>) {
        let Some(Fetching { trigger, again, .. }) = self.fetching.take() else { return };
        match outcome {
            Ok(_) => self.read(trigger.clone()).await,
            Err(error) => self.unreadable(&error.to_string()).await,
        }
        self.answer(&trigger).await;
        if let Some(again) = again {
            self.look(again).await;
        }
    }

    /// Takes the refresh annotation off: that it goes is the answer to who asked.
    async fn answer(&self, trigger: &Trigger) {
        if *trigger == Trigger::Refresh
            && let Err(error) = application::clear_refresh(&self.shared.registry, &self.shared.application).await
        {
            tracing::warn!(%error, "the refresh annotation cannot be removed");
        }
    }

    /// The next time at which something is to be done unasked.
    fn due(&self) -> Instant {
        let later = self.later.values().min().copied();
        let retry = self.retry.map(|(at, _)| at);
        [later, retry, self.health_at].into_iter().flatten().min().unwrap_or_else(|| Instant::now() + FAR)
    }

    async fn take(&mut self, mut changed: BTreeSet<ObjectKey>) {
        if changed.remove(&self.shared.application) {
            self.application_changed().await;
        }
        if changed.is_empty() {
            return;
        }
        self.heal(&changed).await;
        self.unwell.extend(changed);
        if self.health_at.is_none() {
            self.report_health().await;
        }
    }

    async fn wake(&mut self) {
        let now = Instant::now();
        if self.retry.is_some_and(|(at, _)| at <= now) {
            // Out of the way while it runs; the look sets the next time if there is one.
            self.retry = self.retry.map(|(_, failures)| (now + FAR, failures));
            self.look(Trigger::Retry).await;
        }
        let due: BTreeSet<ObjectKey> =
            self.later.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        if !due.is_empty() {
            self.later.retain(|_, at| *at > now);
            self.heal(&due).await;
        }
        if self.health_at.is_some_and(|at| at <= now) {
            self.health_at = None;
            if !self.unwell.is_empty() {
                self.report_health().await;
            }
        }
    }

    /// Writes the health of what changed; a rollout changes often, so the next report waits a little.
    async fn report_health(&mut self) {
        let changed = std::mem::take(&mut self.unwell);
        let live = self.shared.registry.snapshot();
        self.write_status(|old, _| {
            let mut status = old.clone();
            let object = |key: &ObjectKey| live.get(key).map(|object| object.value());
            status::refresh_health(&mut status, object, |key| changed.contains(key));
            status
        })
        .await;
        self.health_at = Some(Instant::now() + REPORTS_APART);
    }

    /// The Application itself changed: somebody asks for a sync, or edited or deleted it.
    async fn application_changed(&mut self) {
        let Some(object) = self.shared.registry.snapshot().get(&self.shared.application).map(|o| o.value()) else {
            if let Err(error) = self.restore_application().await {
                tracing::warn!(%error, "the Application cannot be made again");
            }
            return;
        };
        if application::wants_refresh(&object) {
            self.look(Trigger::Refresh).await;
        }
    }

    /// Tells of the Application.
    pub(super) async fn note(&self, notes: &[Note]) {
        events::tell(&self.shared.registry, &self.shared.application, notes).await;
    }

    /// Makes the Application again, with the status that it had.
    pub(super) async fn restore_application(&self) -> Result<(), ApiError> {
        let Shared { registry, config, branch, .. } = &*self.shared;
        application::ensure(registry, config, branch, syncer::DESTINATION, Some(&self.status)).await.map(drop)
    }
}
