//! The Application's status, computed from the one before and what happened. Nothing here reads a clock, and a
//! sync that changed nothing gives back the status that it was given, so that a restart writes nothing. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::Value;

use super::mirror::Commit;
use super::tracking;
use super::trigger::Trigger;
use crate::diff::health::{Health, Level, health};
use crate::diff::plan::SourceError;
use crate::object::ObjectKey;
use crate::object::application::{
    ApplicationCondition, ApplicationStatus, HealthStatus, HistoryEntry, InitiatedBy, OperationState, ResourceResult,
    ResourceStatus, Source, SyncResult, SyncStatus,
};
use crate::object::clock::{rfc3339, rfc3339_micro};

pub const SYNCED: &str = "Synced";
pub const OUT_OF_SYNC: &str = "OutOfSync";
/// Manifests cannot be read, or the repository cannot.
pub const COMPARISON_ERROR: &str = "ComparisonError";
/// Manifests can be read, and the cluster refuses them.
pub const SYNC_ERROR: &str = "SyncError";
/// Something in the repository is not deployed, on purpose.
pub const EXCLUDED_WARNING: &str = "ExcludedResourceWarning";
/// Somebody changed an object behind git's back.
pub const DRIFT_WARNING: &str = "DriftWarning";

/// History entries that are kept when the Application does not say.
const HISTORY: usize = 10;
/// Errors that are listed one by one; a status is read by people.
pub const LISTED: usize = 20;

/// A commit that is in the cluster now.
pub struct Deployed<'a> {
    pub commit: &'a Commit,
    pub source: &'a Source,
    pub trigger: &'a Trigger,
    pub started: Timestamp,
    pub finished: Timestamp,
    /// Everything that the commit declares.
    pub keys: Vec<ObjectKey>,
    /// What this sync changed; empty when everything was in place.
    pub results: Vec<ResourceResult>,
    pub warnings: &'a [String],
    pub history_limit: Option<i32>,
}

/// `live` gives the objects as the sync leaves them, `touched` tells which of them it looked at: the health of the
/// others is as it was.
pub fn deployed(
    old: &ApplicationStatus,
    live: impl Fn(&ObjectKey) -> Option<Value>,
    touched: impl Fn(&ObjectKey) -> bool,
    sync: Deployed,
) -> ApplicationStatus {
    let mut status = old.clone();
    let revision = sync.commit.id.to_string();
    status.sync = SyncStatus { status: SYNCED.to_owned(), revision: revision.clone() };
    status.source_type = "Directory".to_owned();
    let unknown = carry_health(&mut status.resources, resources(&sync.keys));
    let is_new = old.history.last().is_none_or(|last| last.revision != revision);
    if is_new {
        let id = old.history.last().map_or(0, |last| last.id + 1);
        status.history.push(HistoryEntry {
            id,
            revision: revision.clone(),
            deployed_at: Some(rfc3339_micro(sync.finished)),
            deploy_started_at: Some(rfc3339_micro(sync.started)),
            source: sync.source.clone(),
            initiated_by: InitiatedBy { automated: sync.trigger.is_automated(), username: String::new() },
            author: sync.commit.author.clone(),
            subject: sync.commit.subject.clone(),
            trigger: sync.trigger.to_string(),
        });
        let limit = sync.history_limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(HISTORY).max(1);
        let excess = status.history.len().saturating_sub(limit);
        status.history.drain(..excess);
    }
    let recovered = old.operation_state.as_ref().is_none_or(|op| op.phase != "Succeeded");
    if is_new || recovered || !sync.results.is_empty() {
        let changed = sync.results.len();
        status.operation_state = Some(OperationState {
            phase: "Succeeded".to_owned(),
            message: format!(
                "{} objects are as commit {} says, {changed} changed",
                sync.keys.len(),
                sync.commit.short()
            ),
            started_at: Some(rfc3339(sync.started)),
            finished_at: Some(rfc3339(sync.finished)),
            retry_count: 0,
            sync_result: Some(SyncResult { revision, resources: sync.results }),
        });
    }
    let mut now = if is_new { Vec::new() } else { kept_conditions(old, &[DRIFT_WARNING]) };
    now.extend(sync.warnings.iter().take(LISTED).map(|warning| (EXCLUDED_WARNING, warning.clone())));
    set_conditions(&mut status, now, sync.finished);
    refresh_health(&mut status, live, |key| unknown.contains(key) || touched(key));
    stamp(old, &mut status, sync.finished);
    status
}

/// A commit that is not deployed, and why: what was deployed before stays.
pub struct Refused<'a> {
    pub commit: &'a Commit,
    pub condition: &'static str,
    pub errors: &'a [SourceError],
    pub started: Timestamp,
    pub now: Timestamp,
}

pub fn refused(old: &ApplicationStatus, refused: &Refused) -> ApplicationStatus {
    let mut status = old.clone();
    let revision = refused.commit.id.to_string();
    status.sync = SyncStatus { status: OUT_OF_SYNC.to_owned(), revision: revision.clone() };
    let messages = listed(refused.errors);
    let last = old.operation_state.as_ref().and_then(|op| op.sync_result.as_ref()).map(|r| r.revision.as_str());
    let message = match refused.errors {
        [one] => one.to_string(),
        many => {
            format!("{} errors, the first: {}", many.len(), many.first().map(ToString::to_string).unwrap_or_default())
        }
    };
    let same = old.operation_state.as_ref().is_some_and(|op| op.phase == "Failed" && op.message == message);
    if !same || last != Some(&revision) {
        status.operation_state = Some(OperationState {
            phase: "Failed".to_owned(),
            message,
            started_at: Some(rfc3339(refused.started)),
            finished_at: Some(rfc3339(refused.now)),
            retry_count: 0,
            sync_result: Some(SyncResult { revision, resources: Vec::new() }),
        });
    }
    let mut conditions = kept_conditions(old, &[DRIFT_WARNING]);
    conditions.extend(messages.into_iter().map(|message| (refused.condition, message)));
    set_conditions(&mut status, conditions, refused.now);
    stamp(old, &mut status, refused.now);
    status
}

