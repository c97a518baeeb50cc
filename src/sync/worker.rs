//! The worker of one Application: one task that owns what is known of its sources and of the objects that came from
//! them. It waits for news, a change of an owned object or a time to try again, and acts on one at a time; what
//! comes meanwhile waits and is taken together. `follow` decides what it follows; `deploy` and `heal` are the two
//! things that it does.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use git2::Oid;
use tokio::time::{Instant, sleep_until};

use super::asked::Asked;
use super::deploy::SyncRun;
use super::desired::{Desired, Followed};
use super::events::{self, Note};
use super::heal::Fights;
use super::inbox::{Inbox, Mail};
use super::settings::Settings;
use super::stage::Verified;
use super::syncer::Shared;
use super::trigger::Trigger;
use super::upstream::Position;
use super::{application, status, tracking};
use crate::diff::health::{ASIDE, Level, health};
use crate::object::application::{Application, ApplicationSpec, ApplicationStatus};
use crate::object::{ApiError, ObjectKey, Revision};

/// Least time between two reports of health.
const REPORTS_APART: Duration = Duration::from_millis(250);
/// Applications of one repository whose revision is written at once when it moved without a change of theirs; with
/// more of them, the writes are spread.
const REVISION_WRITES: Duration = Duration::from_millis(50);
/// A wait for an event that is never due.
const FAR: Duration = Duration::from_secs(86_400);

pub(super) struct Worker {
    pub shared: Arc<Shared>,
    pub key: ObjectKey,
    /// What its objects are tracked by.
    pub name: Arc<str>,
    pub inbox: Arc<Inbox>,
    /// Why the first look is taken.
    pub first: Option<Trigger>,
    /// The spec that `settings` and `sources` are of.
    pub spec: Option<ApplicationSpec>,
    pub settings: Option<Arc<Settings>>,
    pub sources: Vec<Followed>,
    /// What was looked at last and needs no second look.
    pub settled: Option<Vec<Position>>,
    /// A commit that declares the same as the one that was deployed before the program started.
    pub unmoved: Option<Oid>,
    /// What is deployed, and where each of its objects is among its documents.
    pub current: Option<Current>,
    pub verified: Verified,
    /// How many of them the syncer's count holds.
    pub counted: usize,
    pub fights: Fights,
    /// Objects to look at again, and when.
    pub later: BTreeMap<ObjectKey, Instant>,
    /// When to try a sync again that failed for a reason that may pass.
    pub retry: Option<Instant>,
    /// Failures in a row.
    pub failures: u32,
    /// The status that was written last: given back to the repository's own Application when somebody deletes it.
    pub status: ApplicationStatus,
    /// The commit whose deletions are approved, as the Application says.
    pub approved: Option<String>,
    /// Somebody waits for the refresh annotation to go.
    pub refreshing: bool,
    /// A sync that somebody asks for by `operation`.
    pub asked: Option<Arc<Asked>>,
    /// Somebody asks for something that waits for the end of what is under way.
    pub asked_later: bool,
    pub deleting: bool,
    /// The deletion failed and is not tried again before, whatever changes but the Application itself.
    pub not_before: Option<Instant>,
    /// A sync that waits, for health or for a hook.
    pub under_way: Option<SyncRun>,
    /// What a sync that did not end has changed; its later steps, and those of the next one, wait for these.
    pub gates: HashSet<ObjectKey>,
    /// The sync failed because of an object that is degraded.
    pub may_heal: bool,
    owned: HashSet<ObjectKey>,
    /// The Application as it was read last, while the worker is at work.
    seen: Option<(Revision, Arc<Application>)>,
    health_at: Option<Instant>,
    unwell: BTreeSet<ObjectKey>,
    /// The repository moved without a change of this Application: when to write the new commit.
    passed_at: Option<Instant>,
}

