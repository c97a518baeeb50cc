//! How well an object does, in Argo CD's words and by its rules. Pure.

use serde_json::Value;

use crate::object::application::HealthStatus;

/// From best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    Healthy,
    Suspended,
    Progressing,
    Missing,
    Degraded,
    Unknown,
}

impl Health {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }

    fn because(self, message: impl Into<String>) -> (Self, String) {
        (self, message.into())
    }
}

/// The health of a live object; `None` for kinds that have none (a ConfigMap just is).
pub fn of(object: &Value) -> Option<(Health, String)> {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Some(Health::Progressing.because("waits for its deletion"));
    }
    match object["kind"].as_str().unwrap_or_default() {
        "Deployment" => Some(deployment(object)),
        "ReplicaSet" => Some(replica_set(object)),
        "Pod" => Some(pod(object)),
        "Service" => Some(service(object)),
        _ => None,
    }
}

/// The status entry of one object.
pub fn status_of(object: Option<&Value>) -> Option<HealthStatus> {
    let Some(object) = object else {
        return Some(HealthStatus { status: Health::Missing.as_str().to_owned(), message: String::new() });
    };
    let (health, message) = of(object)?;
    Some(HealthStatus { status: health.as_str().to_owned(), message })
}

/// The worst of the children decides.
pub fn worst<'a>(children: impl IntoIterator<Item = &'a HealthStatus>) -> Health {
    let all = [Health::Healthy, Health::Suspended, Health::Progressing, Health::Missing, Health::Degraded];
    let parse =
        |status: &HealthStatus| all.into_iter().find(|h| h.as_str() == status.status).unwrap_or(Health::Unknown);
    children.into_iter().map(parse).max().unwrap_or(Health::Healthy)
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn deployment(object: &Value) -> (Health, String) {
    let (spec, status) = (&object["spec"], &object["status"]);
    if spec["paused"] == true {
        return Health::Suspended.because("the rollout is paused");
    }
    if number(&object["metadata"]["generation"]) > number(&status["observedGeneration"]) {
        return Health::Progressing.because("waits for the controller to see the change");
    }
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let stuck =
        conditions.into_iter().find(|c| c["type"] == "Progressing" && c["reason"] == "ProgressDeadlineExceeded");
    if let Some(condition) = stuck {
        return Health::Degraded.because(condition["message"].as_str().unwrap_or("the rollout is stuck"));
    }
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let (all, updated) = (number(&status["replicas"]), number(&status["updatedReplicas"]));
    let available = number(&status["availableReplicas"]);
    if updated < wanted {
        return Health::Progressing.because(format!("{updated} of {wanted} replicas are updated"));
    }
    if all > updated {
        return Health::Progressing.because(format!("{} old replicas still run", all - updated));
    }
    if available < updated {
        return Health::Progressing.because(format!("{available} of {updated} updated replicas are available"));
    }
    Health::Healthy.because("")
}

fn replica_set(object: &Value) -> (Health, String) {
    let (spec, status) = (&object["spec"], &object["status"]);
    if number(&object["metadata"]["generation"]) > number(&status["observedGeneration"]) {
        return Health::Progressing.because("waits for the controller to see the change");
    }
    let (wanted, available) = (spec["replicas"].as_i64().unwrap_or(1), number(&status["availableReplicas"]));
    if available < wanted {
        return Health::Progressing.because(format!("{available} of {wanted} replicas are available"));
    }
    Health::Healthy.because("")
}

fn pod(object: &Value) -> (Health, String) {
    let status = &object["status"];
    let message = status["message"].as_str().unwrap_or_default().to_owned();
    let always = matches!(object["spec"]["restartPolicy"].as_str(), None | Some("Always"));
    let waiting = status["containerStatuses"].as_array().into_iter().flatten().find_map(|container| {
        let reason = container["state"]["waiting"]["reason"].as_str()?;
        let failing = reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff");
        failing.then(|| format!("{}: {reason}", container["name"].as_str().unwrap_or_default()))
    });
    match status["phase"].as_str().unwrap_or_default() {
        _ if always && waiting.is_some() => Health::Degraded.because(waiting.unwrap_or_default()),
        "Succeeded" => Health::Healthy.because(message),
        "Failed" => Health::Degraded.because(message),
        "Running" if always => {
            let conditions = status["conditions"].as_array().into_iter().flatten();
            let ready = conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
            let health = if ready { Health::Healthy } else { Health::Progressing };
            health.because(message)
        }
        "Running" | "Pending" => Health::Progressing.because(message),
        _ => Health::Unknown.because(message),
    }
}

fn service(object: &Value) -> (Health, String) {
    let addressed = object["status"]["loadBalancer"]["ingress"].as_array().is_some_and(|list| !list.is_empty());
    if object["spec"]["type"] == "LoadBalancer" && !addressed {
        return Health::Progressing.because("waits for a load balancer's address");
    }
    Health::Healthy.because("")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_healthy_when_all_its_replicas_are_new_and_available() {
        let with = |status: Value, spec: Value| json!({"kind": "Deployment", "metadata": {"generation": 2}, "spec": spec, "status": status});
        let done = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        let cases = [
            (done.clone(), json!({"replicas": 2}), Health::Healthy),
            (done.clone(), json!({"replicas": 2, "paused": true}), Health::Suspended),
            (done, json!({"replicas": 3}), Health::Progressing),
            (json!({"observedGeneration": 1, "replicas": 2}), json!({"replicas": 2}), Health::Progressing),
            (
                json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 2}),
                json!({"replicas": 2}),
                Health::Progressing,
            ),
            (
                json!({"observedGeneration": 2, "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}),
                json!({"replicas": 2}),
                Health::Degraded,
            ),
        ];
        for (status, spec, want) in cases {
            let object = with(status, spec);
            assert_eq!(of(&object).unwrap().0, want, "{object}");
        }
    }

    #[test]
    fn the_worst_child_decides() {
        let status = |text: &str| HealthStatus { status: text.into(), message: String::new() };
        assert_eq!(worst(&[]), Health::Healthy);
        assert_eq!(worst(&[status("Healthy"), status("Progressing"), status("Suspended")]), Health::Progressing);
        assert_eq!(worst(&[status("Degraded"), status("Missing")]), Health::Degraded);
    }
}
