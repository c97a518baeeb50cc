//! CronJobs: the schedule, its time zone, and the Jobs that come of it.

use serde_json::Value;

use super::field::{Findings, Path, text};
use super::job;
use crate::object::cron;

/// A Job's name is at most 63 long, of which `-` and the time take 11.
const NAME_CHARACTERS: usize = 52;
/// The longest part of a time zone's name.
const ZONE_PART: usize = 14;

pub fn create(cron_job: &Value, found: &mut Findings) {
    content(cron_job, None, found);
    let name = text(&cron_job["metadata"], "name");
    if name.len() > NAME_CHARACTERS {
        let why = format!("must be no more than {NAME_CHARACTERS} characters");
        found.invalid_text(Path::Root.child("metadata").child("name"), name, why);
    }
}

/// `old` is the object that is replaced.
pub fn content(cron_job: &Value, old: Option<&Value>, found: &mut Findings) {
    let spec = &cron_job["spec"];
    let old = old.map(|old| &old["spec"]);
    let at = Path::Root.child("spec");
    match text(spec, "schedule") {
        "" => found.required(at.child("schedule"), ""),
        _ => schedule(spec, old, at.child("schedule"), found),
    }
    found.not_negative(at.child("startingDeadlineSeconds"), &spec["startingDeadlineSeconds"]);
    if old.is_none_or(|old| old["timeZone"] != spec["timeZone"])
        && let Some(zone) = spec["timeZone"].as_str()
    {
        time_zone(zone, at.child("timeZone"), found);
    }
    found.one_of(at.child("concurrencyPolicy"), &spec["concurrencyPolicy"], &["Allow", "Forbid", "Replace"]);
    let template_at = at.child("jobTemplate");
    let job_at = template_at.child("spec");
    let job = &spec["jobTemplate"]["spec"];
    job::spec_of_job(job, job_at, found);
    if !job["selector"].is_null() {
        found.invalid(job_at.child("selector"), &job["selector"], "`selector` will be auto-generated");
    }
    if job["manualSelector"] == true {
        found.unsupported(job_at.child("manualSelector"), &job["manualSelector"], &["nil", "false"]);
    }
    for field in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        found.not_negative(at.child(field), &spec[field]);
    }
}

fn schedule(spec: &Value, old: Option<&Value>, at: Path<'_>, found: &mut Findings) {
    let schedule = text(spec, "schedule");
    if let Err(why) = cron::parse(schedule) {
        found.invalid_text(at, schedule, why);
    }
    if !schedule.contains("TZ") {
        return;
    }
    // Schedules that name a zone are from before there was a field for it.
    if !old.is_some_and(|old| text(old, "schedule").contains("TZ")) {
        found.invalid_text(at, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    } else if !spec["timeZone"].is_null() {
        found.invalid_text(at, schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
    }
}

fn time_zone(zone: &str, at: Path<'_>, found: &mut Findings) {
    if zone.is_empty() {
        return found.invalid_text(at, zone, "timeZone must be nil or non-empty string");
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
    let part = |part: &str| {
        (1..=ZONE_PART).contains(&part.len())
            && part.chars().all(legal)
            && !part.starts_with('-')
            && part != "."
            && part != ".."
    };
    let unknown = format!("unknown time zone {zone}");
    if !zone.split('/').all(part) {
        return found.invalid_text(at, zone, unknown);
    }
    if zone.eq_ignore_ascii_case("Local") {
        let why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        found.invalid_text(at, zone, why);
    }
    if !cron::is_zone(zone) {
        found.invalid_text(at, zone, unknown);
    }
}
