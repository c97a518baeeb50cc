//! The Application's status, computed from the one before and what happened. Nothing here reads a clock, and a
//! sync that changed nothing gives back the status that it was given, so that a restart writes nothing. Pure.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::Value;

use super::mirror::Commit;
use super::outcome::{self, Entry};
use super::tracking;
use super::trigger::Trigger;
use super::upstream::Position;
use super::waves::Record;
use crate::diff::health::{Health, Level, health};
use crate::diff::plan::SourceError;
use crate::object::ObjectKey;
use crate::object::application::{
    ApplicationCondition, ApplicationSpec, ApplicationStatus, ComparedTo, HealthStatus, HistoryEntry, InitiatedBy,
    Operation, OperationState, ResourceResult, ResourceStatus, SyncResult, SyncStatus,
};
use crate::object::clock::{rfc3339, rfc3339_micro};
use crate::object::custom::Kinds;

pub const SYNCED: &str = "Synced";
pub const OUT_OF_SYNC: &str = "OutOfSync";
/// Manifests cannot be read, or the repository cannot.
pub const COMPARISON_ERROR: &str = "ComparisonError";
/// Manifests can be read, and the cluster refuses them.
pub const SYNC_ERROR: &str = "SyncError";
/// Something in the repository is not deployed, on purpose.
pub const EXCLUDED_WARNING: &str = "ExcludedResourceWarning";
/// Another Application declares the same object.
pub const SHARED_WARNING: &str = "SharedResourceWarning";
/// Somebody changed an object behind git's back.
pub const DRIFT_WARNING: &str = "DriftWarning";

/// The spec asks for what cannot be done.
pub const INVALID_SPEC: &str = "InvalidSpecError";

const ALL_BUT_DRIFT: [&str; 4] = [COMPARISON_ERROR, SYNC_ERROR, EXCLUDED_WARNING, SHARED_WARNING];
/// Errors that are listed one by one; a status is read by people.
pub const LISTED: usize = 20;

/// What the sources declare, held against the cluster.
pub struct Compared<'a> {
    pub kinds: &'a Kinds,
    pub commit: &'a Commit,
    /// One a source, where there are several.
    pub revisions: &'a [String],
    pub spec: &'a ApplicationSpec,
    pub entries: &'a [Entry],
    pub warnings: &'a [String],
    /// Objects that other Applications declare too.
    pub shared: &'a [String],
    pub images: Vec<String>,
    pub now: Timestamp,
}

/// A commit that is in the cluster now.
pub struct Deployed<'a> {
    pub compared: Compared<'a>,
    /// The commit declares what the one that is deployed declares: it is no release.
    pub is_unmoved: bool,
    /// What somebody asked for, if this is the answer.
    pub operation: Option<&'a Operation>,
    pub trigger: &'a Trigger,
    pub started: Timestamp,
    /// Failures before this success.
    pub retries: i64,
    /// What this sync changed; empty when everything was in place.
    pub results: Vec<ResourceResult>,
    pub history_limit: usize,
}

/// What is known after a look that wrote nothing: the Application is not synced by itself.
pub fn compared<'a>(
    old: &ApplicationStatus,
    live: impl Fn(&ObjectKey) -> Option<Cow<'a, Value>>,
    compared: &Compared,
) -> ApplicationStatus {
    let mut status = old.clone();
    let unknown = compare(&mut status, compared);
    let mut now = kept_conditions(old, &[DRIFT_WARNING]);
    now.extend(compared.warnings.iter().take(LISTED).map(|warning| (EXCLUDED_WARNING, warning.clone())));
    now.extend(compared.shared.iter().take(LISTED).map(|warning| (SHARED_WARNING, warning.clone())));
    set_conditions(&mut status, now, compared.now);
    refresh_health(compared.kinds, &mut status, live, |key| unknown.contains(key), compared.now);
    stamp(old, &mut status, compared.now);
    status
}

