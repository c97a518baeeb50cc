//! Counts what a disruption budget allows. Pure. (Kubernetes documentation, "Specifying a Disruption Budget".)

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::cluster::controllers::pods;

/// An eviction that did not lead to a deletion in this time is taken for failed.
pub const CONFIRMATION: SignedDuration = SignedDuration::from_secs(120);
const ALLOWED: &str = "DisruptionAllowed";

/// How many pods there should be, and how many of them must stay healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub expected: i32,
    pub healthy: i32,
}

/// What a budget asks of `present` pods whose controllers want `scale` of them (asked only where it matters).
///
/// Percentages round up: 50 % of 5 pods must stay means 3.
pub fn wanted<E>(
    spec: &PodDisruptionBudgetSpec,
    present: i32,
    scale: impl FnOnce() -> Result<i32, E>,
) -> Result<Wanted, E> {
    if let Some(most) = &spec.max_unavailable {
        let expected = scale()?;
        return Ok(Wanted { expected, healthy: (expected - part(most, expected)).max(0) });
    }
    match &spec.min_available {
        Some(IntOrString::Int(least)) => Ok(Wanted { expected: present, healthy: *least }),
        Some(least) => {
            let expected = scale()?;
            Ok(Wanted { expected, healthy: part(least, expected) })
        }
        None => Ok(Wanted { expected: 0, healthy: 0 }),
    }
}

fn part(value: &IntOrString, of: i32) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(percent) => {
            let percent: i64 = percent.trim_end_matches('%').parse().unwrap_or(0);
            let whole = i64::from(of) * percent;
            i32::try_from(whole / 100 + i64::from(whole % 100 > 0)).unwrap_or(i32::MAX)
        }
    }
}

/// The evictions that are still under way, and when the first of them is to be given up.
pub fn under_way(
    evicted: &BTreeMap<String, Time>,
    pods: &[&Pod],
    now: Timestamp,
) -> (BTreeMap<String, Time>, Option<SignedDuration>) {
    let mut kept = BTreeMap::new();
    let mut next: Option<SignedDuration> = None;
    for pod in pods.iter().filter(|pod| !pods::is_deleting(pod)) {
        let Some((name, time)) = pod.metadata.name.as_ref().and_then(|name| evicted.get_key_value(name)) else {
            continue;
        };
        let left = time.0.saturating_add(CONFIRMATION).unwrap_or(Timestamp::MAX).duration_since(now);
        if left > SignedDuration::ZERO {
            kept.insert(name.clone(), time.clone());
            next = Some(next.map_or(left, |known| known.min(left)));
        }
    }
    (kept, next)
}

/// Pods that are ready and not about to go.
pub fn healthy(pods: &[&Pod], evicted: &BTreeMap<String, Time>) -> i32 {
    let goes =
        |pod: &Pod| pods::is_deleting(pod) || pod.metadata.name.as_ref().is_some_and(|name| evicted.contains_key(name));
    let count = pods.iter().filter(|pod| !goes(pod) && pods::is_ready(pod)).count();
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The status that says so. A condition that stays as it was keeps its time.
pub fn status(
    old: Option<&PodDisruptionBudgetStatus>,
    generation: i64,
    wanted: Wanted,
    healthy: i32,
    evicted: BTreeMap<String, Time>,
    now: Timestamp,
) -> PodDisruptionBudgetStatus {
    let allowed = if wanted.expected <= 0 { 0 } else { (healthy - wanted.healthy).max(0) };
    let reason = if allowed > 0 { "SufficientPods" } else { "InsufficientPods" };
    PodDisruptionBudgetStatus {
        conditions: Some(with_condition(old, generation, allowed > 0, reason, "", now)),
        current_healthy: healthy,
        desired_healthy: wanted.healthy,
        disrupted_pods: (!evicted.is_empty()).then_some(evicted),
        disruptions_allowed: allowed,
        expected_pods: wanted.expected,
        observed_generation: Some(generation),
    }
}

/// Nothing is allowed while it is not known what may be.
pub fn failed(
    old: Option<&PodDisruptionBudgetStatus>,
    generation: i64,
    why: &str,
    now: Timestamp,
) -> PodDisruptionBudgetStatus {
    PodDisruptionBudgetStatus {
        conditions: Some(with_condition(old, generation, false, "SyncFailed", why, now)),
        disruptions_allowed: 0,
        observed_generation: Some(generation),
        ..old.cloned().unwrap_or_default()
    }
}

fn with_condition(
    old: Option<&PodDisruptionBudgetStatus>,
    generation: i64,
    allowed: bool,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Vec<Condition> {
    let status = if allowed { "True" } else { "False" };
    let mut conditions = old.and_then(|old| old.conditions.clone()).unwrap_or_default();
    let known = conditions.iter().position(|condition| condition.type_ == ALLOWED);
    let since = known.map(|at| &conditions[at]).filter(|c| c.status == status);
    let condition = Condition {
        type_: ALLOWED.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: Some(generation),
        last_transition_time: since.map_or(Time(now), |condition| condition.last_transition_time.clone()),
    };
    match known {
        Some(at) => conditions[at] = condition,
        None => conditions.push(condition),
    }
    conditions
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn budgets_round_in_favour_of_the_pods_that_stay() {
        // spec, pods present, scale -> expected, must stay healthy
        let cases = [
            (json!({"minAvailable": 2}), 4, 3, (4, 2)),
            (json!({"minAvailable": "50%"}), 5, 5, (5, 3)),
            (json!({"minAvailable": "100%"}), 2, 2, (2, 2)),
            (json!({"maxUnavailable": 1}), 4, 4, (4, 3)),
            (json!({"maxUnavailable": "30%"}), 5, 5, (5, 3)),
            (json!({"maxUnavailable": "25%"}), 8, 3, (3, 2)),
            (json!({"maxUnavailable": 9}), 2, 2, (2, 0)),
            (json!({"maxUnavailable": 0}), 2, 2, (2, 2)),
            (json!({}), 2, 2, (0, 0)),
        ];
        for (spec, present, scale, (expected, healthy)) in cases {
            let shown = spec.to_string();
            let spec: PodDisruptionBudgetSpec = serde_json::from_value::<PodDisruptionBudgetSpec>(spec).unwrap();
            let found = wanted(&spec, present, || Ok::<_, ()>(scale)).unwrap();
            assert_eq!(found, Wanted { expected, healthy }, "{shown}");
        }
    }

    #[test]
    fn an_evicted_pod_counts_as_gone_until_the_eviction_is_given_up() {
        let pod = |name: &str| -> Pod {
            let ready: Value = json!([{"type": "Ready", "status": "True"}]);
            serde_json::from_value(json!({"metadata": {"name": name}, "status": {"conditions": ready}})).unwrap()
        };
        let (a, b) = (pod("a"), pod("b"));
        let pods = [&a, &b];
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let evicted = BTreeMap::from([("a".to_owned(), Time(at("2026-01-01T00:00:00Z")))]);
        let (kept, next) = under_way(&evicted, &pods, at("2026-01-01T00:01:30Z"));
        assert_eq!((healthy(&pods, &kept), next), (1, Some(SignedDuration::from_secs(30))));
        let (kept, next) = under_way(&evicted, &pods, at("2026-01-01T00:02:00Z"));
        assert_eq!((healthy(&pods, &kept), next), (2, None));
    }
}
