//! Carries out what differs from a sync of the Application's own accord: a sync of some of its objects, a trial, and the
//! answer where neither is possible. All but these goes the way of every sync.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::Asked;
use crate::cluster::registry::Transaction;
use crate::diff::plan::SourceError;
use crate::object::ObjectKey;
use crate::object::application::{
    Application, ApplicationStatus, Operation, OperationState, ResourceResult, SyncResult,
};
use crate::object::clock::rfc3339;
use crate::sync::deploy::{Attempt, Failure, Part, SyncRun};
use crate::sync::events::Note;
use crate::sync::guard::Pruning;
use crate::sync::stage::Staged;
use crate::sync::status::{self, Compared};
use crate::sync::trigger::Trigger;
use crate::sync::worker::Worker;
use crate::sync::{application, outcome, waves};

/// All of the Application, as the commit wants it, of which a part is to be synced.
pub(in crate::sync) struct Whole<'a> {
    pub application: &'a Application,
    pub inventory: &'a [ObjectKey],
    pub pruning: Pruning,
    pub transaction: &'a Transaction,
    pub staged: &'a Staged,
}

impl Worker {
    /// Syncs the objects that are asked for, in one transaction; the others stay as they are, and so does the history.
    pub(in crate::sync) async fn sync_selected(
        &mut self,
        run: &SyncRun,
        asked: &Asked,
        whole: Whole<'_>,
    ) -> Result<Attempt, Failure> {
        let documents = &run.desired.rendered.documents;
        let declared = documents.iter().map(|document| &document.key);
        let missing = asked.missing(declared.chain(whole.inventory));
        if !missing.is_empty() {
            return Err(Failure::Cluster(missing.into_iter().map(|message| self.fault(message)).collect()));
        }
        let chosen: Vec<_> = documents.iter().filter(|document| asked.selects(&document.key)).cloned().collect();
        let reached: HashSet<&ObjectKey> =
            documents.iter().map(|document| &document.key).filter(|key| asked.selects(key)).collect();
        let inventory = whole.inventory.iter().filter(|key| asked.selects(key)).cloned().collect();
        let part = Part { documents: Some(chosen), inventory, pruning: whole.pruning, holds_last: false };
        let (mut transaction, staged) = self.stage(&run.desired, &run.settings, part).await;
        if !staged.errors.is_empty() {
            return Err(Failure::Cluster(self.placed(&run.desired, staged.errors).await));
        }
        let results = outcome::results(&transaction, &staged);
        if asked.is_trial() {
            return self.tell_trial(run, asked, results).await;
        }
        let changed = outcome::changed(&transaction);
        let next = self.status_of_selected(run, asked, &whole, &transaction, &staged, results);
        let keys: HashSet<ObjectKey> =
            outcome::keys(&run.desired, whole.staged).into_iter().chain(whole.inventory.iter().cloned()).collect();
        self.own(keys);
        let kept = waves::kept(&transaction);
        let stored = async {
            application::set_status(&mut transaction, &self.key, &next)?;
            application::end_operation(&mut transaction, &self.key)?;
            // Of a sync that this one takes the place of.
            for hook in waves::running_hooks(transaction.kinds(), &whole.application.status) {
                waves::release(&mut transaction, &hook, true)?;
            }
            transaction.commit().await
        };
        let written = match stored.await {
            Ok(written) => written,
            Err(error) if waves::is_race(&error) => return Ok(Attempt::Raced),
            Err(error) => return Err(Failure::Store(error)),
        };
        self.wrote(&written);
        self.keep_status(&next);
        self.take_up_part(&run.desired, &reached, &staged.pruned);
        self.remember(&written, kept);
        Ok(Attempt::Done(changed))
    }

    fn status_of_selected(
        &self,
        run: &SyncRun,
        asked: &Asked,
        whole: &Whole<'_>,
        transaction: &Transaction,
        staged: &Staged,
        results: Vec<ResourceResult>,
    ) -> ApplicationStatus {
        let documents = &run.desired.rendered.documents;
        let differs = |key: &ObjectKey| !asked.selects(key) && outcome::would_change(whole.transaction, key);
        let mut entries = outcome::entries(documents, whole.staged, differs);
        let left = whole.staged.pruned.iter().filter(|key| !staged.pruned.contains(key));
        entries.extend(left.map(|key| outcome::Entry::extraneous(key, false)));
        let warnings = outcome::warnings(&run.desired, whole.staged);
        let shared = self.shared_with(&outcome::keys(&run.desired, whole.staged));
        let revisions = run.desired.revisions();
        let now = self.shared.registry.clock().now();
        let compared = Compared {
            kinds: transaction.kinds(),
            commit: run.desired.commit(),
            revisions: &revisions,
            spec: &whole.application.spec,
            entries: &entries,
            warnings: &warnings,
            shared: &shared,
            images: outcome::images(documents),
            now,
        };
        let live = |key: &ObjectKey| transaction.peek(key);
        let mut next = status::compared(&whole.application.status, live, &compared);
        status::refresh_health(transaction.kinds(), &mut next, live, |key| transaction.step(key).is_some(), now);
        let many = reached_in_words(asked);
        let message = format!("{many} as commit {} says, {} changed", run.desired.commit().short(), results.len());
        told(&mut next, &asked.operation, "Succeeded", message, run.started, now, Some(result_of(run, results)));
        next
    }