/// The repository or its branch cannot be read: nothing is known of what should be, so nothing is changed.
pub fn unreadable(old: &ApplicationStatus, message: &str, now: Timestamp) -> ApplicationStatus {
    let mut status = old.clone();
    status.sync.status = "Unknown".to_owned();
    let mut conditions = kept_conditions(old, &[DRIFT_WARNING, EXCLUDED_WARNING]);
    conditions.push((COMPARISON_ERROR, message.to_owned()));
    set_conditions(&mut status, conditions, now);
    stamp(old, &mut status, now);
    status
}

/// What was found to be other than git says, and is put right.
pub fn drifted(old: &ApplicationStatus, findings: &[String], now: Timestamp) -> ApplicationStatus {
    let mut status = old.clone();
    let others = [COMPARISON_ERROR, SYNC_ERROR, EXCLUDED_WARNING];
    let mut conditions = kept_conditions(old, &others);
    conditions.extend(findings.iter().take(LISTED).map(|finding| (DRIFT_WARNING, finding.clone())));
    set_conditions(&mut status, conditions, now);
    stamp(old, &mut status, now);
    status
}

/// Recomputes the health of the objects that `changed` names, and from it that of the whole.
pub fn refresh_health(
    status: &mut ApplicationStatus,
    live: impl Fn(&ObjectKey) -> Option<Value>,
    changed: impl Fn(&ObjectKey) -> bool,
) {
    for resource in &mut status.resources {
        let Some(key) = tracking::key_of(resource).filter(|key| changed(key)) else { continue };
        let judged = live(&key).map_or_else(Health::missing, |object| health(key.kind, &object));
        resource.health = Some(judged.into());
    }
    let known = status.resources.iter().filter_map(|r| r.health.as_ref()).map(level);
    status.health.status = known.max().unwrap_or_default().to_string();
}

/// Reads a level back from its word.
fn level(health: &HealthStatus) -> Level {
    let all = [Level::Healthy, Level::Suspended, Level::Progressing, Level::Missing, Level::Degraded];
    all.into_iter().find(|level| level.to_string() == health.status).unwrap_or(Level::Unknown)
}

fn resources(keys: &[ObjectKey]) -> Vec<ResourceStatus> {
    let mut keys: Vec<&ObjectKey> = keys.iter().collect();
    keys.sort_by(|a, b| super::order::compare(a, b));
    let entry = |key: &&ObjectKey| ResourceStatus {
        group: key.kind.group.to_owned(),
        version: key.kind.version.to_owned(),
        kind: key.kind.kind.to_owned(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        status: SYNCED.to_owned(),
        health: None,
        requires_pruning: false,
    };
    keys.iter().map(entry).collect()
}

/// Puts `next` in the place of `resources`, with the health that is known. Gives the objects whose health is not.
fn carry_health(resources: &mut Vec<ResourceStatus>, next: Vec<ResourceStatus>) -> HashSet<ObjectKey> {
    let old = std::mem::replace(resources, next);
    let known: HashMap<ObjectKey, Option<HealthStatus>> =
        old.into_iter().filter_map(|r| Some((tracking::key_of(&r)?, r.health))).collect();
    let mut unknown = HashSet::new();
    for resource in resources {
        let Some(key) = tracking::key_of(resource) else { continue };
        match known.get(&key) {
            Some(Some(health)) => resource.health = Some(health.clone()),
            _ => drop(unknown.insert(key)),
        }
    }
    unknown
}

fn listed(errors: &[SourceError]) -> Vec<String> {
    let mut messages: Vec<String> = errors.iter().take(LISTED).map(ToString::to_string).collect();
    if errors.len() > LISTED {
        messages.push(format!("and {} more errors", errors.len() - LISTED));
    }
    messages
}

fn kept_conditions<'a>(old: &'a ApplicationStatus, kinds: &[&'static str]) -> Vec<(&'static str, String)> {
    let find = |c: &'a ApplicationCondition| Some((*kinds.iter().find(|k| **k == c.type_)?, c.message.clone()));
    old.conditions.iter().filter_map(find).collect()
}

/// A condition that was there already keeps its time.
pub fn set_conditions(status: &mut ApplicationStatus, now_true: Vec<(&'static str, String)>, now: Timestamp) {
    let mut since: BTreeMap<(String, String), Option<String>> = BTreeMap::new();
    for old in status.conditions.drain(..) {
        since.insert((old.type_, old.message), old.last_transition_time);
    }
    status.conditions = now_true
        .into_iter()
        .map(|(type_, message)| {
            let known = since.remove(&(type_.to_owned(), message.clone())).flatten();
            let last_transition_time = Some(known.unwrap_or_else(|| rfc3339(now)));
            ApplicationCondition { type_: type_.to_owned(), message, last_transition_time }
        })
        .collect();
}

/// `reconciledAt` moves only when something else does.
fn stamp(old: &ApplicationStatus, status: &mut ApplicationStatus, now: Timestamp) {
    if status != old {
        status.reconciled_at = Some(rfc3339(now));
    }
}
