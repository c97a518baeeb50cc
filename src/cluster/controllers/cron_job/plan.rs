//! Decides what one run does to a CronJob: which Jobs go, whether one is made, and what its status says. Pure.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, CronJobStatus, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::calendar;
use super::due::Past;
use crate::cluster::controllers::engine::Next;
use crate::cluster::controllers::events::Note;
use crate::cluster::controllers::job::{Ended, ended};
use crate::object::cron;

/// What a plan is computed from.
pub struct View<'a> {
    pub cron_job: Arc<CronJob>,
    /// The Jobs that the CronJob controls.
    pub jobs: Vec<Arc<Job>>,
    /// Whether a Job of this name exists, whoever's it is.
    pub taken: Box<dyn Fn(&str) -> bool + Send + 'a>,
    pub now: Timestamp,
}

pub struct Plan {
    /// Names of Jobs to delete.
    pub delete: Vec<String>,
    /// The time for which a Job is to be made. The one who makes it adds it to the active ones of `status`.
    pub create: Option<Timestamp>,
    pub status: CronJobStatus,
    pub notes: Vec<Note>,
    pub next: Next,
}

pub fn plan(view: &View<'_>) -> Plan {
    let status = view.cron_job.status.clone().unwrap_or_default();
    let mut work = Plan { delete: Vec::new(), create: None, status, notes: Vec::new(), next: Next::Done };
    let spec = view.cron_job.spec.clone().unwrap_or_default();
    work.clean_up(view, &spec);
    work.follow_jobs(view);
    if view.cron_job.metadata.deletion_timestamp.is_none() && !spec.suspend.unwrap_or(false) {
        work.start_due(view, &spec);
    }
    work
}

/// The name of the Job for a time.
pub fn job_name(cron_job: &str, scheduled: Timestamp) -> String {
    format!("{cron_job}-{}", scheduled.as_second().div_euclid(60))
}

/// The schedule and its zone. Schedules of old name their zone themselves, `TZ=…`.
pub fn timing(spec: &CronJobSpec) -> Result<(cron::Schedule, TimeZone), Note> {
    let named = spec.schedule.strip_prefix("TZ=").or_else(|| spec.schedule.strip_prefix("CRON_TZ="));
    let named = named.and_then(|rest| rest.split_whitespace().next());
    let zone = match spec.time_zone.as_deref().or(named) {
        None | Some("" | "UTC" | "Local") => TimeZone::UTC,
        Some(name) => TimeZone::get(name).map_err(|_| {
            Note::warning("UnknownTimeZone", format!("invalid timeZone: {name:?}: unknown time zone {name}"))
        })?,
    };
    let unreadable =
        |why| Note::warning("UnparseableSchedule", format!("unparseable schedule: {:?} : {why}", spec.schedule));
    Ok((cron::parse(&spec.schedule).map_err(unreadable)?, zone))
}

/// Since when a CronJob's schedule counts.
pub fn since(cron_job: &CronJob) -> Timestamp {
    let last = cron_job.status.as_ref().and_then(|status| status.last_schedule_time.as_ref());
    last.or(cron_job.metadata.creation_timestamp.as_ref()).map(|time| time.0).unwrap_or_default()
}

