//! The conditions of a pod that its node sets; those that others set are kept as they are.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};

use super::containers::second;
use super::seen::Seen;
use super::spec;

struct Finding {
    type_: &'static str,
    holds: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Finding {
    fn holds(type_: &'static str) -> Self {
        Self { type_, holds: true, reason: None, message: None }
    }

    fn fails(type_: &'static str, reason: &'static str, message: Option<String>) -> Self {
        Self { type_, holds: false, reason: Some(reason), message }
    }
}

/// All conditions of the pod. A condition whose status stays keeps its time.
pub fn conditions(
    pod: &Pod,
    seen: &Seen,
    phase: &str,
    initialized: bool,
    inits: &[ContainerStatus],
    mains: &[ContainerStatus],
    now: Timestamp,
) -> Vec<PodCondition> {
    let present = pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let ready = containers_ready(phase, initialized, mains);
    let findings = [
        Finding { holds: seen.running_sandbox().is_some(), ..Finding::holds("PodReadyToStartContainers") },
        initialization(phase, initialized, inits),
        match gates(pod, &present) {
            Some(message) if ready.holds => Finding::fails("Ready", "ReadinessGatesNotReady", Some(message)),
            _ => Finding { type_: "Ready", message: ready.message.clone(), ..ready },
        },
        ready,
    ];
    let mut all: Vec<PodCondition> = findings.map(|finding| condition(finding, &present, now)).into();
    let ours: Vec<String> = all.iter().map(|c| c.type_.clone()).collect();
    all.extend(present.into_iter().filter(|c| !ours.contains(&c.type_)));
    all
}

fn condition(finding: Finding, present: &[PodCondition], now: Timestamp) -> PodCondition {
    let status = if finding.holds { "True" } else { "False" };
    let before = present.iter().find(|c| c.type_ == finding.type_ && c.status == status);
    PodCondition {
        type_: finding.type_.to_owned(),
        status: status.to_owned(),
        reason: finding.reason.map(str::to_owned),
        message: finding.message,
        last_transition_time: before.and_then(|c| c.last_transition_time.clone()).or(Some(second(now))),
        ..PodCondition::default()
    }
}

fn initialization(phase: &str, initialized: bool, inits: &[ContainerStatus]) -> Finding {
    if initialized || phase == "Succeeded" {
        let reason = (phase == "Succeeded").then_some("PodCompleted");
        return Finding { reason, ..Finding::holds("Initialized") };
    }
    let waiting = inits.iter().filter(|status| !status.ready).map(|status| status.name.as_str());
    let message = format!("containers with incomplete status: [{}]", waiting.collect::<Vec<_>>().join(" "));
    Finding::fails("Initialized", "ContainersNotInitialized", Some(message))
}

fn containers_ready(phase: &str, initialized: bool, mains: &[ContainerStatus]) -> Finding {
    const TYPE: &str = "ContainersReady";
    match phase {
        "Succeeded" => return Finding::fails(TYPE, "PodCompleted", None),
        "Failed" => return Finding::fails(TYPE, "PodFailed", None),
        _ => {}
    }
    let unready: Vec<&str> = mains.iter().filter(|s| !s.ready).map(|s| s.name.as_str()).collect();
    if unready.is_empty() && initialized {
        return Finding::holds(TYPE);
    }
    let message = format!("containers with unready status: [{}]", unready.join(" "));
    Finding::fails(TYPE, "ContainersNotReady", Some(message))
}

/// What the pod's readiness gates wait for.
fn gates(pod: &Pod, present: &[PodCondition]) -> Option<String> {
    let gates = spec::of(pod).and_then(|spec| spec.readiness_gates.as_deref()).unwrap_or_default();
    gates.iter().find_map(|gate| {
        let name = &gate.condition_type;
        match present.iter().find(|c| c.type_ == *name) {
            None => Some(format!("corresponding condition of pod readiness gate \"{name}\" does not exist.")),
            Some(c) if c.status != "True" => {
                Some(format!("the status of pod readiness gate \"{name}\" is not \"True\", but {}", c.status))
            }
            Some(_) => None,
        }
    })
}
