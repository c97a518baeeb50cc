//! Keeps what a sync came to: stores the staged objects together with the Application's status, or, of a comparison, the
//! status alone; and what the worker remembers of it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::deploy::SyncRun;
use super::desired::Desired;
use super::outcome::Entry;
use super::render::Document;
use super::stage::Staged;
use super::status::{self, Compared, Deployed};
use super::worker::{Current, Worker};
use super::{application, cascade, outcome, tracking, waves};
use crate::cluster::registry::Transaction;
use crate::object::application::{Application, ApplicationStatus, ResourceResult};
use crate::object::{ApiError, Object, ObjectKey, Revision};

impl Worker {
    /// Writes down what a sync would do.
    pub(super) async fn compare(&mut self, desired: &Desired, transaction: &Transaction, staged: &Staged) {
        let entries =
            outcome::entries(&desired.rendered.documents, staged, |key| outcome::would_change(transaction, key));
        let warnings = outcome::warnings(desired, staged);
        let revisions = desired.revisions();
        let keys = outcome::keys(desired, staged);
        let shared = self.shared_with(&keys);
        let live = self.shared.registry.snapshot();
        let spec = self.spec.clone().unwrap_or_default();
        self.write_status(|old, now| {
            let compared = Compared {
                kinds: live.kinds(),
                commit: desired.commit(),
                revisions: &revisions,
                spec: &spec,
                entries: &entries,
                warnings: &warnings,
                shared: &shared,
                images: outcome::images(&desired.rendered.documents),
                now,
            };
            status::compared(old, |key| live.get(key).map(|object| Cow::Owned(object.value())), &compared)
        })
        .await;
        self.own(keys);
        self.take_up(desired);
    }

    /// Which of the objects others declare too, in Argo CD's words.
    pub(super) fn shared_with(&self, keys: &HashSet<ObjectKey>) -> Vec<String> {
        let shared = keys.iter().filter_map(|key| {
            let others = self.shared.hub.others(key, &self.name);
            let list = others.join(", ");
            let kind = key.kind.kind;
            (!others.is_empty())
                .then(|| format!("{kind}/{} is part of applications {} and {list}", key.name, self.name))
        });
        let mut shared: Vec<String> = shared.collect();
        shared.sort();
        shared
    }

    pub(super) async fn store(
        &mut self,
        run: &SyncRun,
        application: &Application,
        started: Timestamp,
        mut transaction: Transaction,
        staged: &Staged,
        earlier: Vec<ResourceResult>,
    ) -> Result<usize, ApiError> {
        let desired = &run.desired;
        let documents = &desired.rendered.documents;
        let changed_before = outcome::changes(&earlier);
        let mut results = earlier;
        results.extend(outcome::results(&transaction, staged));
        let changed = outcome::changed(&transaction) + changed_before;
        let keys = outcome::keys(desired, staged);
        // Both what was owned and what will be: a change that comes beside the commit is not lost.
        self.own(keys.iter().cloned().chain(tracking::inventory(transaction.kinds(), &application.status)).collect());
        let shared = self.shared_with(&keys);
        let entries = outcome::entries(documents, staged, |_| false);
        let warnings = outcome::warnings(desired, staged);
        let revisions = desired.revisions();
        let next = status::deployed(
            &application.status,
            |key| transaction.peek(key),
            |key| transaction.step(key).is_some(),
            Deployed {
                compared: Compared {
                    kinds: transaction.kinds(),
                    commit: desired.commit(),
                    revisions: &revisions,
                    spec: run.asked.as_ref().map_or(&application.spec, |asked| &asked.spec),
                    entries: &entries,
                    warnings: &warnings,
                    shared: &shared,
                    images: outcome::images(documents),
                    now: self.shared.registry.clock().now(),
                },
                is_unmoved: self.unmoved == Some(desired.commit().id),
                operation: run.asked.as_ref().map(|asked| &asked.operation),
                trigger: &run.trigger,
                started,
                retries: i64::from(self.failures),
                results,
                history_limit: run.settings.history_limit,
            },
        );
        let next = if self.unmoved == Some(desired.commit().id) && status::says_same(&application.status, &next) {
            // After a start there may be many such Applications: their revisions are written one after another.
            self.write_passed_later();
            application.status.clone()
        } else {
            next
        };
        if next != application.status {
            application::set_status(&mut transaction, &self.key, &next)?;
        }
        cascade::declare_hooks(&mut transaction, application, &self.key, desired)?;
        if let Some(asked) = &run.asked {
            application::end_operation(&mut transaction, &self.key, &asked.operation)?;
        }
        waves::release_running(&mut transaction, &application.status)?;
        // The revisions at which the objects are as this commit says.
        let kept = waves::kept(&transaction);
        let written = transaction.commit().await?;
        self.wrote(&written);
        self.keep_status(&next);
        self.take_up(desired);
        self.remember(&written, kept);
        self.gates.clear();
        self.own(keys);
        Ok(changed)
    }

