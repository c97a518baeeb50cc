//! A pod in one word: of all that its containers report, what says most about why it is where it is.

use jiff::Timestamp;
use serde_json::Value;

use super::{age, list};

pub struct Summary {
    /// `Running`, `CrashLoopBackOff`, `Init:0/1`, `Terminating`.
    pub word: String,
    pub ready: usize,
    /// Containers that run as long as the pod does: sidecars count, other init containers don't.
    pub containers: usize,
    pub restarts: i64,
    pub last_restart: Option<Timestamp>,
}

pub fn summary(pod: &Value) -> Summary {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let sidecars = list(&spec["initContainers"]).iter().filter(|c| is_sidecar(c)).count();
    let mut summary = Summary {
        word: word_of_pod(status),
        ready: 0,
        containers: list(&spec["containers"]).len() + sidecars,
        restarts: 0,
        last_restart: None,
    };
    let initialized = list(&status["conditions"]).iter().any(|c| c["type"] == "Initialized" && c["status"] == "True");
    let initializing = initialization(pod, &mut summary);
    if !initializing || initialized {
        containers(pod, &mut summary);
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        if status["reason"] == "NodeLost" {
            summary.word = "Unknown".to_owned();
        } else if status["phase"] != "Succeeded" && status["phase"] != "Failed" {
            summary.word = "Terminating".to_owned();
        }
    }
    summary
}

/// What the pod as a whole says, before its containers are asked.
fn word_of_pod(status: &Value) -> String {
    let gated = |c: &&Value| c["type"] == "PodScheduled" && c["reason"] == "SchedulingGated";
    if list(&status["conditions"]).iter().any(|c| gated(&c)) {
        return "SchedulingGated".to_owned();
    }
    let words = [&status["reason"], &status["phase"]].map(|word| word.as_str().unwrap_or_default());
    words.into_iter().find(|word| !word.is_empty()).unwrap_or_default().to_owned()
}

/// Goes through the init containers up to the first that is not done; says whether there is one.
fn initialization(pod: &Value, summary: &mut Summary) -> bool {
    let specs = list(&pod["spec"]["initContainers"]);
    let statuses = list(&pod["status"]["initContainerStatuses"]);
    for (index, status) in statuses.iter().enumerate() {
        count_restarts(status, summary);
        let sidecar = specs.iter().any(|spec| spec["name"] == status["name"] && is_sidecar(spec));
        let terminated = &status["state"]["terminated"];
        if terminated["exitCode"] == 0 {
            continue;
        }
        if sidecar && status["started"] == true {
            summary.ready += usize::from(status["ready"] == true);
            continue;
        }
        let waiting = status["state"]["waiting"]["reason"].as_str().unwrap_or_default();
        summary.word = if terminated.is_object() {
            format!("Init:{}", end(terminated))
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{index}/{}", specs.len())
        };
        return true;
    }
    false
}

/// The word of the first container that has one; restarts of init containers that ended no longer count.
fn containers(pod: &Value, summary: &mut Summary) {
    (summary.restarts, summary.last_restart) = (0, None);
    let specs = list(&pod["spec"]["initContainers"]);
    for status in list(&pod["status"]["initContainerStatuses"]) {
        if specs.iter().any(|spec| spec["name"] == status["name"] && is_sidecar(spec)) {
            count_restarts(status, summary);
        }
    }
    let mut running = false;
    for status in list(&pod["status"]["containerStatuses"]).iter().rev() {
        count_restarts(status, summary);
        let state = &status["state"];
        let waiting = state["waiting"]["reason"].as_str().unwrap_or_default();
        if !waiting.is_empty() {
            summary.word = waiting.to_owned();
        } else if state["terminated"].is_object() {
            summary.word = end(&state["terminated"]);
        } else if status["ready"] == true && state["running"].is_object() {
            running = true;
            summary.ready += 1;
        }
    }
    // One container that completed does not make a pod complete whose others run on.
    if summary.word == "Completed" && running {
        let ready = |c: &Value| c["type"] == "Ready" && c["status"] == "True";
        let word = if list(&pod["status"]["conditions"]).iter().any(ready) { "Running" } else { "NotReady" };
        summary.word = word.to_owned();
    }
}

fn count_restarts(status: &Value, summary: &mut Summary) {
    summary.restarts += status["restartCount"].as_i64().unwrap_or(0);
    let finished = age::parse(&status["lastState"]["terminated"]["finishedAt"]);
    summary.last_restart = summary.last_restart.max(finished);
}

fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

/// How a container ended: its reason, or the signal or exit code where there is no reason.
fn end(terminated: &Value) -> String {
    let number = |field: &str| terminated[field].as_i64().unwrap_or(0);
    match terminated["reason"].as_str() {
        Some(reason) if !reason.is_empty() => reason.to_owned(),
        _ if number("signal") != 0 => format!("Signal:{}", number("signal")),
        _ => format!("ExitCode:{}", number("exitCode")),
    }
}