/// Writes down what was compared; gives the objects whose health is not known yet.
fn compare(status: &mut ApplicationStatus, compared: &Compared) -> HashSet<ObjectKey> {
    let Compared { commit, revisions, spec, entries, .. } = compared;
    let is_synced = entries.iter().all(|entry| entry.is_synced);
    status.sync = SyncStatus {
        status: if is_synced { SYNCED } else { OUT_OF_SYNC }.to_owned(),
        revision: commit.id.to_string(),
        revisions: revisions.to_vec(),
        compared_to: Some(ComparedTo {
            source: spec.source.clone(),
            sources: spec.sources.clone(),
            destination: spec.destination.clone(),
            ignore_differences: spec.ignore_differences.clone(),
        }),
    };
    status.source_type = "Directory".to_owned();
    status.summary.images.clone_from(&compared.images);
    carry_health(compared.kinds, &mut status.resources, resources(entries))
}

/// `live` gives the objects as the sync leaves them, `touched` tells which of them it looked at: the health of the
/// others is as it was.
pub fn deployed<'a>(
    old: &ApplicationStatus,
    live: impl Fn(&ObjectKey) -> Option<Cow<'a, Value>>,
    touched: impl Fn(&ObjectKey) -> bool,
    sync: Deployed,
) -> ApplicationStatus {
    let mut status = old.clone();
    let Deployed { compared, is_unmoved, operation, trigger, started, retries, results, history_limit } = sync;
    let (commit, finished) = (compared.commit, compared.now);
    let revision = commit.id.to_string();
    let unknown = compare(&mut status, &compared);
    let automated = operation.is_none() && trigger.is_automated();
    let username = operation.map(|operation| operation.initiated_by.username.clone()).unwrap_or_default();
    let is_other = |last: &HistoryEntry| {
        let is_elsewhere = last.source != compared.spec.source || last.sources != compared.spec.sources;
        last.revision != revision || last.revisions != compared.revisions || operation.is_some() && is_elsewhere
    };
    let is_new = old.history.last().is_none_or(|last| is_other(last) && !is_unmoved);
    if is_new {
        let id = old.history.last().map_or(0, |last| last.id + 1);
        status.history.push(HistoryEntry {
            id,
            revision: revision.clone(),
            revisions: compared.revisions.to_vec(),
            deployed_at: Some(rfc3339_micro(finished)),
            deploy_started_at: Some(rfc3339_micro(started)),
            source: compared.spec.source.clone(),
            sources: compared.spec.sources.clone(),
            initiated_by: InitiatedBy { automated, username },
            author: commit.author.clone(),
            subject: commit.subject.clone(),
            trigger: trigger.to_string(),
            duration: format!(
                "{:#}",
                finished.duration_since(started).round(jiff::Unit::Millisecond).unwrap_or_default()
            ),
        });
        let excess = status.history.len().saturating_sub(history_limit);
        status.history.drain(..excess);
    }
    // A request that was refused has no result, and says nothing of the commit.
    let recovered = old.operation_state.as_ref().is_none_or(|op| op.phase != "Succeeded" && op.sync_result.is_some());
    if is_new || recovered || operation.is_some() || !results.is_empty() {
        let changed = outcome::changes(&results);
        let declared = compared.entries.iter().filter(|entry| !entry.requires_pruning).count();
        status.operation_state = Some(OperationState {
            operation: operation.cloned(),
            phase: "Succeeded".to_owned(),
            message: format!("{} as commit {} says, {changed} changed", are(declared), commit.short()),
            started_at: Some(rfc3339(started)),
            finished_at: Some(rfc3339(finished)),
            retry_count: retries,
            sync_result: Some(SyncResult {
                revision,
                revisions: compared.revisions.to_vec(),
                source: compared.spec.source.clone(),
                sources: compared.spec.sources.clone(),
                resources: results,
            }),
        });
    }
    let mut now = if is_new { Vec::new() } else { kept_conditions(old, &[DRIFT_WARNING]) };
    now.extend(compared.warnings.iter().take(LISTED).map(|warning| (EXCLUDED_WARNING, warning.clone())));
    now.extend(compared.shared.iter().take(LISTED).map(|warning| (SHARED_WARNING, warning.clone())));
    set_conditions(&mut status, now, finished);
    refresh_health(compared.kinds, &mut status, live, |key| unknown.contains(key) || touched(key), finished);
    stamp(old, &mut status, finished);
    status
}

