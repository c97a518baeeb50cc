//! How well an object does, judged by what it says of itself: the rules and words that users of Argo CD know.
//! A kind without a rule is healthy once it exists.

use std::fmt;

use serde_json::Value;

use crate::object::Kind;
use crate::object::application::HealthStatus;

/// From best to worst: the health of many is the worst of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    #[default]
    Healthy,
    Suspended,
    Progressing,
    Missing,
    Degraded,
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    pub status: Level,
    pub message: String,
}

impl Health {
    pub fn new(status: Level, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The health of an object that should exist and does not.
    pub fn missing() -> Self {
        Self::new(Level::Missing, "")
    }

    fn progressing(message: impl Into<String>) -> Self {
        Self::new(Level::Progressing, message)
    }

    fn degraded(message: impl Into<String>) -> Self {
        Self::new(Level::Degraded, message)
    }

    /// The worst of many; of equally bad ones the first. Healthy when there are none.
    pub fn worst(of: impl IntoIterator<Item = Self>) -> Self {
        of.into_iter().fold(Self::default(), |worst, next| if next.status > worst.status { next } else { worst })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl From<Health> for HealthStatus {
    fn from(health: Health) -> Self {
        Self { status: health.status.to_string(), message: health.message, last_transition_time: None }
    }
}

/// What says nothing of an object's health and may be large.
pub const ASIDE: &[&[&str]] =
    &[&["metadata", "managedFields"], &["status", "resources"], &["status", "history"], &["status", "operationState"]];

/// Judges an object of a kind; it may lack what [`ASIDE`] names.
pub fn health(kind: &Kind, object: &Value) -> Health {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Health::progressing("being deleted");
    }
    let (spec, status) = (&object["spec"], &object["status"]);
    match (kind.group, kind.kind) {
        ("apps", "Deployment") => deployment(object, spec, status),
        ("apps", "ReplicaSet") => replica_set(object, spec, status),
        ("apps", "StatefulSet") => stateful_set(object, spec, status),
        ("apps", "DaemonSet") => daemon_set(object, spec, status),
        ("", "Pod") => pod(spec, status),
        ("", "Service") if spec["type"] == "LoadBalancer" => load_balancer(status),
        ("networking.k8s.io", "Ingress") => load_balancer(status),
        ("", "PersistentVolumeClaim") => claim(status),
        ("", "Node") => node(status),
        ("", "Namespace") if status["phase"] == "Terminating" => Health::progressing("being deleted"),
        ("batch", "Job") => job(spec, status),
        ("batch", "CronJob") => cron_job(spec, status),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(status),
        ("policy", "PodDisruptionBudget") => budget(status),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(status),
        ("argoproj.io", "Application") => application(status),
        _ => Health::default(),
    }
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// The controller has not seen the latest spec yet.
fn is_behind(object: &Value, status: &Value) -> bool {
    number(&status["observedGeneration"]) < number(&object["metadata"]["generation"])
}

fn behind() -> Health {
    Health::progressing("the latest change has not been acted on yet")
}

fn condition<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == name)
}

fn message(condition: &Value) -> String {
    condition["message"].as_str().unwrap_or_default().to_owned()
}

fn deployment(object: &Value, spec: &Value, status: &Value) -> Health {
    if spec["paused"] == true {
        return Health::new(Level::Suspended, "the Deployment is paused");
    }
    if is_behind(object, status) {
        return behind();
    }
    if let Some(condition) = condition(status, "Progressing")
        && condition["reason"] == "ProgressDeadlineExceeded"
    {
        return Health::degraded(message(condition));
    }
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let [all, updated, available] = ["replicas", "updatedReplicas", "availableReplicas"].map(|n| number(&status[n]));
    if updated < wanted {
        Health::progressing(format!("{updated} of {wanted} pods are of the latest template"))
    } else if all > updated {
        Health::progressing(format!("{} pods of an older template are still to go", all - updated))
    } else if available < updated {
        Health::progressing(format!("{available} of {updated} pods of the latest template are available"))
    } else {
        Health::default()
    }
}

fn replica_set(object: &Value, spec: &Value, status: &Value) -> Health {
    if is_behind(object, status) {
        return behind();
    }
    if let Some(condition) = condition(status, "ReplicaFailure")
        && condition["status"] == "True"
    {
        return Health::degraded(message(condition));
    }
    let (wanted, available) = (spec["replicas"].as_i64().unwrap_or(1), number(&status["availableReplicas"]));
    if available < wanted {
        return Health::progressing(format!("{available} of {wanted} pods are available"));
    }
    Health::default()
}

fn stateful_set(object: &Value, spec: &Value, status: &Value) -> Health {
    if is_behind(object, status) {
        return behind();
    }
    let (wanted, ready) = (spec["replicas"].as_i64().unwrap_or(1), number(&status["readyReplicas"]));
    if ready < wanted {
        return Health::progressing(format!("{ready} of {wanted} pods are ready"));
    }
    // Pods that are only replaced when somebody deletes them, and those below the partition, are meant to stay old.
    let strategy = &spec["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        return Health::default();
    }
    let to_update = wanted - number(&strategy["rollingUpdate"]["partition"]);
    let updated = number(&status["updatedReplicas"]);
    if to_update < wanted && updated < to_update {
        return Health::progressing(format!("{updated} of {to_update} pods are of the latest template"));
    }
    if to_update >= wanted && status["updateRevision"] != status["currentRevision"] {
        return Health::progressing(format!("{updated} of {wanted} pods are of the latest template"));
    }
    Health::default()
}

fn daemon_set(object: &Value, spec: &Value, status: &Value) -> Health {
    if is_behind(object, status) {
        return behind();
    }
    let wanted = number(&status["desiredNumberScheduled"]);
    let (updated, available) = (number(&status["updatedNumberScheduled"]), number(&status["numberAvailable"]));
    if spec["updateStrategy"]["type"] != "OnDelete" && updated < wanted {
        Health::progressing(format!("{updated} of {wanted} pods are of the latest template"))
    } else if available < wanted {
        Health::progressing(format!("{available} of {wanted} pods are available"))
    } else {
        Health::default()
    }
}

fn pod(spec: &Value, status: &Value) -> Health {
    let containers = || {
        let lists = ["initContainerStatuses", "containerStatuses"].into_iter();
        lists.flat_map(|name| status[name].as_array().into_iter().flatten())
    };
    let failure = containers().find_map(|container| {
        let waiting = &container["state"]["waiting"];
        let reason = waiting["reason"].as_str()?;
        let failed = reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff");
        failed.then(|| match waiting["message"].as_str() {
            Some(message) if !message.is_empty() => format!("{reason}: {message}"),
            _ => reason.to_owned(),
        })
    });
    let explained = message(status);
    match status["phase"].as_str() {
        Some("Failed") => Health::degraded(explained),
        Some("Succeeded") => Health::default(),
        _ if failure.is_some() => Health::degraded(failure.unwrap_or_default()),
        Some("Running") if spec["restartPolicy"].as_str().unwrap_or("Always") == "Always" => {
            match condition(status, "Ready") {
                Some(ready) if ready["status"] == "True" => Health::default(),
                // A container that ended and waits for its next start is not merely slow.
                _ if containers().any(|c| !c["lastState"]["terminated"].is_null() && c["ready"] != true) => {
                    Health::degraded("a container ended and is not ready again")
                }
                _ => Health::progressing("not all containers are ready"),
            }
        }
        Some("Running" | "Pending") => Health::progressing(explained),
        Some(_) => Health::new(Level::Unknown, explained),
        None => Health::progressing("the pod has not been placed yet"),
    }
}

fn load_balancer(status: &Value) -> Health {
    match status["loadBalancer"]["ingress"].as_array() {
        Some(addresses) if !addresses.is_empty() => Health::default(),
        _ => Health::progressing("no address has been given yet"),
    }
}

fn claim(status: &Value) -> Health {
    match status["phase"].as_str() {
        Some("Bound") => Health::default(),
        Some("Lost") => Health::degraded("the volume of the claim is lost"),
        _ => Health::progressing("the claim is not bound yet"),
    }
}

fn node(status: &Value) -> Health {
    match condition(status, "Ready") {
        Some(ready) if ready["status"] == "True" => Health::default(),
        Some(ready) => Health::degraded(message(ready)),
        None => Health::progressing("the node has not reported yet"),
    }
}

fn job(spec: &Value, status: &Value) -> Health {
    let holds = |name: &str| condition(status, name).filter(|c| c["status"] == "True");
    if let Some(failed) = holds("Failed") {
        Health::degraded(message(failed))
    } else if holds("Complete").is_some() {
        Health::default()
    } else if spec["suspend"] == true {
        Health::new(Level::Suspended, "the Job is suspended")
    } else {
        Health::progressing("the Job runs")
    }
}

/// Of its last run; which is known once it has one.
fn cron_job(spec: &Value, status: &Value) -> Health {
    if spec["suspend"] == true {
        return Health::new(Level::Suspended, "the CronJob is suspended");
    }
    let time = |field: &str| status[field].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let is_running = status["active"].as_array().is_some_and(|active| !active.is_empty());
    match (time("lastScheduleTime"), time("lastSuccessfulTime")) {
        (Some(scheduled), Some(succeeded)) if succeeded < scheduled && !is_running => {
            Health::degraded("the last run has not succeeded")
        }
        (Some(_), None) if !is_running => Health::degraded("no run has succeeded yet"),
        _ => Health::default(),
    }
}

/// An autoscaler that cannot do what it is for is degraded.
fn autoscaler(status: &Value) -> Health {
    let conditions = || status["conditions"].as_array().into_iter().flatten();
    let failing = ["FailedGetScale", "FailedUpdateScale", "FailedGetResourceMetric", "InvalidSelector"];
    let failed = conditions().find(|condition| {
        condition["status"] == "False" && condition["reason"].as_str().is_some_and(|reason| failing.contains(&reason))
    });
    if let Some(failed) = failed {
        return Health::degraded(message(failed));
    }
    let holds = |name: &str| condition(status, name).is_some_and(|found| found["status"] == "True");
    if holds("AbleToScale") || holds("ScalingLimited") {
        Health::default()
    } else {
        Health::progressing("it has not scaled yet")
    }
}

fn budget(status: &Value) -> Health {
    match condition(status, "DisruptionAllowed") {
        Some(found) if found["reason"] == "SyncFailed" => Health::degraded(message(found)),
        Some(_) => Health::default(),
        None => Health::progressing("its pods have not been counted yet"),
    }
}

fn definition(status: &Value) -> Health {
    match condition(status, "NamesAccepted") {
        Some(found) if found["status"] == "False" => Health::degraded(message(found)),
        _ => match condition(status, "Established") {
            Some(found) if found["status"] == "True" => Health::default(),
            _ => Health::progressing("it is not established yet"),
        },
    }
}

fn application(status: &Value) -> Health {
    let level = match status["health"]["status"].as_str() {
        Some("Healthy") => Level::Healthy,
        Some("Suspended") => Level::Suspended,
        Some("Missing") => Level::Missing,
        Some("Degraded") => Level::Degraded,
        Some("Unknown") => Level::Unknown,
        Some(_) | None => Level::Progressing,
    };
    Health::new(level, message(&status["health"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::kinds;

    #[test]
    fn a_deployment_is_healthy_when_all_its_pods_are_new_and_available() {
        let object =
            |spec: Value, status: Value| json!({"metadata": {"generation": 2}, "spec": spec, "status": status});
        let counts = |all: i64, updated: i64, available: i64| json!({"observedGeneration": 2, "replicas": all, "updatedReplicas": updated, "availableReplicas": available});
        let cases = [
            (json!({"replicas": 2}), counts(2, 2, 2), Level::Healthy),
            (json!({"replicas": 2, "paused": true}), counts(0, 0, 0), Level::Suspended),
            (json!({"replicas": 2}), json!({"observedGeneration": 1}), Level::Progressing),
            (json!({"replicas": 2}), counts(2, 1, 2), Level::Progressing),
            (json!({"replicas": 2}), counts(3, 2, 2), Level::Progressing),
            (json!({"replicas": 2}), counts(2, 2, 1), Level::Progressing),
            (json!({"replicas": 0}), counts(0, 0, 0), Level::Healthy),
            (
                json!({"replicas": 2}),
                json!({"observedGeneration": 2, "conditions": [
                    {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "late"}]}),
                Level::Degraded,
            ),
        ];
        for (spec, status, want) in cases {
            let object = object(spec, status);
            assert_eq!(health(kinds::DEPLOYMENT, &object).status, want, "{object}");
        }
    }

    #[test]
    fn a_pod_that_cannot_start_is_degraded() {
        let waiting = |reason: &str| {
            json!({"spec": {}, "status": {"phase": "Pending",
                "containerStatuses": [{"state": {"waiting": {"reason": reason}}}]}})
        };
        for (reason, want) in [
            ("CrashLoopBackOff", Level::Degraded),
            ("ErrImagePull", Level::Degraded),
            ("CreateContainerConfigError", Level::Degraded),
            ("ContainerCreating", Level::Progressing),
        ] {
            assert_eq!(health(kinds::POD, &waiting(reason)).status, want, "{reason}");
        }
        let running = |policy: &str| {
            json!({"spec": {"restartPolicy": policy}, "status": {"phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}]}})
        };
        assert_eq!(health(kinds::POD, &running("Always")).status, Level::Healthy);
        assert_eq!(health(kinds::POD, &running("Never")).status, Level::Progressing);
    }

    #[test]
    fn kinds_that_report_by_conditions_and_times_are_judged_by_them() {
        let with = |name: &str, status: &str, reason: &str| json!({"conditions": [{"type": name, "status": status, "reason": reason}]});
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let cases = [
            (kinds::CRON_JOB, json!({}), Level::Healthy),
            (kinds::CRON_JOB, json!({"lastScheduleTime": late, "lastSuccessfulTime": early}), Level::Degraded),
            (kinds::CRON_JOB, json!({"lastScheduleTime": early, "lastSuccessfulTime": late}), Level::Healthy),
            (kinds::CRON_JOB, json!({"lastScheduleTime": late, "active": [{"name": "x"}]}), Level::Healthy),
            (kinds::CRON_JOB, json!({"lastScheduleTime": late}), Level::Degraded),
            (kinds::AUTOSCALER, json!({}), Level::Progressing),
            (kinds::AUTOSCALER, with("AbleToScale", "False", "FailedGetScale"), Level::Degraded),
            (kinds::AUTOSCALER, with("ScalingActive", "False", "FailedGetResourceMetric"), Level::Degraded),
            (kinds::AUTOSCALER, with("AbleToScale", "True", "ReadyForNewScale"), Level::Healthy),
            (kinds::DISRUPTION_BUDGET, json!({}), Level::Progressing),
            (kinds::DISRUPTION_BUDGET, with("DisruptionAllowed", "False", "InsufficientPods"), Level::Healthy),
            (kinds::DISRUPTION_BUDGET, with("DisruptionAllowed", "False", "SyncFailed"), Level::Degraded),
            (kinds::CUSTOM_RESOURCE_DEFINITION, with("Established", "True", "x"), Level::Healthy),
            (kinds::CUSTOM_RESOURCE_DEFINITION, with("NamesAccepted", "False", "x"), Level::Degraded),
        ];
        for (kind, status, want) in cases {
            let object = json!({"metadata": {}, "spec": {}, "status": status});
            assert_eq!(health(kind, &object).status, want, "{} {status}", kind.kind);
        }
    }

    #[test]
    fn what_is_being_deleted_progresses_and_the_worst_counts() {
        let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        let health = health(kinds::CONFIG_MAP, &deleted);
        assert_eq!(health.status, Level::Progressing);
        let worst = Health::worst([Health::default(), health, Health::missing()]);
        assert_eq!(worst.status, Level::Missing);
        assert_eq!(Health::worst([]).status, Level::Healthy);
    }
}
