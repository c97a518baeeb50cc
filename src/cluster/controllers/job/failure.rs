//! What a Job's `podFailurePolicy` says of a failed pod. Pure. (Kubernetes documentation, "Pod failure policy".)

use k8s_openapi::api::batch::v1::{PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

/// The first rule that matches decides; without one the failure counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It counts towards the backoff limits.
    Counts,
    /// It does not: the pod is replaced as if it had not been.
    Ignored,
    /// Its index is given up.
    FailsIndex,
    /// The Job fails because of it.
    FailsJob { message: String },
}

impl Failure {
    pub fn counts(&self) -> bool {
        *self != Self::Ignored
    }
}

pub fn judge(policy: Option<&PodFailurePolicy>, pod: &Pod) -> Failure {
    let rules = policy.map(|policy| policy.rules.as_slice()).unwrap_or_default();
    for (index, rule) in rules.iter().enumerate() {
        if let Some(what) = matched(rule, pod) {
            return match rule.action.as_str() {
                "Ignore" => Failure::Ignored,
                "FailIndex" => Failure::FailsIndex,
                "FailJob" => Failure::FailsJob { message: format!("{what} matching FailJob rule at index {index}") },
                _ => Failure::Counts,
            };
        }
    }
    Failure::Counts
}

/// What of the pod the rule matches, in words.
fn matched(rule: &PodFailurePolicyRule, pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let meta = &pod.metadata;
    let name =
        format!("{}/{}", meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    if let Some(requirement) = &rule.on_exit_codes {
        let containers = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
        let (container, code) =
            containers.filter_map(|c| Some((c, exit_code(c)?))).find(|(c, code)| matches(requirement, c, *code))?;
        return Some(format!("Container {} for pod {name} failed with exit code {code}", container.name));
    }
    let patterns = rule.on_pod_conditions.as_deref().unwrap_or_default();
    let mut conditions = status.conditions.iter().flatten();
    let condition = conditions.find(|c| patterns.iter().any(|p| p.type_ == c.type_ && p.status == c.status))?;
    Some(format!("Pod {name} has condition {}", condition.type_))
}

fn exit_code(container: &ContainerStatus) -> Option<i32> {
    container.state.as_ref()?.terminated.as_ref().map(|terminated| terminated.exit_code).filter(|code| *code != 0)
}

fn matches(requirement: &PodFailurePolicyOnExitCodesRequirement, container: &ContainerStatus, code: i32) -> bool {
    requirement.container_name.as_ref().is_none_or(|name| *name == container.name)
        && match requirement.operator.as_str() {
            "In" => requirement.values.contains(&code),
            "NotIn" => !requirement.values.contains(&code),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_first_rule_that_matches_decides() {
        let on_codes = |action: &str, operator: &str, codes: &[i32]| {
            json!({"action": action,
            "onExitCodes": {"containerName": "app", "operator": operator, "values": codes}})
        };
        let on_disruption = json!({"action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]});
        let message = "Container app for pod d/p failed with exit code 42 matching FailJob rule at index 1";
        let cases: [(Vec<Value>, i32, bool, Failure); 7] = [
            (vec![], 1, false, Failure::Counts),
            (vec![on_codes("Ignore", "In", &[42])], 42, false, Failure::Ignored),
            (vec![on_codes("Ignore", "In", &[42])], 1, false, Failure::Counts),
            (vec![on_codes("FailIndex", "NotIn", &[1])], 42, false, Failure::FailsIndex),
            (
                vec![on_disruption.clone(), on_codes("FailJob", "In", &[42])],
                42,
                false,
                Failure::FailsJob { message: message.into() },
            ),
            (vec![on_disruption, on_codes("FailJob", "In", &[42])], 42, true, Failure::Ignored),
            (vec![on_codes("FailJob", "NotIn", &[42])], 0, false, Failure::Counts),
        ];
        for (rules, code, disrupted, want) in cases {
            let status = if disrupted { "True" } else { "False" };
            let pod = json!({"metadata": {"name": "p", "namespace": "d"}, "status": {"phase": "Failed",
                "conditions": [{"type": "DisruptionTarget", "status": status}],
                "containerStatuses": [{"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"terminated": {"exitCode": code}}}]}});
            let policy = serde_json::from_value(json!({"rules": rules})).unwrap();
            let pod = serde_json::from_value(pod).unwrap();
            assert_eq!(judge(Some(&policy), &pod), want, "{rules:?} {code} {disrupted}");
        }
    }
}