impl Plan {
    /// Deletes the oldest Jobs that have ended, beyond what is to be kept of each sort.
    fn clean_up(&mut self, view: &View<'_>, spec: &CronJobSpec) {
        for (well, limit) in [(true, spec.successful_jobs_history_limit), (false, spec.failed_jobs_history_limit)] {
            let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else { continue };
            let of_sort = |job: &&Arc<Job>| ended(job.status.as_ref()).is_some_and(|ended| ended.well == well);
            let mut jobs: Vec<&Arc<Job>> = view.jobs.iter().filter(of_sort).collect();
            jobs.sort_by_key(|job| {
                let started = job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0);
                // What never started counts as the youngest.
                (started.is_none(), started, job.metadata.name.clone())
            });
            for job in jobs.iter().rev().skip(limit).rev().filter(|job| job.metadata.deletion_timestamp.is_none()) {
                self.delete_job(name(job), uid(job));
            }
        }
    }

    fn delete_job(&mut self, name: &str, uid: &str) {
        self.delete.push(name.to_owned());
        self.drop_active(uid);
        self.notes.push(Note::normal("SuccessfulDelete", format!("Deleted job {name}")));
    }

    /// Keeps the list of active Jobs and the time of the last success.
    fn follow_jobs(&mut self, view: &View<'_>) {
        for job in &view.jobs {
            let (name, uid) = (name(job), uid(job));
            let known = self.is_active(uid);
            let Some(Ended { well, .. }) = ended(job.status.as_ref()) else {
                if !known && job.metadata.deletion_timestamp.is_none() {
                    let message = format!("Saw a job that the controller did not create or forgot: {name}");
                    self.notes.push(Note::warning("UnexpectedJob", message));
                }
                continue;
            };
            if known {
                self.drop_active(uid);
                let condition = if well { "Complete" } else { "Failed" };
                let message = format!("Saw completed job: {name}, condition: {condition}");
                self.notes.push(Note::normal("SawCompletedJob", message));
            }
            let completed = job.status.as_ref().and_then(|status| status.completion_time.clone());
            if let Some(at) = completed.filter(|_| well)
                && self.status.last_successful_time.as_ref().is_none_or(|last| last.0 < at.0)
            {
                self.status.last_successful_time = Some(at);
            }
        }
        let present: HashSet<&str> = view.jobs.iter().map(|job| uid(job)).collect();
        for missing in self.status.active.clone().unwrap_or_default() {
            let uid = missing.uid.unwrap_or_default();
            if !present.contains(uid.as_str()) {
                let name = missing.name.unwrap_or_default();
                self.notes.push(Note::normal("MissingJob", format!("Active job went missing: {name}")));
                self.drop_active(&uid);
            }
        }
    }

    fn is_active(&self, uid: &str) -> bool {
        self.status.active.iter().flatten().any(|job| job.uid.as_deref() == Some(uid))
    }

    fn drop_active(&mut self, uid: &str) {
        if let Some(active) = &mut self.status.active {
            active.retain(|job| job.uid.as_deref() != Some(uid));
        }
        self.status.active.take_if(|active| active.is_empty());
    }

    /// Makes the Job that is due, if one is and the policy lets it.
    fn start_due(&mut self, view: &View<'_>, spec: &CronJobSpec) {
        let (schedule, zone) = match timing(spec) {
            Ok(timing) => timing,
            Err(note) => return self.notes.push(note),
        };
        if spec.schedule.contains("TZ") {
            self.notes.push(Note::warning("UnsupportedSchedule", unsupported(&spec.schedule)));
        }
        let next = |after| calendar::next(&schedule, &zone, after);
        let past = Past { since: since(&view.cron_job), now: view.now, next: &next };
        let deadline = spec.starting_deadline_seconds.map(SignedDuration::from_secs);
        let due = match past.due(deadline) {
            Ok(due) => due,
            Err(why) => {
                let message = format!("invalid schedule: {} : {why}", spec.schedule);
                return self.notes.push(Note::warning("InvalidSchedule", message));
            }
        };
        self.next = past.wait().map_or(Next::Done, Next::After);
        let Some(at) = due.at else { return };
        if due.too_many {
            let message =
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.notes.push(Note::warning("TooManyMissedTimes", message));
        }
        if deadline.is_some_and(|deadline| view.now.duration_since(at) > deadline) {
            let time = at.strftime("%a, %d %b %Y %H:%M:%S +0000");
            self.notes.push(Note::warning("MissSchedule", format!("Missed scheduled time to start a job: {time}")));
            return;
        }
        let job = job_name(view.cron_job.metadata.name.as_deref().unwrap_or_default(), at);
        let done = self.status.last_schedule_time.as_ref().is_some_and(|last| last.0 == at);
        if done || self.status.active.iter().flatten().any(|active| active.name.as_ref() == Some(&job)) {
            return;
        }
        match spec.concurrency_policy.as_deref() {
            Some("Forbid") if self.status.active.is_some() => {
                let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
                return self.notes.push(Note::normal("JobAlreadyActive", message));
            }
            Some("Replace") => {
                for active in self.status.active.take().unwrap_or_default() {
                    self.delete_job(&active.name.unwrap_or_default(), &active.uid.unwrap_or_default());
                }
            }
            _ => {}
        }
        if (view.taken)(&job) {
            // Somebody else's; what is ours is among the active ones, or its time is.
            return;
        }
        self.create = Some(at);
        self.status.last_schedule_time = Some(Time(at));
        let later = Past { since: at, ..past };
        self.next = later.wait().map_or(Next::Done, Next::After);
    }
}

fn unsupported(schedule: &str) -> String {
    let more = "see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";
    format!("CRON_TZ or TZ used in schedule {schedule:?} is not officially supported, {more}")
}