    /// Writes down what a sync would do, and does nothing.
    pub(in crate::sync) async fn tell_trial(
        &mut self,
        run: &SyncRun,
        asked: &Asked,
        results: Vec<ResourceResult>,
    ) -> Result<Attempt, Failure> {
        let message = match results.len() {
            0 => "dry run: nothing would change".to_owned(),
            1 => "dry run: 1 object would change; nothing was".to_owned(),
            many => format!("dry run: {many} objects would change; nothing was"),
        };
        self.write_status(|old, now| {
            let mut next = old.clone();
            let result = result_of(run, results.clone());
            told(&mut next, &asked.operation, "Succeeded", message.clone(), run.started, now, Some(result));
            next
        })
        .await;
        Ok(Attempt::Done(0))
    }

    /// Says why what was asked for is not done. What is deployed, and what is known of it, stays.
    pub(in crate::sync) async fn refuse_request(
        &mut self,
        operation: &Operation,
        faults: &[String],
        started: Timestamp,
    ) {
        let message = match faults {
            [one] => one.clone(),
            many => {
                format!("{} errors, the first: {}", many.len(), many.first().map(String::as_str).unwrap_or_default())
            }
        };
        tracing::warn!(application = %self.key, message, "an operation is refused");
        self.write_status(|old, now| {
            let mut next = old.clone();
            told(&mut next, operation, "Failed", message.clone(), started, now, None);
            next
        })
        .await;
        self.note(&[Note::warning("OperationFailed", message.as_str())]).await;
    }

    /// Somebody may ask for a sync.
    pub(in crate::sync) async fn take_request(&mut self, application: &Application) {
        match (Asked::of(application), &application.operation) {
            // What is under way is told by the same part of the status: it ends first.
            (Ok(Some(asked)), _) if asked.is_apart() && self.under_way.is_some() => self.asked_later = true,
            (Ok(Some(asked)), _) => {
                self.asked = Some(Arc::new(asked));
                self.ask(&Trigger::Request);
            }
            (Err(faults), Some(operation)) => {
                self.refuse_request(operation, &faults, self.shared.registry.clock().now()).await;
                if let Err(error) = application::clear_operation(&self.shared.registry, &self.key).await {
                    tracing::warn!(%error, application = %self.key, "the operation cannot be removed");
                }
            }
            _ => {}
        }
    }

    /// Tells of a sync that says nothing of the commit that the Application follows: that one is looked at anew.
    pub(in crate::sync) async fn told_apart(
        &mut self,
        run: SyncRun,
        asked: &Asked,
        outcome: Result<Option<usize>, Failure>,
    ) {
        (self.retry, self.failures) = match outcome {
            Err(Failure::Cluster(_) | Failure::Store(_)) if asked.retries => (None, self.failures),
            _ => (None, 0),
        };
        match outcome {
            Ok(Some(changed)) => self.note_synced(&run.desired, changed).await,
            Ok(None) => {
                self.under_way = Some(run);
                return;
            }
            Err(failure) => {
                let is_passing = !matches!(failure, Failure::Commit(..));
                self.refuse_request(&asked.operation, &failure.messages(), run.started).await;
                if is_passing && asked.retries {
                    self.retry_later(&run.settings);
                }
            }
        }
        self.settle(None);
        if asked.is_elsewhere() && self.retry.is_none() {
            self.ask(&Trigger::Refresh);
        }
    }

    pub(in crate::sync) fn fault(&self, message: String) -> SourceError {
        SourceError { file: self.key.to_string(), line: 0, message }
    }
}

fn reached_in_words(asked: &Asked) -> String {
    match asked.sync().resources.len() {
        1 => "the chosen object is".to_owned(),
        many => format!("the {many} chosen objects are"),
    }
}

fn result_of(run: &SyncRun, resources: Vec<ResourceResult>) -> SyncResult {
    let commit = run.desired.commit().id.to_string();
    SyncResult { revision: commit, revisions: run.desired.revisions(), resources, ..SyncResult::default() }
}

/// Puts the outcome of what was asked for into the status.
fn told(
    status: &mut ApplicationStatus,
    operation: &Operation,
    phase: &str,
    message: String,
    started: Timestamp,
    now: Timestamp,
    sync_result: Option<SyncResult>,
) {
    status.operation_state = Some(OperationState {
        operation: Some(operation.clone()),
        phase: phase.to_owned(),
        message,
        started_at: Some(rfc3339(started)),
        finished_at: Some(rfc3339(now)),
        sync_result,
        ..OperationState::default()
    });
}