    /// The status after a part of what is desired was staged; `entries` are all of the Application's, as that leaves them.
    pub(super) fn status_of_part(
        &self,
        desired: &Desired,
        application: &Application,
        whole: &Staged,
        entries: &[Entry],
        transaction: &Transaction,
    ) -> ApplicationStatus {
        let warnings = outcome::warnings(desired, whole);
        let shared = self.shared_with(&outcome::keys(desired, whole));
        let revisions = desired.revisions();
        let now = self.shared.registry.clock().now();
        let compared = Compared {
            kinds: transaction.kinds(),
            commit: desired.commit(),
            revisions: &revisions,
            spec: &application.spec,
            entries,
            warnings: &warnings,
            shared: &shared,
            images: outcome::images(&desired.rendered.documents),
            now,
        };
        let live = |key: &ObjectKey| transaction.peek(key);
        let mut next = status::compared(&application.status, live, &compared);
        status::refresh_health(transaction.kinds(), &mut next, live, |key| transaction.step(key).is_some(), now);
        next
    }

    /// Objects that are as what was taken up says, at the revision that they have now.
    pub(super) fn remember(&mut self, written: &[Arc<Object>], kept: Vec<(ObjectKey, Revision)>) {
        let Some(current) = self.current.clone() else { return };
        let written = written.iter().map(|object| (object.key.clone(), object.meta.revision));
        for (key, revision) in written.chain(kept) {
            if let Some(place) = current.places.get(&key) {
                self.verified.insert(&current.desired.rendered.documents[*place], revision);
            }
        }
        self.count_verified();
    }

    fn count_verified(&mut self) {
        let (before, now) = (self.counted, self.verified.len());
        self.counted = now;
        self.shared.verified.send_if_modified(|count| {
            *count = (*count + now).saturating_sub(before);
            now != before
        });
    }

    /// From now on, those objects that a sync has reached are held against what is desired, the others against what was
    /// before.
    pub(super) fn take_up_part(&mut self, desired: &Desired, reached: &HashSet<&ObjectKey>, pruned: &[ObjectKey]) {
        let mut rendered = (*desired.rendered).clone();
        rendered.documents.retain(|document| reached.contains(&document.key));
        if let Some(current) = &self.current {
            let before = current.desired.rendered.documents.iter();
            let is_left = |document: &&Document| !reached.contains(&document.key) && !pruned.contains(&document.key);
            rendered.documents.extend(before.filter(is_left).cloned());
        }
        self.take_up(&desired.with(rendered));
    }

    /// From now on, what is desired is what the objects are held against.
    pub(super) fn take_up(&mut self, desired: &Desired) {
        let documents = desired.rendered.documents.iter().enumerate();
        let places: HashMap<_, _> = documents.map(|(place, document)| (document.key.clone(), place)).collect();
        self.verified.retain(|key| places.contains_key(key));
        self.current = Some(Current { desired: desired.clone(), places: Arc::new(places) });
    }
}