/// `1 object is`, `7 objects are`
fn are(objects: usize) -> String {
    if objects == 1 { "1 object is".to_owned() } else { format!("{objects} objects are") }
}

/// Whether two states differ in nothing but how far the repository was when somebody looked.
pub fn says_same(old: &ApplicationStatus, new: &ApplicationStatus) -> bool {
    let sync =
        SyncStatus { status: new.sync.status.clone(), compared_to: new.sync.compared_to.clone(), ..old.sync.clone() };
    ApplicationStatus { sync, reconciled_at: old.reconciled_at.clone(), ..new.clone() } == *old
}

/// A sync of several steps that is under way.
#[derive(Clone)]
pub struct Advanced<'a> {
    pub commit: &'a Commit,
    pub revisions: Vec<String>,
    pub spec: &'a ApplicationSpec,
    /// What somebody asked for, if this is the answer.
    pub operation: Option<Operation>,
    pub record: &'a Record,
    /// What it waits for.
    pub message: &'a str,
    pub retries: i64,
    pub now: Timestamp,
}

pub fn advanced(old: &ApplicationStatus, advanced: &Advanced) -> ApplicationStatus {
    let Advanced { commit, revisions, spec, operation, record, message, retries, now } = advanced;
    let mut status = old.clone();
    status.operation_state = Some(OperationState {
        operation: operation.clone(),
        phase: "Running".to_owned(),
        message: (*message).to_owned(),
        started_at: Some(record.started_at()),
        finished_at: None,
        retry_count: *retries,
        sync_result: Some(SyncResult {
            revision: commit.id.to_string(),
            revisions: revisions.clone(),
            source: spec.source.clone(),
            sources: spec.sources.clone(),
            resources: record.results.clone(),
        }),
    });
    if status.operation_state == old.operation_state {
        return status;
    }
    stamp(old, &mut status, *now);
    status
}

/// A commit that is not deployed, and why: what was deployed before stays.
pub struct Refused<'a> {
    pub commit: &'a Commit,
    pub condition: &'static str,
    pub errors: &'a [SourceError],
    /// What somebody asked for, if this is the answer.
    pub operation: Option<&'a Operation>,
    pub started: Timestamp,
    pub now: Timestamp,
    pub retries: i64,
}