fn name(job: &Job) -> &str {
    job.metadata.name.as_deref().unwrap_or_default()
}

fn uid(job: &Job) -> &str {
    job.metadata.uid.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-01T00:05:03Z";

    fn job(name: &str, condition: Option<&str>, started: &str) -> Value {
        let conditions: Vec<Value> = condition.into_iter().map(|c| json!({"type": c, "status": "True"})).collect();
        let completed = (condition == Some("Complete")).then_some(started);
        json!({"metadata": {"name": name, "uid": name}, "status": {"startTime": started, "completionTime": completed,
            "conditions": conditions}})
    }

    fn run(spec: Value, status: Value, jobs: &[Value]) -> Plan {
        let mut whole = json!({"schedule": "* * * * *", "jobTemplate": {}, "concurrencyPolicy": "Allow"});
        json_patch::merge(&mut whole, &spec);
        let cron_job = json!({"metadata": {"name": "cj", "creationTimestamp": "2026-01-01T00:03:30Z"}, "spec": whole,
            "status": status});
        let jobs = jobs.iter().map(|job| Arc::new(serde_json::from_value(job.clone()).unwrap())).collect();
        let cron_job = Arc::new(serde_json::from_value(cron_job).unwrap());
        plan(&View { cron_job, jobs, taken: Box::new(|_| false), now: NOW.parse().unwrap() })
    }

    fn active(names: &[&str]) -> Value {
        let active: Vec<Value> = names.iter().map(|name| json!({"name": name, "uid": name})).collect();
        json!({"active": active, "lastScheduleTime": "2026-01-01T00:04:00Z"})
    }

    #[test]
    fn what_is_due_is_made_as_the_policy_lets() {
        let running = [job("a", None, "2026-01-01T00:04:00Z")];
        let cases = [
            (json!({}), json!({}), &running[..0], true, ""),
            (json!({"suspend": true}), json!({}), &running[..0], false, ""),
            (json!({"timeZone": "Mars/Base"}), json!({}), &running[..0], false, "UnknownTimeZone"),
            (json!({"startingDeadlineSeconds": 2}), json!({}), &running[..0], false, ""),
            (json!({}), active(&["a"]), &running[..], true, ""),
            (json!({"concurrencyPolicy": "Forbid"}), active(&["a"]), &running[..], false, "JobAlreadyActive"),
            (json!({"concurrencyPolicy": "Replace"}), active(&["a"]), &running[..], true, "SuccessfulDelete"),
            (json!({}), json!({"lastScheduleTime": "2026-01-01T00:05:00Z"}), &running[..0], false, ""),
            (json!({"schedule": "0 0 31 2 *"}), json!({}), &running[..0], false, "InvalidSchedule"),
        ];
        for (spec, status, jobs, made, reason) in cases {
            let plan = run(spec.clone(), status, jobs);
            let due = "2026-01-01T00:05:00Z".parse().ok().filter(|_| made);
            assert_eq!(plan.create, due, "{spec}");
            let reasons: Vec<&str> = plan.notes.iter().map(|note| note.reason).collect();
            assert_eq!(reasons.join(" "), reason, "{spec}");
        }
    }

    #[test]
    fn jobs_that_end_are_noted_and_the_oldest_are_cleaned_up() {
        let jobs = [
            job("a", Some("Complete"), "2026-01-01T00:01:00Z"),
            job("b", Some("Complete"), "2026-01-01T00:02:00Z"),
            job("c", Some("Failed"), "2026-01-01T00:03:00Z"),
        ];
        let spec = json!({"suspend": true, "successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 1});
        let plan = run(spec, active(&["b", "c", "gone"]), &jobs);
        assert_eq!(plan.delete, ["a"]);
        assert_eq!(plan.status.active, None);
        assert_eq!(plan.status.last_successful_time.unwrap().0.to_string(), "2026-01-01T00:02:00Z");
        let messages: Vec<&str> = plan.notes.iter().map(|note| note.message.as_str()).collect();
        let want = [
            "Deleted job a",
            "Saw completed job: b, condition: Complete",
            "Saw completed job: c, condition: Failed",
            "Active job went missing: gone",
        ];
        assert_eq!(messages, want);
    }

    #[test]
    fn many_missed_times_are_warned_of() {
        let plan = run(json!({"schedule": "@every 1s"}), json!({"lastScheduleTime": "2026-01-01T00:00:00Z"}), &[]);
        assert_eq!(plan.notes[0].reason, "TooManyMissedTimes");
        assert!(plan.create.is_some());
    }
}
