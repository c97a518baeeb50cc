//! Puts right what was changed behind git's back: finds out whether an owned object still is as the deployed
//! commit says, and writes it again if not. Gives way, more and more, to somebody who keeps changing it back.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::drift::Drift;
use super::events::Note;
use super::guard::Pruning;
use super::outcome;
use super::stage::{self, Scope};
use super::syncer::Shared;
use super::worker::{Current, Worker};
use super::{application, status, tracking};
use crate::cluster::registry::{Step, StepKind, Transaction};
use crate::object::application::{ApplicationStatus, ResourceStatus};
use crate::object::{Object, ObjectKey};

/// The wait after the first heal; doubled with each one that follows soon.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After this long without a heal, an object's record is clean again.
const PEACE: Duration = Duration::from_secs(300);

/// How often each object had to be healed lately.
#[derive(Debug, Default)]
pub struct Fights {
    heals: HashMap<ObjectKey, (u32, Instant)>,
}

impl Fights {
    /// When the object may be healed: now, or later if it was healed lately.
    pub fn allowed_at(&mut self, key: &ObjectKey, now: Instant) -> Instant {
        self.heals.retain(|_, (_, last)| now.duration_since(*last) < PEACE);
        let Some((count, last)) = self.heals.get(key) else { return now };
        *last + FIRST_WAIT.saturating_mul(1 << (count - 1).min(16)).min(LONGEST_WAIT)
    }

    pub fn healed(&mut self, key: &ObjectKey, now: Instant) {
        let (count, last) = self.heals.entry(key.clone()).or_insert((0, now));
        *count += 1;
        *last = now;
    }
}

impl Worker {
    /// Heals those of `keys` that are not as the deployed commit says.
    pub(super) async fn heal(&mut self, keys: &BTreeSet<ObjectKey>) {
        let (Some(current), Some(settings)) = (self.current.clone(), self.settings.clone()) else { return };
        let heals = settings.automated.as_ref().is_some_and(|automated| automated.self_heal);
        let mut keys = keys.clone();
        keys.retain(|key| !self.belongs_to_another(key));
        let live = self.shared.registry.snapshot();
        keys.retain(|key| {
            let document = current.places.get(key).map(|place| &current.desired.rendered.documents[*place]);
            let (Some(document), Some(object)) = (document, live.get(key)) else { return true };
            !self.verified.forgives(document, object)
        });
        for _ in 0..5 {
            let documents: Vec<_> = keys
                .iter()
                .filter_map(|key| current.places.get(key))
                .map(|place| current.desired.rendered.documents[*place].clone())
                .collect();
            if documents.is_empty() {
                return;
            }
            let live = self.shared.registry.snapshot();
            let mut transaction = self.shared.registry.begin(&stage::author(Some(current.desired.commit())));
            let scope = Scope {
                application: &self.name,
                commit: Some(current.desired.commit()),
                documents: &documents,
                inventory: &[],
                verified: Some(&self.verified),
                settings: Some(&settings),
                pruning: Pruning::Off,
                fingerprints: Some(&self.shared.fingerprints),
                holds_last: false,
                is_healing: true,
            };
            let staged = stage::stage(&mut transaction, &live, scope);
            let now = Instant::now();
            if !staged.errors.is_empty() {
                // For example while its namespace is being deleted.
                for key in &keys {
                    self.fights.healed(key, now);
                    self.later.insert(key.clone(), self.fights.allowed_at(key, now));
                }
                tracing::warn!(first = %staged.errors[0], "drift cannot be healed now");
                return;
            }
            if !heals {
                return self.report_drift(&keys, &transaction, &current).await;
            }
            let mut drifted: Vec<Step> = Vec::new();
            let mut blocked = false;
            for step in transaction.steps() {
                if step.kind == StepKind::Keep {
                    if let (Some(before), Some(place)) = (&step.before, current.places.get(&step.key)) {
                        self.verified.insert_seen(&current.desired.rendered.documents[*place], before);
                    }
                    keys.remove(&step.key);
                    continue;
                }
                let at = self.fights.allowed_at(&step.key, now);
                if at > now {
                    self.later.insert(step.key.clone(), at);
                    keys.remove(&step.key);
                    blocked = true;
                } else {
                    drifted.push(step.clone());
                }
            }
            if drifted.is_empty() {
                return;
            }
            if blocked {
                continue;
            }
            let found = self.drifts(drifted.iter());
            let findings: Vec<String> = found.iter().map(|drift| drift.to_string() + drift.put_back()).collect();
            if let Ok(old) = self.look() {
                let next = status::drifted(&old.status, &findings, self.shared.registry.clock().now());
                if application::set_status(&mut transaction, &self.key, &next).is_ok() {
                    self.keep_status(&next);
                }
            }
            match transaction.commit().await {
                Ok(written) => {
                    self.wrote(&written);
                    for step in &drifted {
                        self.fights.healed(&step.key, now);
                    }
                    for object in &written {
                        if let Some(place) = current.places.get(&object.key) {
                            let document = &current.desired.rendered.documents[*place];
                            self.verified.insert(document, object.meta.revision);
                        }
                    }
                    found.iter().for_each(|drift| drift.log(&self.key, "drift healed"));
                    let notes: Vec<_> = findings.iter().map(|f| Note::warning("DriftHealed", f.as_str())).collect();
                    self.note(&notes).await;
                    return;
                }
                // Somebody was faster: look again.
                Err(error) => tracing::debug!(%error, "healing lost a race"),
            }
        }
        for key in keys {
            self.later.insert(key, Instant::now() + FIRST_WAIT);
        }
    }

