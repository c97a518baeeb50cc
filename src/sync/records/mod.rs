//! Tells the world outside how commits fare: a git note at each commit, the git host's commit status, a notification for
//! each release. All of it is read from the Applications as the store has them, after the fact: nothing here can hold
//! up a sync or make it fail, and what a stop interrupts is done by the next process.

mod call;
mod host;
mod notes;
mod notify;
mod outcome;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use git2::Oid;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

pub use call::Client;
pub use host::GitHost;
pub use outcome::{Outcome, Phase};
pub use targets::Targets;

use self::outcome::Reported;
use super::blocking::blocking;
use super::events::{self, Note};
use super::mirror::{NOTES, RepoLocation};
use super::stage;
use super::syncer::Shared;
use super::tracking;
use crate::cluster::registry::{Patch, Target, WriteOptions};
use crate::cluster::store::{Change, Event, Watch, WatchEnd};
use crate::object::application::{Application, REPORTED_ANNOTATION};
use crate::object::{Object, ObjectKey, kinds};

/// What changes within this time is told of once.
const GATHER: Duration = Duration::from_millis(200);
/// Applications whose hosts and receivers are called at the same time.
const AT_ONCE: usize = 4;
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

pub(super) struct Recorder {
    shared: Arc<Shared>,
    client: Client,
    /// Outcomes that are to be told of, and when.
    due: BTreeMap<ObjectKey, Instant>,
    /// Syncs that have ended since the last report: each commit has its note, also where others came right after it.
    ended: BTreeMap<(ObjectKey, Oid), Outcome>,
    failures: BTreeMap<ObjectKey, u32>,
}

/// What is to be noted in one repository.
struct Noted {
    location: RepoLocation,
    lines: BTreeMap<Oid, Vec<notes::Line>>,
    /// Applications that want the notes pushed.
    pushers: Vec<ObjectKey>,
}

impl Recorder {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            client: Client::default(),
            due: BTreeMap::new(),
            ended: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    pub async fn run(mut self) {
        loop {
            let snapshot = self.shared.registry.snapshot();
            let Ok(watch) = self.shared.registry.store().watch(kinds::APPLICATION, snapshot.revision()) else {
                tokio::task::yield_now().await;
                continue;
            };
            for object in snapshot.list(kinds::APPLICATION, "") {
                self.changed(&object.key);
            }
            if self.follow(watch).await == WatchEnd::Closed {
                // The store ends with the program.
                std::future::pending::<()>().await;
            }
        }
    }

    fn changed(&mut self, key: &ObjectKey) {
        self.failures.remove(key);
        self.due.insert(key.clone(), Instant::now() + GATHER);
    }

