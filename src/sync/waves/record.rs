//! What a sync of several steps has done so far, as `operationState` in the Application's status keeps it. Pure.

use git2::Oid;
use jiff::Timestamp;

use super::hook::{Phase, Verdict};
use crate::object::application::{ApplicationStatus, ResourceResult};
use crate::object::clock::rfc3339;
use crate::object::custom::Kinds;
use crate::object::{Kind, ObjectKey};
use crate::sync::outcome;

const RUNNING: &str = "Running";
const SUCCEEDED: &str = "Succeeded";
const FAILED: &str = "Failed";

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub started: Timestamp,
    pub results: Vec<ResourceResult>,
    /// A step of it is stored already.
    pub is_begun: bool,
    /// Why it failed, while its SyncFail hooks run.
    pub failure: Option<String>,
}

impl Record {
    /// The sync of `revision` that is under way, or a new one.
    pub fn of(status: &ApplicationStatus, revision: &str, revisions: &[String], started: Timestamp) -> Self {
        let new = || Self { started, results: Vec::new(), is_begun: false, failure: None };
        let Some(state) = status.operation_state.as_ref().filter(|state| state.phase == RUNNING) else { return new() };
        let Some(result) = &state.sync_result else { return new() };
        if result.revision != revision || result.revisions != revisions {
            return new();
        }
        let results = result.resources.clone();
        let failed = results.iter().any(|result| result.hook_type == Phase::SyncFail.to_string());
        let began = state.started_at.as_deref().and_then(|time| time.parse().ok());
        Self {
            started: began.unwrap_or(started),
            results,
            is_begun: true,
            failure: failed.then(|| state.message.clone()),
        }
    }

    /// Whether an object was changed by it.
    pub fn has(&self, key: &ObjectKey) -> bool {
        self.results.iter().any(|result| result.hook_type.is_empty() && is_of(result, key))
    }

    /// Whether an object was deleted by it.
    pub fn has_pruned(&self, key: &ObjectKey) -> bool {
        self.results.iter().any(|result| result.status == "Pruned" && is_of(result, key))
    }

    /// How far a hook was when somebody last looked; `None` when it was not made.
    pub fn hook(&self, phase: Phase, key: &ObjectKey) -> Option<Verdict> {
        let phase = phase.to_string();
        let result = self.results.iter().find(|result| result.hook_type == phase && is_of(result, key))?;
        let message = result.message.clone();
        Some(match result.hook_phase.as_str() {
            SUCCEEDED => Verdict::Succeeded(message),
            FAILED => Verdict::Failed(message),
            _ => Verdict::Running(message),
        })
    }

    /// Writes down how far a hook is.
    pub fn set_hook(&mut self, phase: Phase, key: &ObjectKey, verdict: &Verdict) {
        let hook_type = phase.to_string();
        let known = self.results.iter().position(|result| result.hook_type == hook_type && is_of(result, key));
        let place = known.unwrap_or_else(|| {
            let result = ResourceResult { sync_phase: hook_type.clone(), hook_type, ..outcome::result(key, "", "") };
            self.results.push(result);
            self.results.len() - 1
        });
        let (hook_phase, message) = match verdict {
            Verdict::Running(message) => (RUNNING, message),
            Verdict::Succeeded(message) => (SUCCEEDED, message),
            Verdict::Failed(message) => (FAILED, message),
        };
        let result = &mut self.results[place];
        result.hook_phase = hook_phase.to_owned();
        result.message.clone_from(message);
    }

    /// A hook's own name, or one of this sync where it has none.
    pub fn name_of(&self, object: &serde_json::Value, phase: Phase, revision: &str) -> String {
        let metadata = &object["metadata"];
        if let Some(name) = metadata["name"].as_str() {
            return name.to_owned();
        }
        let base = metadata["generateName"].as_str().unwrap_or_default();
        let short: String = revision.chars().take(7).collect();
        format!("{base}{short}-{phase}-{}", self.started.as_second()).to_ascii_lowercase()
    }

    /// When it began, as a status says it.
    pub fn started_at(&self) -> String {
        rfc3339(self.started)
    }
}

fn results(status: &ApplicationStatus) -> &[ResourceResult] {
    let result = status.operation_state.as_ref().and_then(|state| state.sync_result.as_ref());
    result.map(|result| result.resources.as_slice()).unwrap_or_default()
}

/// The hooks that a sync that did not end has left running.
pub fn running_hooks(kinds: &Kinds, status: &ApplicationStatus) -> Vec<ObjectKey> {
    let running = results(status).iter().filter(|r| !r.hook_type.is_empty() && r.hook_phase == RUNNING);
    running.filter_map(|result| key_of(kinds, result)).collect()
}

/// The objects that the last sync has made for hooks.
pub fn hooks_of(kinds: &Kinds, status: &ApplicationStatus) -> Vec<ObjectKey> {
    let hooks = results(status).iter().filter(|result| !result.hook_type.is_empty());
    hooks.filter_map(|result| key_of(kinds, result)).collect()
}

