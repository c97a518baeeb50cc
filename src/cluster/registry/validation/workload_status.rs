//! The status of workloads: counts that cannot be, and what of a Job's outcome cannot be taken back.

use serde_json::Value;

use super::field::{Findings, Path, list, text};
use super::job::is_indexed;
use super::job_policy::{count_indexes, intervals};
use crate::object::{Kind, kinds};

const ABOVE_REPLICAS: &str = "cannot be greater than status.replicas";

/// Whether the kind has rules for its status; the rest is judged as a whole.
pub fn judges(kind: &'static Kind) -> bool {
    kind == kinds::CRON_JOB || kind == kinds::JOB || !counts(kind).is_empty()
}

pub fn check(kind: &'static Kind, new: &Value, old: &Value, found: &mut Findings) {
    let at = Path::Root.child("status");
    let status = &new["status"];
    for field in counts(kind) {
        found.not_negative(at.child(field), &status[*field]);
    }
    for field in within(kind) {
        if number(status, field) > number(status, "replicas") {
            found.invalid_shown(at.child(field), &number(status, field).to_string(), ABOVE_REPLICAS);
        }
    }
    let (available, ready) = (number(status, "availableReplicas"), number(status, "readyReplicas"));
    let above_ready = match kind {
        k if k == kinds::STATEFUL_SET => "cannot be greater than status.readyReplicas",
        k if !within(k).is_empty() => "cannot be greater than readyReplicas",
        _ => "",
    };
    if available > ready && !above_ready.is_empty() {
        found.invalid_shown(at.child("availableReplicas"), &available.to_string(), above_ready);
    }
    let collisions = |object: &Value| object["status"]["collisionCount"].as_i64();
    if collisions(old).is_some_and(|was| collisions(new).is_none_or(|is| is < was)) {
        let is = collisions(new).unwrap_or(0).to_string();
        found.invalid_shown(at.child("collisionCount"), &is, "cannot be decremented");
    }
    if kind == kinds::JOB {
        job(new, at, found);
        job_change(new, old, at, found);
    }
}