#[derive(Clone)]
pub(super) struct Current {
    pub desired: Desired,
    pub places: Arc<HashMap<ObjectKey, usize>>,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, key: ObjectKey, inbox: Arc<Inbox>, first: Trigger) -> Self {
        Self {
            name: tracking::name_of(&key).into(),
            shared,
            key,
            inbox,
            first: Some(first),
            spec: None,
            settings: None,
            sources: Vec::new(),
            settled: None,
            unmoved: None,
            current: None,
            verified: Verified::default(),
            counted: 0,
            fights: Fights::default(),
            later: BTreeMap::new(),
            retry: None,
            failures: 0,
            status: ApplicationStatus::default(),
            approved: None,
            refreshing: false,
            asked: None,
            asked_later: false,
            deleting: false,
            not_before: None,
            under_way: None,
            gates: HashSet::new(),
            may_heal: false,
            owned: HashSet::new(),
            seen: None,
            health_at: None,
            unwell: BTreeSet::new(),
            passed_at: None,
        }
    }

    pub async fn run(mut self) {
        self.application_changed().await;
        loop {
            // Statuses are large, and most workers wait.
            self.seen = None;
            let due = self.due();
            tokio::select! {
                mail = self.inbox.next() => self.take(mail).await,
                () = sleep_until(due) => self.wake().await,
            }
        }
    }

    /// Whether it is the Application of the repository that windlass was started with.
    pub fn is_root(&self) -> bool {
        self.key == self.shared.root
    }

    /// The Application as the registry has it.
    ///
    /// # Errors
    /// `NotFound`, or when it does not decode.
    pub(super) fn look(&mut self) -> Result<Arc<Application>, ApiError> {
        let now = self.shared.registry.get(&self.key)?;
        if let Some((_, seen)) = self.seen.as_ref().filter(|(at, _)| *at == now.meta.revision) {
            return Ok(seen.clone());
        }
        let application: Arc<Application> = now.decode().map(Arc::new).map_err(ApiError::internal)?;
        self.seen = Some((now.meta.revision, application.clone()));
        Ok(application)
    }

    async fn take(&mut self, mail: Mail) {
        let Mail { application, look, unreadable, passed, changed } = mail;
        if application {
            self.application_changed().await;
        }
        if self.settings.is_none() || self.deleting {
            let is_held = self.not_before.is_some_and(|at| Instant::now() < at);
            if self.deleting && !changed.is_empty() && !is_held {
                self.cascade().await;
            }
            return;
        }
        if let Some(why) = unreadable {
            self.unreadable(&why).await;
            if let Some(asked) = self.asked.take() {
                self.refuse_request(&asked.operation, &[why], self.shared.registry.clock().now()).await;
                self.clear_operation(&asked.operation).await;
            }
            self.answer().await;
        }
        if let Some(trigger) = look {
            self.read(trigger).await;
            self.answer().await;
        } else if !passed.is_empty() {
            self.passed(&passed);
        }
        if !changed.is_empty() {
            self.heal(&changed).await;
            self.unwell.extend(changed);
            if self.health_at.is_none() {
                self.report_health().await;
            }
            if self.under_way.is_some() {
                self.go_on().await;
                self.answer().await;
            } else if self.may_heal && self.has_healed() {
                self.ask(&Trigger::Retry);
            }
        }
        // Each turn answers one.
        while self.under_way.is_none() && std::mem::take(&mut self.asked_later) {
            self.application_changed().await;
        }
    }

    /// Takes the refresh annotation and the operation off: that they go is the answer to who asked.
    pub(super) async fn answer(&mut self) {
        let is_tried_again = self.retry.is_some() && self.asked.as_ref().is_some_and(|asked| asked.retries);
        if self.under_way.is_none()
            && !is_tried_again
            && !self.awaits_first_fetch()
            && let Some(asked) = self.asked.take()
        {
            self.clear_operation(&asked.operation).await;
        }
        if std::mem::take(&mut self.refreshing)
            && let Err(error) = application::clear_refresh(&self.shared.registry, &self.key).await
        {
            tracing::warn!(%error, application = %self.key, "the refresh annotation cannot be removed");
        }
    }

    /// Whether what a source declares may not be here yet.
    pub(super) fn awaits_first_fetch(&self) -> bool {
        self.sources.iter().any(|source| source.upstream.awaits_first_fetch())
    }

    /// Whether everything that a sync failed for is well now.
    fn has_healed(&self) -> bool {
        let live = self.shared.registry.snapshot();
        let is_well = |key: &ObjectKey| {
            live.get(key).is_some_and(|object| health(key.kind, &object.value_without(ASIDE)).status == Level::Healthy)
        };
        self.gates.iter().all(is_well)
    }

    /// The repositories moved, and nothing of this Application with them.
    fn passed(&mut self, commits: &BTreeMap<usize, Oid>) {
        let Some(settled) = &mut self.settled else { return };
        let before = settled.first().map(|position| position.commit.to_string());
        for (index, commit) in commits {
            if let Some(position) = settled.get_mut(*index) {
                position.commit = *commit;
            }
        }
        if self.is_root()
            && let Some(commit) = commits.get(&0)
        {
            self.shared.progress.send_modify(|progress| {
                if progress.deployed == before {
                    progress.deployed = Some(commit.to_string());
                }
                progress.seen = Some(commit.to_string());
            });
        }
        self.write_passed_later();
    }

    pub(super) fn write_passed_later(&mut self) {
        let followers = self.sources.first().map_or(0, |source| source.upstream.followers());
        let wait =
            REVISION_WRITES.saturating_mul(u32::try_from(followers).unwrap_or(u32::MAX)).mul_f64(fastrand::f64());
        self.passed_at.get_or_insert(Instant::now() + wait);
    }

    /// Writes down how far the repositories are.
    async fn write_passed(&mut self) {
        let Some(settled) = self.settled.clone() else { return };
        self.write_status(|old, now| status::passed(old, &settled, now)).await;
    }

    /// The next time at which something is to be done unasked.
    fn due(&self) -> Instant {
        let later = self.later.values().min().copied();
        let all = [later, self.retry, self.health_at, self.passed_at];
        all.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + FAR)
    }

    async fn wake(&mut self) {
        let now = Instant::now();
        if self.retry.is_some_and(|at| at <= now) {
            self.retry = None;
            if self.deleting {
                self.cascade().await;
            } else {
                self.ask(&Trigger::Retry);
            }
        }
        if self.passed_at.is_some_and(|at| at <= now) {
            self.passed_at = None;
            self.write_passed().await;
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

    /// Asks the repositories for a look whose outcome comes in any case.
    pub(super) fn ask(&self, why: &Trigger) {
        for source in &self.sources {
            source.upstream.ask(&self.key, why.clone());
        }
    }

    /// Writes the health of what changed; a rollout changes often, so the next report waits a little.
    async fn report_health(&mut self) {
        let changed = std::mem::take(&mut self.unwell);
        let live = self.shared.registry.snapshot();
        self.write_status(|old, now| {
            let mut status = old.clone();
            let object = |key: &ObjectKey| live.get(key).map(|object| Cow::Owned(object.value_without(ASIDE)));
            status::refresh_health(live.kinds(), &mut status, object, |key| changed.contains(key), now);
            status
        })
        .await;
        self.health_at = Some(Instant::now() + REPORTS_APART);
    }

    /// From now on changes of these objects are told of.
    pub(super) fn own(&mut self, keys: HashSet<ObjectKey>) {
        self.shared.hub.own(&self.name, &self.inbox, &self.owned, &keys);
        self.owned = keys;
    }

    /// Tells of the Application.
    pub(super) async fn note(&self, notes: &[Note]) {
        events::tell(&self.shared.registry, &self.key, notes).await;
    }

    /// Keeps the status of the repository's own Application, which is given back to it should somebody delete it.
    pub(super) fn keep_status(&mut self, status: &ApplicationStatus) {
        if self.is_root() {
            self.status.clone_from(status);
        }
    }

    /// Makes the repository's own Application again, with the status that it had.
    pub(super) async fn restore_application(&self) -> Result<(), ApiError> {
        let Shared { registry, config, branch, .. } = &*self.shared;
        application::ensure(registry, config, branch, Some(&self.status)).await.map(drop)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.metrics.forget(&self.key);
        self.own(HashSet::new());
        for source in &self.sources {
            source.upstream.unfollow(&source.follower);
        }
    }
}
