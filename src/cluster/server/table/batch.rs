//! Rows of Jobs and CronJobs.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::workload::{containers, selector};
use super::{age, list, text_or_none};

pub fn job(job: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&job["spec"], &job["status"]);
    let succeeded = status["succeeded"].as_i64().unwrap_or(0);
    // Without a number of completions, the work is done when the workers say so.
    let completions = match (spec["completions"].as_i64(), spec["parallelism"].as_i64()) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, Some(workers)) if workers > 1 => format!("{succeeded}/1 of {workers}"),
        (None, _) => format!("{succeeded}/1"),
    };
    let [names, images] = containers(&spec["template"]);
    vec![
        job["metadata"]["name"].clone(),
        json!(state(job)),
        json!(completions),
        json!(duration(status, now)),
        json!(age::since(&job["metadata"]["creationTimestamp"], now)),
        names,
        images,
        json!(selector(&spec["selector"])),
    ]
}

fn state(job: &Value) -> &'static str {
    let conditions = list(&job["status"]["conditions"]);
    let is = |name: &str| conditions.iter().any(|c| c["type"] == name && c["status"] == "True");
    let deleting = !job["metadata"]["deletionTimestamp"].is_null();
    let states = [
        ("Complete", is("Complete")),
        ("Failed", is("Failed")),
        ("Terminating", deleting),
        ("Suspended", is("Suspended")),
        ("FailureTarget", is("FailureTarget")),
        ("SuccessCriteriaMet", is("SuccessCriteriaMet")),
    ];
    states.into_iter().find(|(_, holds)| *holds).map_or("Running", |(state, _)| state)
}

/// How long the Job took, or has been at work.
fn duration(status: &Value, now: Timestamp) -> String {
    let Some(start) = age::parse(&status["startTime"]) else { return String::new() };
    let end = age::parse(&status["completionTime"]).unwrap_or(now);
    age::short(end.as_second() - start.as_second())
}

pub fn cron_job(cron_job: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&cron_job["spec"], &cron_job["status"]);
    let last = &status["lastScheduleTime"];
    let last = if last.is_null() { super::NONE.to_owned() } else { age::since(last, now) };
    let job = &spec["jobTemplate"]["spec"];
    let [names, images] = containers(&job["template"]);
    vec![
        cron_job["metadata"]["name"].clone(),
        super::text(&spec["schedule"]),
        text_or_none(&spec["timeZone"]),
        json!(if spec["suspend"] == true { "True" } else { "False" }),
        json!(list(&status["active"]).len()),
        json!(last),
        json!(age::since(&cron_job["metadata"]["creationTimestamp"], now)),
        names,
        images,
        json!(selector(&job["selector"])),
    ]
}

#[test]
fn a_job_without_completions_shows_its_workers() {
    let cells = |workers: i64| job(&json!({"spec": {"parallelism": workers}}), Timestamp::UNIX_EPOCH);
    assert_eq!(cells(3)[2], "0/1 of 3");
    assert_eq!(cells(1)[2], "0/1");
}
