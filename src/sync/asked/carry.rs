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
use crate::sync::status;
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
        let chosen = documents.iter().filter(|document| asked.selects(&document.key));
        let reached: HashSet<&ObjectKey> = chosen.clone().map(|document| &document.key).collect();
        let inventory = whole.inventory.iter().filter(|key| asked.selects(key)).cloned().collect();
        let part =
            Part { documents: Some(chosen.cloned().collect()), inventory, pruning: whole.pruning, holds_last: false };
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
            application::end_operation(&mut transaction, &self.key, &asked.operation)?;
            waves::release_running(&mut transaction, &whole.application.status)?;
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
        let wrong: HashSet<(&str, u32)> = whole.staged.errors.iter().map(|e| (&*e.file, e.line)).collect();
        let refused = documents.iter().filter(|document| wrong.contains(&(&*document.file, document.line)));
        let refused: HashSet<&ObjectKey> = refused.map(|document| &document.key).collect();
        let differs = |key: &ObjectKey| {
            !asked.selects(key) && (refused.contains(key) || outcome::would_change(whole.transaction, key))
        };
        let mut entries = outcome::entries(documents, whole.staged, differs);
        entries.retain(|entry| !staged.pruned.contains(&entry.key));
        let left = whole.staged.pruned.iter().filter(|key| !staged.pruned.contains(key));
        entries.extend(left.map(|key| outcome::Entry::extraneous(key, false)));
        let mut next = self.status_of_part(&run.desired, whole.application, whole.staged, &entries, transaction);
        if !refused.is_empty() {
            // What is wrong with the others still is.
            next.conditions.clone_from(&whole.application.status.conditions);
        }
        let (many, changed) = (chosen_in_words(asked), outcome::changes(&results));
        let message = format!("{many} as commit {} says, {changed} changed", run.desired.commit().short());
        let now = self.shared.registry.clock().now();
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
        let message = match outcome::changes(&results) {
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
        let message = status::in_short(faults);
        tracing::warn!(application = %self.key, message, "an operation is refused");
        self.write_status(|old, now| {
            let mut next = old.clone();
            // What its steps have done stays to be seen.
            let begun = old.operation_state.as_ref().filter(|state| state.phase == "Running");
            let result = begun.and_then(|state| state.sync_result.clone());
            told(&mut next, operation, "Failed", message.clone(), started, now, result);
            next
        })
        .await;
        self.note(&[Note::warning("OperationFailed", message.as_str())]).await;
    }

    /// Sees what the Application asks for now. What has been asked for before and is under way ends first; what waits to be
    /// tried again gives way, or is given up when nobody asks for it any more.
    pub(in crate::sync) async fn take_request(&mut self, application: &Application) {
        let Some(operation) = &application.operation else {
            if self.under_way.is_none() && self.asked.take().is_some() {
                (self.retry, self.failures) = (None, 0);
            }
            return;
        };
        if self.asked.as_ref().is_some_and(|asked| asked.operation == *operation) {
            return;
        }
        let asked = Asked::of(application, operation);
        let is_free = self.asked.is_none() && asked.as_ref().is_ok_and(|asked| !asked.is_apart());
        // What is under way is told by the same part of the status.
        if self.under_way.is_some() && !is_free {
            self.asked_later = true;
            return;
        }
        match asked {
            Ok(asked) => {
                self.asked = Some(Arc::new(asked));
                self.ask(&Trigger::Request);
            }
            Err(faults) => {
                self.asked = None;
                self.refuse_request(operation, &faults, self.shared.registry.clock().now()).await;
                self.clear_operation(operation).await;
            }
        }
    }

    /// After a start: what was asked for and is under way goes on, whatever is asked for by now.
    pub(in crate::sync) fn resume_request(&mut self, application: &Application) {
        let state = application.status.operation_state.as_ref().filter(|state| state.phase == "Running");
        let begun = state.and_then(|state| state.operation.as_ref()).filter(|_| self.current.is_none());
        self.asked = begun.and_then(|operation| Asked::of(application, operation).ok()).map(Arc::new);
    }

    /// Takes the request away that was answered; another one that came meanwhile is seen to.
    pub(in crate::sync) async fn clear_operation(&mut self, answered: &Operation) {
        if let Err(error) = application::clear_operation(&self.shared.registry, &self.key, answered).await {
            tracing::warn!(%error, application = %self.key, "the operation cannot be removed");
        }
        let is_another =
            self.look().is_ok_and(|application| application.operation.as_ref().is_some_and(|now| now != answered));
        self.asked_later |= is_another;
    }

    /// Tells of a sync that says nothing of the commit that the Application follows.
    pub(in crate::sync) async fn told_apart(
        &mut self,
        run: SyncRun,
        asked: &Asked,
        outcome: Result<Option<usize>, Failure>,
    ) {
        let is_over = match outcome {
            Ok(Some(changed)) => {
                if changed > 0 && !asked.is_selective() {
                    self.note_synced(&run.desired, changed).await;
                } else if changed > 0 {
                    let what = format!("as commit {} says, {changed} changed", run.desired.commit().short());
                    self.note(&[Note::normal("PartlySynced", format!("{} {what}", chosen_in_words(asked)))]).await;
                }
                true
            }
            Ok(None) => {
                self.under_way = Some(run);
                return;
            }
            Err(failure) => {
                let is_passing = !matches!(failure, Failure::Commit(..) | Failure::Request(_));
                self.refuse_request(&asked.operation, &failure.messages(), run.started).await;
                if is_passing && asked.retries {
                    self.retry_later(&run.settings);
                }
                !(is_passing && asked.retries && self.retry.is_some())
            }
        };
        if is_over && asked.retries {
            (self.retry, self.failures) = (None, 0);
        }
        if is_over && asked.is_elsewhere() && !asked.is_trial() {
            self.settle(None);
            self.ask(&Trigger::Refresh);
        }
    }

    pub(in crate::sync) fn fault(&self, message: String) -> SourceError {
        SourceError { file: self.key.to_string(), line: 0, message }
    }
}

fn chosen_in_words(asked: &Asked) -> String {
    let chosen: HashSet<_> = asked.sync.resources.iter().map(|t| (&t.group, &t.kind, &t.namespace, &t.name)).collect();
    match chosen.len() {
        1 => "the chosen object is".to_owned(),
        many => format!("the {many} chosen objects are"),
    }
}

fn result_of(run: &SyncRun, resources: Vec<ResourceResult>) -> SyncResult {
    let commit = run.desired.commit().id.to_string();
    let spec = run.asked.as_ref().map(|asked| asked.spec.clone()).unwrap_or_default();
    let (source, sources) = (spec.source, spec.sources);
    SyncResult { revision: commit, revisions: run.desired.revisions(), source, sources, resources }
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