pub fn refused(old: &ApplicationStatus, refused: &Refused) -> ApplicationStatus {
    let mut status = old.clone();
    let revision = refused.commit.id.to_string();
    status.sync.status = OUT_OF_SYNC.to_owned();
    status.sync.revision.clone_from(&revision);
    let messages = listed(refused.errors);
    let last = old.operation_state.as_ref().and_then(|op| op.sync_result.as_ref()).map(|r| r.revision.as_str());
    let message = in_short(refused.errors);
    let same = old.operation_state.as_ref().is_some_and(|op| op.phase == "Failed" && op.message == message);
    if !same || last != Some(&revision) || refused.operation.is_some() {
        // What its steps have done stays to be seen.
        let begun = old.operation_state.as_ref().filter(|op| op.phase == "Running" && last == Some(&revision));
        let sync_result = begun.and_then(|op| op.sync_result.clone());
        status.operation_state = Some(OperationState {
            operation: refused.operation.cloned().or_else(|| begun.and_then(|op| op.operation.clone())),
            phase: "Failed".to_owned(),
            message,
            started_at: begun.and_then(|op| op.started_at.clone()).or_else(|| Some(rfc3339(refused.started))),
            finished_at: Some(rfc3339(refused.now)),
            retry_count: refused.retries,
            sync_result: Some(sync_result.unwrap_or_else(|| SyncResult { revision, ..SyncResult::default() })),
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
    let mut conditions = kept_conditions(old, &[DRIFT_WARNING, EXCLUDED_WARNING, SHARED_WARNING]);
    conditions.push((COMPARISON_ERROR, message.to_owned()));
    set_conditions(&mut status, conditions, now);
    stamp(old, &mut status, now);
    status
}

/// The spec asks for what cannot be done: nothing is compared, and what is deployed stays.
pub fn invalid(old: &ApplicationStatus, wrong: &[String], now: Timestamp) -> ApplicationStatus {
    let mut status = old.clone();
    status.sync.status = "Unknown".to_owned();
    let conditions = wrong.iter().take(LISTED).map(|fault| (INVALID_SPEC, fault.clone())).collect();
    set_conditions(&mut status, conditions, now);
    stamp(old, &mut status, now);
    status
}

/// A hook of the Application's end has failed.
pub fn ending_failed(old: &ApplicationStatus, why: &str, now: Timestamp) -> ApplicationStatus {
    let mut status = old.clone();
    if let Some(state) = &mut status.operation_state {
        state.phase = "Failed".to_owned();
        state.message = why.to_owned();
        state.finished_at = Some(rfc3339(now));
    }
    stamp(old, &mut status, now);
    status
}

/// The Application is to go, and its objects cannot be deleted.
pub fn undeletable(old: &ApplicationStatus, why: &str, now: Timestamp) -> ApplicationStatus {
    let mut status = old.clone();
    set_conditions(&mut status, vec![("DeletionError", why.to_owned())], now);
    stamp(old, &mut status, now);
    status
}

/// The repositories moved to other commits that change nothing of the Application.
pub fn passed(old: &ApplicationStatus, positions: &[Position], now: Timestamp) -> ApplicationStatus {
    let mut status = old.clone();
    if status.sync.status == "Unknown" {
        return status;
    }
    let commits: Vec<String> = positions.iter().map(|position| position.commit.to_string()).collect();
    if let Some(first) = commits.first() {
        status.sync.revision.clone_from(first);
    }
    if commits.len() > 1 {
        status.sync.revisions = commits;
    }
    stamp(old, &mut status, now);
    status
}

/// Objects that are other than git says and are left so, since nobody asked for more than to know.
pub fn out_of_sync(
    kinds: &Kinds,
    old: &ApplicationStatus,
    keys: &HashSet<ObjectKey>,
    findings: &[String],
    now: Timestamp,
) -> ApplicationStatus {
    let mut status = drifted(old, findings, now);
    status.sync.status = OUT_OF_SYNC.to_owned();
    for resource in &mut status.resources {
        if tracking::key_of(kinds, resource).is_some_and(|key| keys.contains(&key)) {
            resource.status = OUT_OF_SYNC.to_owned();
        }
    }
    stamp(old, &mut status, now);
    status
}

/// Objects that are as git says again.
pub fn in_sync(kinds: &Kinds, old: &ApplicationStatus, keys: &HashSet<ObjectKey>, now: Timestamp) -> ApplicationStatus {
    let mut status = old.clone();
    let mut is_changed = false;
    for resource in status.resources.iter_mut().filter(|resource| resource.status == OUT_OF_SYNC) {
        if !resource.requires_pruning && tracking::key_of(kinds, resource).is_some_and(|key| keys.contains(&key)) {
            resource.status = SYNCED.to_owned();
            is_changed = true;
        }
    }
    if is_changed && status.resources.iter().all(|resource| resource.status == SYNCED) {
        status.sync.status = SYNCED.to_owned();
        let conditions = kept_conditions(old, &ALL_BUT_DRIFT);
        set_conditions(&mut status, conditions, now);
    }
    stamp(old, &mut status, now);
    status
}

/// What was found to be other than git says, and is put right.
pub fn drifted(old: &ApplicationStatus, findings: &[String], now: Timestamp) -> ApplicationStatus {
    let mut status = old.clone();
    let mut conditions = kept_conditions(old, &ALL_BUT_DRIFT);
    conditions.extend(findings.iter().take(LISTED).map(|finding| (DRIFT_WARNING, finding.clone())));
    set_conditions(&mut status, conditions, now);
    stamp(old, &mut status, now);
    status
}

/// Recomputes the health of the objects that `changed` names, and from it that of the whole.
pub fn refresh_health<'a>(
    kinds: &Kinds,
    status: &mut ApplicationStatus,
    live: impl Fn(&ObjectKey) -> Option<Cow<'a, Value>>,
    changed: impl Fn(&ObjectKey) -> bool,
    now: Timestamp,
) {
    for resource in &mut status.resources {
        let Some(key) = tracking::key_of(kinds, resource).filter(|key| changed(key)) else { continue };
        let object = live(&key);
        let is_ignored = object.as_ref().is_some_and(|object| tracking::health_ignored(object));
        let judged = object.map_or_else(Health::missing, |object| health(key.kind, &object));
        resource.health = (!is_ignored).then(|| judged.into());
    }
    let known = status.resources.iter().filter(|r| !r.hook).filter_map(|r| r.health.as_ref()).map(level);
    let whole = known.max().unwrap_or_default().to_string();
    if status.health.status != whole {
        status.health =
            HealthStatus { status: whole, message: String::new(), last_transition_time: Some(rfc3339(now)) };
    }
}

/// Reads a level back from its word.
fn level(health: &HealthStatus) -> Level {
    let all = [Level::Healthy, Level::Suspended, Level::Progressing, Level::Missing, Level::Degraded];
    all.into_iter().find(|level| level.to_string() == health.status).unwrap_or(Level::Unknown)
}

fn resources(entries: &[Entry]) -> Vec<ResourceStatus> {
    let mut entries: Vec<&Entry> = entries.iter().collect();
    entries.sort_by(|a, b| super::order::compare(&a.key, &b.key));
    let resource = |entry: &&Entry| ResourceStatus {
        group: entry.key.kind.group.to_owned(),
        version: entry.key.kind.version.to_owned(),
        kind: entry.key.kind.kind.to_owned(),
        namespace: entry.key.namespace.clone(),
        name: entry.key.name.clone(),
        status: if entry.is_synced { SYNCED } else { OUT_OF_SYNC }.to_owned(),
        health: None,
        hook: entry.is_hook,
        requires_pruning: entry.requires_pruning,
        requires_deletion_confirmation: false,
        sync_wave: entry.sync_wave,
    };
    entries.iter().map(resource).collect()
}

/// Puts `next` in the place of `resources`, with the health that is known. Gives the objects whose health is not.
fn carry_health(kinds: &Kinds, resources: &mut Vec<ResourceStatus>, next: Vec<ResourceStatus>) -> HashSet<ObjectKey> {
    let old = std::mem::replace(resources, next);
    let known: HashMap<ObjectKey, Option<HealthStatus>> =
        old.into_iter().filter_map(|r| Some((tracking::key_of(kinds, &r)?, r.health))).collect();
    let mut unknown = HashSet::new();
    for resource in resources {
        let Some(key) = tracking::key_of(kinds, resource) else { continue };
        match known.get(&key) {
            Some(Some(health)) => resource.health = Some(health.clone()),
            _ => drop(unknown.insert(key)),
        }
    }
    unknown
}

/// One message for all that is wrong.
pub fn in_short(errors: &[impl ToString]) -> String {
    match errors {
        [one] => one.to_string(),
        many => {
            format!("{} errors, the first: {}", many.len(), many.first().map(ToString::to_string).unwrap_or_default())
        }
    }
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