/// The commits whose hooks an Application's end runs, one a source: those that its end began with, or else those that were
/// deployed last.
pub fn last_commits(status: &ApplicationStatus) -> Vec<Oid> {
    let is_ending = has_begun(status, Phase::PreDelete) || has_begun(status, Phase::PostDelete);
    let ending = status.operation_state.as_ref().filter(|_| is_ending).and_then(|state| state.sync_result.as_ref());
    let deployed = status.history.last().map(|last| (&last.revision, &last.revisions));
    let Some((one, many)) = ending.map(|result| (&result.revision, &result.revisions)).or(deployed) else {
        return Vec::new();
    };
    commits(one, many)
}

/// A revision, or one a source where there are several.
pub fn commits(one: &String, many: &[String]) -> Vec<Oid> {
    let all = if many.is_empty() { std::slice::from_ref(one) } else { many };
    all.iter().filter_map(|commit| commit.parse().ok()).collect()
}

/// Whether hooks of the phase were made.
pub fn has_begun(status: &ApplicationStatus, phase: Phase) -> bool {
    results(status).iter().any(|result| result.hook_type == phase.to_string())
}

/// The objects that a sync that did not end has changed: what comes later waits for them, whoever goes on.
pub fn unfinished(kinds: &Kinds, status: &ApplicationStatus) -> Vec<ObjectKey> {
    if status.operation_state.as_ref().is_none_or(|state| state.phase == SUCCEEDED) {
        return Vec::new();
    }
    let changed = results(status).iter().filter(|result| result.hook_type.is_empty() && result.status == "Synced");
    changed.filter_map(|result| key_of(kinds, result)).collect()
}

fn is_of(result: &ResourceResult, key: &ObjectKey) -> bool {
    let Kind { group, kind, .. } = key.kind;
    result.group == *group && result.kind == *kind && result.namespace == key.namespace && result.name == key.name
}

fn key_of(kinds: &Kinds, result: &ResourceResult) -> Option<ObjectKey> {
    let kind = kinds.stored().find(|row| row.group == result.group && row.kind == result.kind)?;
    Some(ObjectKey::new(kind, result.namespace.as_str(), result.name.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::application::{OperationState, SyncResult};
    use crate::object::kinds;

    fn status(phase: &str, revision: &str, results: Vec<ResourceResult>) -> ApplicationStatus {
        let result = SyncResult { revision: revision.into(), resources: results, ..SyncResult::default() };
        let state = OperationState {
            phase: phase.into(),
            message: "the web is down".into(),
            started_at: Some("2026-01-01T00:00:00Z".into()),
            sync_result: Some(result),
            ..OperationState::default()
        };
        ApplicationStatus { operation_state: Some(state), ..ApplicationStatus::default() }
    }

    #[test]
    fn a_sync_goes_on_where_its_status_says_and_another_commit_begins_anew() {
        let job = ObjectKey::new(kinds::JOB, "prod", "migrate");
        let mut record = Record::of(&ApplicationStatus::default(), "abc", &[], Timestamp::UNIX_EPOCH);
        assert!(!record.is_begun && record.hook(Phase::PreSync, &job).is_none());
        record.set_hook(Phase::PreSync, &job, &Verdict::Running(String::new()));
        record.set_hook(Phase::PreSync, &job, &Verdict::Succeeded("done".into()));
        record.results.push(outcome::result(&ObjectKey::new(kinds::SECRET, "prod", "key"), "Synced", "created"));
        assert_eq!(record.results.len(), 2);

        let under_way = status("Running", "abc", record.results.clone());
        let resumed = Record::of(&under_way, "abc", &[], Timestamp::UNIX_EPOCH);
        assert!(resumed.is_begun && resumed.failure.is_none());
        assert_eq!(resumed.started_at(), "2026-01-01T00:00:00Z");
        assert_eq!(resumed.hook(Phase::PreSync, &job), Some(Verdict::Succeeded("done".into())));
        assert_eq!(resumed.hook(Phase::PostSync, &job), None, "the same hook in another phase is made again");
        assert!(resumed.has(&ObjectKey::new(kinds::SECRET, "prod", "key")) && !resumed.has(&job));
        for other in [status("Running", "def", record.results.clone()), status("Failed", "abc", record.results.clone())]
        {
            assert!(!Record::of(&other, "abc", &[], Timestamp::UNIX_EPOCH).is_begun);
        }
        assert_eq!(unfinished(&Kinds::default(), &under_way), [ObjectKey::new(kinds::SECRET, "prod", "key")]);
        assert_eq!(unfinished(&Kinds::default(), &status("Succeeded", "abc", record.results.clone())), []);
        record.set_hook(Phase::SyncFail, &job, &Verdict::Running(String::new()));
        let failing = status("Running", "abc", record.results);
        assert_eq!(running_hooks(&Kinds::default(), &failing), [job]);
        let failing = Record::of(&failing, "abc", &[], Timestamp::UNIX_EPOCH);
        assert_eq!(failing.failure.as_deref(), Some("the web is down"));
    }

    #[test]
    fn a_hook_without_a_name_gets_one_of_its_sync() {
        let record = Record::of(&ApplicationStatus::default(), "abc", &[], Timestamp::UNIX_EPOCH);
        let of = |metadata| record.name_of(&json!({"metadata": metadata}), Phase::PreSync, "0123456789");
        assert_eq!(of(json!({"generateName": "migrate-"})), "migrate-0123456-presync-0");
        assert_eq!(of(json!({"name": "migrate"})), "migrate");
    }
}