    /// Whether another Application declares the object too and wrote it last: two that heal it would never stop.
    fn belongs_to_another(&self, key: &ObjectKey) -> bool {
        if self.shared.hub.others(key, &self.name).is_empty() {
            return false;
        }
        let live = self.shared.registry.snapshot().get(key).map(|object| object.value());
        live.is_some_and(|live| !tracking::is_tracked(&self.name, key, &live))
    }

    /// Says which of `keys` differ from git, and which do no longer: they are not put back unasked.
    async fn report_drift(&mut self, keys: &BTreeSet<ObjectKey>, transaction: &Transaction, current: &Current) {
        let drifted: Vec<&Step> = transaction.steps().filter(|step| outcome::differs(step)).collect();
        let application = self.look().ok();
        let resources = application.iter().flat_map(|application| &application.status.resources);
        let lacks = |resource: &&ResourceStatus| resource.health.as_ref().is_some_and(|h| h.status == "Missing");
        let missing = resources.filter(lacks).filter_map(|r| tracking::key_of(transaction.kinds(), r));
        let missing: HashSet<ObjectKey> = missing.collect();
        // What was never there was not taken away.
        let is_drift = |step: &&Step| step.before.is_some() || !missing.contains(&step.key);
        let found = self.drifts(drifted.iter().copied().filter(is_drift));
        let findings: Vec<String> = found.iter().map(|drift| format!("{drift}; left as it is")).collect();
        let differ: HashSet<ObjectKey> = drifted.iter().map(|step| step.key.clone()).collect();
        let same: HashSet<ObjectKey> = keys.iter().filter(|key| !differ.contains(key)).cloned().collect();
        for step in transaction.steps().filter(|step| step.kind == StepKind::Keep) {
            if let (Some(before), Some(place)) = (&step.before, current.places.get(&step.key)) {
                self.verified.insert(&current.desired.rendered.documents[*place], before.meta.revision);
            }
        }
        let kinds = transaction.kinds();
        let is_news = self
            .write_status(|old, now| {
                let status = status::in_sync(kinds, old, &same, now);
                if differ.is_empty() { status } else { status::out_of_sync(kinds, &status, &differ, &findings, now) }
            })
            .await;
        if is_news && !findings.is_empty() {
            found.iter().for_each(|drift| drift.log(&self.key, "drift found"));
            let notes: Vec<_> = findings.iter().map(|f| Note::warning("DriftFound", f.as_str())).collect();
            self.note(&notes).await;
        }
    }

    fn drifts<'a>(&self, steps: impl Iterator<Item = &'a Step>) -> Vec<Drift> {
        let Shared { registry, fingerprints, .. } = &*self.shared;
        steps.map(|step| Drift::of(step, registry.last_writer(&step.key), fingerprints)).collect()
    }

    /// Writes of this worker to its own Application are no news to it.
    pub(super) fn wrote(&self, written: &[Arc<Object>]) {
        if let Some(own) = written.iter().find(|object| object.key == self.key) {
            self.inbox.wrote(own.meta.revision);
        }
    }

    /// Computes the new status from the one in the registry and writes it, if it is another. Gives whether it was.
    pub(super) async fn write_status(
        &mut self,
        next: impl Fn(&ApplicationStatus, Timestamp) -> ApplicationStatus,
    ) -> bool {
        for _ in 0..5 {
            let Ok(application) = self.application().await else { return false };
            let now = self.shared.registry.clock().now();
            let next = next(&application.status, now);
            if next == application.status {
                self.keep_status(&next);
                return false;
            }
            let mut transaction = self.shared.registry.begin(&stage::author(None));
            if let Err(error) = application::set_status(&mut transaction, &self.key, &next) {
                tracing::warn!(%error, "the Application's status is refused");
                return false;
            }
            match transaction.commit().await {
                Ok(written) => {
                    self.wrote(&written);
                    self.keep_status(&next);
                    return true;
                }
                Err(error) => tracing::debug!(%error, "the Application's status was written by somebody else"),
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::kinds;

    #[tokio::test(start_paused = true)]
    async fn a_fighting_writer_is_given_way_and_peace_is_forgotten() {
        let key = ObjectKey::new(kinds::CONFIG_MAP, "a", "b");
        let mut fights = Fights::default();
        let start = Instant::now();
        assert_eq!(fights.allowed_at(&key, start), start);
        for wait in [250, 500, 1000, 2000] {
            fights.healed(&key, start);
            assert_eq!(fights.allowed_at(&key, start), start + Duration::from_millis(wait));
        }
        (0..30).for_each(|_| fights.healed(&key, start));
        assert_eq!(fights.allowed_at(&key, start), start + LONGEST_WAIT);
        let later = start + PEACE;
        assert_eq!(fights.allowed_at(&key, later), later);
    }
}
