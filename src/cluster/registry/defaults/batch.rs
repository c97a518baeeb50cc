//! Defaults of Jobs and CronJobs, and the labels by which a Job knows its pods.

use serde_json::{Value, json};

use super::{fill, items, present, workload};

const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];

pub fn job(job: &mut Value) {
    let spec = &mut job["spec"];
    job_spec(spec);
    // No count at all means one pod; a number of workers without a count means a work queue.
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        spec["completions"] = json!(1);
    }
    fill(spec, "parallelism", || 1);
    let retries = if spec["backoffLimitPerIndex"].is_null() { 6 } else { i32::MAX };
    fill(spec, "backoffLimit", || retries);
    fill(spec, "completionMode", || "NonIndexed");
    fill(spec, "suspend", || false);
    fill(spec, "manualSelector", || false);
    let replacement = if spec["podFailurePolicy"].is_null() { "TerminatingOrFailed" } else { "Failed" };
    fill(spec, "podReplacementPolicy", || replacement);
    labels_of_template(job);
    fill(job, "status", || json!({}));
}

/// A Job without labels has those of its pods.
fn labels_of_template(job: &mut Value) {
    let labels = job["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object() {
        fill(&mut job["metadata"], "labels", || labels);
    }
}

/// Gives a new Job the selector by its uid, and its pods the labels that this selects, unless the Job says that it
/// brings its own.
pub fn begin_job(job: &mut Value) {
    if job["spec"]["manualSelector"] != true {
        let [name, uid] = ["name", "uid"].map(|f| json!(job["metadata"][f].as_str().unwrap_or_default()));
        let labels = &mut job["spec"]["template"]["metadata"]["labels"];
        for (keys, value) in [(NAME_LABELS, &name), (UID_LABELS, &uid)] {
            for key in keys {
                fill(labels, key, || value.clone());
            }
        }
        fill(&mut job["spec"]["selector"]["matchLabels"], UID_LABELS[1], || uid);
    }
    labels_of_template(job);
    job["status"] = json!({});
}

pub fn cron_job(cron_job: &mut Value) {
    let spec = &mut cron_job["spec"];
    fill(spec, "concurrencyPolicy", || "Allow");
    fill(spec, "suspend", || false);
    fill(spec, "successfulJobsHistoryLimit", || 3);
    fill(spec, "failedJobsHistoryLimit", || 1);
    fill(&mut spec["jobTemplate"], "metadata", || json!({}));
    job_spec(&mut spec["jobTemplate"]["spec"]);
    fill(cron_job, "status", || json!({}));
}

/// What holds for Jobs and for the template of a CronJob alike.
fn job_spec(spec: &mut Value) {
    workload::template(&mut spec["template"]);
    let rules = present(spec, "podFailurePolicy").into_iter();
    for rule in rules.filter_map(|policy| policy.get_mut("rules")?.as_array_mut()).flatten() {
        for pattern in items(rule, "onPodConditions") {
            fill(pattern, "status", || "True");
        }
    }
}
