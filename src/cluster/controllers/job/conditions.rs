//! The conditions of a Job: the interim ones, which say how it is going to end, and the final ones. Pure.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{JobCondition, JobStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub const COMPLETE: &str = "Complete";
pub const FAILED: &str = "Failed";
pub const FAILURE_TARGET: &str = "FailureTarget";
pub const SUCCESS_CRITERIA_MET: &str = "SuccessCriteriaMet";
pub const SUSPENDED: &str = "Suspended";

/// How a Job has ended, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub well: bool,
    pub at: Option<Timestamp>,
}

/// `None` while the Job has not ended.
pub fn ended(status: Option<&JobStatus>) -> Option<Ended> {
    let of = |kind: &str| is_true(status?, kind);
    let condition = of(COMPLETE).or_else(|| of(FAILED))?;
    let at = condition.last_transition_time.as_ref().map(|t| t.0);
    Some(Ended { well: condition.type_ == COMPLETE, at })
}

pub fn is_true<'a>(status: &'a JobStatus, kind: &str) -> Option<&'a JobCondition> {
    status.conditions.iter().flatten().find(|c| c.type_ == kind && c.status == "True")
}

/// Sets a condition; true when that changes it. What is not there need not become false.
pub fn set(status: &mut JobStatus, kind: &str, holds: bool, (reason, message): (&str, &str), now: Timestamp) -> bool {
    let value = if holds { "True" } else { "False" };
    let conditions = status.conditions.get_or_insert_default();
    let new = JobCondition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    let same = |c: &JobCondition| c.status == new.status && c.reason == new.reason && c.message == new.message;
    let changes = match conditions.iter_mut().find(|c| c.type_ == kind) {
        Some(known) if same(known) => false,
        Some(known) => {
            *known = new;
            true
        }
        None if holds => {
            conditions.push(new);
            true
        }
        None => false,
    };
    if conditions.is_empty() {
        status.conditions = None;
    }
    changes
}