    async fn follow(&mut self, mut watch: Watch) -> WatchEnd {
        loop {
            let next = self.due.values().min().copied();
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = watch.next() => match event {
                    Ok(event) if event.change == Change::Deleted => {
                        self.due.remove(&event.object.key);
                        self.failures.remove(&event.object.key);
                    }
                    Ok(event) => self.hear(&event),
                    Err(end) => return end,
                },
                () = due => self.report().await,
            }
        }
    }

    /// An Application has changed, maybe in how its commits fare.
    fn hear(&mut self, event: &Event) {
        let (key, before) = (&event.object.key, event.previous.as_deref());
        if before.is_some_and(|before| before.value_without(BESIDE) == event.object.value_without(BESIDE)) {
            return;
        }
        let outcome = outcome_of(&event.object);
        // A report that was made changes the Application, and says nothing new.
        let says_same = |before: &Object| match (outcome_of(before), &outcome) {
            (Some(before), Some(now)) => !now.is_news(&before),
            (before, now) => before.is_none() && now.is_none(),
        };
        if before.is_some_and(says_same) {
            return;
        }
        self.changed(key);
        let ended = outcome.filter(|outcome| outcome.phase != Phase::Running);
        self.ended.extend(ended.map(|outcome| ((key.clone(), outcome.revision), outcome)));
    }

    async fn report(&mut self) {
        let now = Instant::now();
        let due: Vec<ObjectKey> = self.due.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        self.due.retain(|_, at| *at > now);
        let snapshot = self.shared.registry.snapshot();
        let read = due.iter().filter_map(|key| Some((key, Arc::new(snapshot.get(key)?.decode::<Application>().ok()?))));
        let outcomes: Vec<(Outcome, Arc<Application>)> =
            read.filter_map(|(key, application)| Some((Outcome::of(key, &application)?, application))).collect();
        let mut ended = std::mem::take(&mut self.ended);
        ended.extend(
            outcomes.iter().map(|(outcome, _)| ((outcome.application.clone(), outcome.revision), outcome.clone())),
        );
        let unpushed = self.write_notes(ended.values()).await;
        let targets = Targets::find(&snapshot);
        if targets.is_empty() && unpushed.is_empty() && self.failures.is_empty() {
            return;
        }
        let (this, targets) = (&*self, &targets);
        let calls = outcomes.into_iter().map(|(outcome, application)| async move {
            let failed = this.tell(targets, &outcome, &application).await.err();
            (outcome.application, failed)
        });
        let calls: Vec<_> = calls.collect();
        let told: Vec<_> = stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
        for (key, failed) in &told {
            let why: Vec<&str> = failed.iter().chain(unpushed.get(key)).map(String::as_str).collect();
            if why.is_empty() {
                self.failures.remove(key);
                continue;
            }
            let why = why.join("; ");
            let failures = self.failures.entry(key.clone()).or_default();
            *failures = failures.saturating_add(1);
            let wait = FIRST_RETRY.saturating_mul(1 << (*failures - 1).min(16)).min(LONGEST_RETRY);
            tracing::warn!(application = %key, %why, "an outcome could not be told of; it is tried again");
            self.due.entry(key.clone()).or_insert(Instant::now() + wait);
            if *failures == 1 {
                events::tell(&self.shared.registry, key, &[Note::warning("NotTold", why.as_str())]).await;
            }
        }
    }

    /// Writes the notes, and pushes them where that is asked for. Gives the Applications whose notes could not be pushed,
    /// and why.
    async fn write_notes(&self, outcomes: impl Iterator<Item = &Outcome>) -> BTreeMap<ObjectKey, String> {
        let mut by_repository: BTreeMap<String, Noted> = BTreeMap::new();
        for outcome in outcomes.filter(|outcome| outcome.phase != Phase::Running) {
            let place = by_repository.entry(outcome.repository.identity());
            let noted = place.or_insert_with(|| Noted {
                location: outcome.repository.clone(),
                lines: BTreeMap::new(),
                pushers: Vec::new(),
            });
            noted.lines.entry(outcome.revision).or_default().push(notes::Line::of(outcome));
            if outcome.pushes_notes {
                noted.pushers.push(outcome.application.clone());
            }
        }
        let mut own = Arc::<BTreeSet<String>>::default();
        if by_repository.values().any(|noted| !noted.pushers.is_empty()) {
            let all = self.shared.registry.snapshot();
            let names = all.list(kinds::APPLICATION, "").map(|application| tracking::name_of(&application.key));
            own = Arc::new(names.collect());
        }
        let mut unpushed = BTreeMap::new();
        for Noted { location, lines, pushers } in by_repository.into_values() {
            let upstream = self.shared.upstream(&location);
            let (pushes, own) = (!pushers.is_empty(), own.clone());
            let written = blocking(move || {
                let opened = upstream.opened().map_err(|error| error.to_string())?;
                let write = |(commit, lines): (&Oid, &Vec<notes::Line>)| {
                    notes::write(opened.scout().repository(), *commit, lines)
                        .map_err(|error| error.message().to_owned())
                };
                let written = lines.iter().try_for_each(write);
                let pushed =
                    if pushes { upstream.push(NOTES, |copy, theirs| notes::join(copy, theirs, &own)) } else { Ok(()) };
                Ok::<_, String>((written, pushed.map_err(|error| format!("the git notes are not pushed: {error}"))))
            });
            let (written, pushed) = written.await.unwrap_or_else(|why| (Err(why), Ok(())));
            if let Err(why) = written {
                tracing::debug!(repository = %location, why, "no note could be written");
            }
            if let Err(why) = pushed {
                unpushed.extend(pushers.into_iter().map(|application| (application, why.clone())));
            }
        }
        unpushed
    }

    /// Tells everybody who has not heard of an outcome yet.
    async fn tell(&self, targets: &Targets, outcome: &Outcome, application: &Application) -> Result<(), String> {
        let reported = Reported::of(application);
        let mut next = reported.clone();
        let mut failed = Vec::new();
        if let Some(host) = targets.host(&outcome.repository) {
            let status = outcome.status_id();
            if reported.status.as_deref() != Some(&status) {
                match self.client.send(host.status(outcome)).await {
                    Ok(_) => next.status = Some(status),
                    Err(why) => failed.push(format!("the commit status is not set: {why}")),
                }
            }
        }
        let receivers: Vec<_> = targets.receivers(&outcome.application).collect();
        if let (false, Some(release)) = (receivers.is_empty(), outcome.release_id()) {
            let is_new = reported.release.as_ref() != Some(&release);
            let mut all = true;
            if is_new && !outcome.is_old(self.shared.registry.clock().now()) {
                for receiver in receivers {
                    if let Err(why) = self.client.send(notify::call(receiver, outcome, &release)).await {
                        all = false;
                        failed.push(format!("the notification {} is not delivered: {why}", receiver.name));
                    }
                }
            }
            if all {
                next.release = Some(release);
            }
        }
        if next != reported {
            let patch = Patch::Merge(json!({"metadata": {"annotations": {REPORTED_ANNOTATION: next.to_string()}}}));
            let target = Target::from(outcome.application.clone());
            let author = stage::author(None);
            let written = self.shared.registry.patch(&author, &target, patch, WriteOptions::default()).await;
            written.map_err(|error| format!("what was told is not written down: {error}"))?;
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }
}

/// What changes often in an Application, and says nothing of how its commits fare.
const BESIDE: &[&[&str]] = &[
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
    &["spec"],
    &["status", "conditions"],
    &["status", "health"],
    &["status", "history"],
    &["status", "reconciledAt"],
    &["status", "resources"],
    &["status", "sync"],
];

fn outcome_of(application: &Object) -> Option<Outcome> {
    Outcome::of(&application.key, &application.decode().ok()?)
}