/// Counts that are never negative, in the order in which they are judged.
fn counts(kind: &'static Kind) -> &'static [&'static str] {
    match kind {
        k if k == kinds::DEPLOYMENT => &[
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "collisionCount",
        ],
        k if k == kinds::REPLICA_SET || k == kinds::REPLICATION_CONTROLLER => {
            &["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"]
        }
        k if k == kinds::STATEFUL_SET => &[
            "replicas",
            "readyReplicas",
            "currentReplicas",
            "updatedReplicas",
            "availableReplicas",
            "observedGeneration",
            "collisionCount",
        ],
        k if k == kinds::DAEMON_SET => &[
            "currentNumberScheduled",
            "numberMisscheduled",
            "desiredNumberScheduled",
            "numberReady",
            "observedGeneration",
            "updatedNumberScheduled",
            "numberAvailable",
            "numberUnavailable",
            "collisionCount",
        ],
        k if k == kinds::JOB => &["active", "succeeded", "failed", "ready", "terminating"],
        k if k == kinds::AUTOSCALER => &["currentReplicas", "desiredReplicas"],
        k if k == kinds::DISRUPTION_BUDGET => {
            &["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"]
        }
        _ => &[],
    }
}

/// Counts that are not above the number of replicas.
fn within(kind: &'static Kind) -> &'static [&'static str] {
    match kind {
        k if k == kinds::DEPLOYMENT => &["updatedReplicas", "readyReplicas", "availableReplicas"],
        k if k == kinds::REPLICA_SET || k == kinds::REPLICATION_CONTROLLER => {
            &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"]
        }
        k if k == kinds::STATEFUL_SET => &["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"],
        _ => &[],
    }
}

fn number(status: &Value, field: &str) -> i64 {
    status[field].as_i64().unwrap_or(0)
}

/// Whether the Job's condition of this type holds.
fn is(job: &Value, condition: &str) -> bool {
    list(&job["status"], "conditions").iter().any(|c| text(c, "type") == condition && text(c, "status") == "True")
}

fn job(job: &Value, at: Path<'_>, found: &mut Findings) {
    let (spec, status) = (&job["spec"], &job["status"]);
    uncounted(&status["uncountedTerminatedPods"], at.child("uncountedTerminatedPods"), found);
    let (complete, failed) = (is(job, "Complete"), is(job, "Failed"));
    let (target, met) = (is(job, "FailureTarget"), is(job, "SuccessCriteriaMet"));
    let conditions = at.child("conditions");
    if complete && failed {
        found.invalid_omitted(conditions, "cannot set Complete=True and Failed=true conditions");
    }
    if complete && target {
        found.invalid_omitted(conditions, "cannot set Complete=True and FailureTarget=true conditions");
    }
    let (start, end) = (&status["startTime"], &status["completionTime"]);
    let end_at = at.child("completionTime");
    if !end.is_null() && !complete {
        found.invalid(end_at, end, "cannot set completionTime when there is no Complete=True condition");
    }
    if end.is_null() && complete {
        found.required(end_at, "completionTime is required for Complete jobs");
    }
    if start.as_str().zip(end.as_str()).is_some_and(|(start, end)| end < start) {
        found.invalid(end_at, end, "completionTime cannot be set before startTime");
    }
    if failed && !target {
        let why = "cannot set Failed=True condition without the FailureTarget=true condition";
        found.invalid_omitted(conditions, why);
    }
    if complete && !met {
        let why = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition";
        found.invalid_omitted(conditions, why);
    }
    if complete || failed {
        finished(status, at, found);
    }
    indexes(spec, status, at, found);
    if (complete || failed) && number(status, "terminating") > 0 {
        found.invalid(at.child("terminating"), &status["terminating"], "terminating>0 is invalid for finished job");
    }
    if number(status, "ready") > number(status, "active") {
        found.invalid(at.child("ready"), &status["ready"], "cannot set more ready pods than active");
    }
    if met && failed {
        found.invalid_omitted(conditions, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
    }
    if met && target {
        found.invalid_omitted(conditions, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
    }
    if !spec["successPolicy"].is_null() && !met && complete {
        let why = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
        found.invalid_omitted(conditions, why);
    }
}

/// What holds of the status of a Job that is over.
fn finished(status: &Value, at: Path<'_>, found: &mut Findings) {
    if number(status, "active") > 0 {
        found.invalid(at.child("active"), &status["active"], "active>0 is invalid for finished job");
    }
    if status["startTime"].is_null() {
        found.required(at.child("startTime"), "startTime is required for finished job");
    }
    let pods = &status["uncountedTerminatedPods"];
    let [succeeded, failed] = ["succeeded", "failed"].map(|field| list(pods, field));
    if !succeeded.is_empty() || !failed.is_empty() {
        let shown = |pods: &[Value]| match pods {
            [] => "null".to_owned(),
            pods => Value::from(pods).to_string(),
        };
        let given = format!("{{\"Succeeded\":{},\"Failed\":{}}}", shown(succeeded), shown(failed));
        let why = "uncountedTerminatedPods needs to be empty for finished job";
        found.invalid_shown(at.child("uncountedTerminatedPods"), &given, why);
    }
}

/// Pods that ended and are not counted yet; each stands there once.
fn uncounted(pods: &Value, at: Path<'_>, found: &mut Findings) {
    let mut seen = std::collections::BTreeSet::new();
    for field in ["succeeded", "failed"] {
        let at = at.child(field);
        for (index, uid) in list(pods, field).iter().enumerate() {
            match uid.as_str().unwrap_or_default() {
                "" => found.invalid_text(at.index(index), "", "must not be empty"),
                text if !seen.insert(text) => found.duplicate(at.index(index), uid),
                _ => {}
            }
        }
    }
}

fn indexes(spec: &Value, status: &Value, at: Path<'_>, found: &mut Findings) {
    let done = text(status, "completedIndexes");
    let (done_at, failed_at) = (at.child("completedIndexes"), at.child("failedIndexes"));
    let failed = status["failedIndexes"].as_str();
    let completions = spec["completions"].as_i64();
    let per_index = !spec["backoffLimitPerIndex"].is_null();
    if let Some(Err(why)) = completions.map(|n| count_indexes(done, n)) {
        found.invalid_text(done_at, done, format_args!("error parsing completedIndexes: {why}"));
    }
    if per_index
        && let (Some(failed), Some(completions)) = (failed, completions)
        && let Err(why) = count_indexes(failed, completions)
    {
        found.invalid_text(failed_at, failed, format_args!("error parsing failedIndexes: {why}"));
    }
    if !done.is_empty() && !is_indexed(spec) {
        let why = "cannot set non-empty completedIndexes when non-indexed completion mode";
        found.invalid_text(done_at, done, why);
    }
    let Some(failed) = failed else { return };
    if !per_index {
        let why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
        found.invalid_text(failed_at, failed, why);
    }
    // What cannot be read was refused above.
    let read = |text: &str| completions.and_then(|n| intervals(text, n).ok()).unwrap_or_default();
    let (done, failing) = (read(done), read(failed));
    let overlap = done.iter().find_map(|d| failing.iter().find(|f| d.0 <= f.1 && f.0 <= d.1).map(|f| d.0.max(f.0)));
    if let Some(index) = overlap {
        let why = format!("failedIndexes and completedIndexes overlap at index: {index}");
        found.invalid_text(failed_at, failed, why);
    }
}

/// What happened to a Job cannot be undone.
fn job_change(new: &Value, old: &Value, at: Path<'_>, found: &mut Findings) {
    let conditions = at.child("conditions");
    for condition in ["Failed", "Complete", "FailureTarget"] {
        if is(old, condition) && !is(new, condition) {
            found.invalid_omitted(conditions, format_args!("cannot disable the terminal {condition}=True condition"));
        }
    }
    let (now, before) = (&new["status"], &old["status"]);
    for field in ["failed", "succeeded"] {
        // An indexed Job that shrinks forgets successes.
        let may_shrink = field == "succeeded" && is_indexed(&new["spec"]);
        if number(now, field) < number(before, field) && !may_shrink {
            let why = format!("cannot decrease the {field} counter");
            found.invalid_shown(at.child(field), &number(now, field).to_string(), why);
        }
    }
    let (end, ended) = (&now["completionTime"], &before["completionTime"]);
    if !end.is_null() && !ended.is_null() && end != ended {
        found.invalid(at.child("completionTime"), end, "completionTime cannot be mutated");
    }
    let started = &before["startTime"];
    if !started.is_null() && *started != now["startTime"] && new["spec"]["suspend"] != true {
        found.required(at.child("startTime"), "startTime cannot be removed for unsuspended job");
    }
    let (met, was_met) = (is(new, "SuccessCriteriaMet"), is(old, "SuccessCriteriaMet"));
    if was_met && !met {
        found.invalid_omitted(conditions, "cannot disable the SuccessCriteriaMet=True condition");
    }
    if is(old, "Complete") && !was_met && met {
        let why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
        found.invalid_omitted(conditions, why);
    }
}
