//! How far and how fast the number of pods may change: stabilisation windows, policies, the smallest and the largest
//! number. Pure.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscalerBehavior};

use super::past::Past;

/// How long a higher recommendation keeps the number up, in seconds.
const DOWN_WINDOW: i32 = 300;

/// A number, and why it is that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    pub replicas: i32,
    pub reason: &'static str,
    pub message: &'static str,
}

#[derive(Clone, Copy)]
pub struct Limits<'a> {
    pub behavior: Option<&'a HorizontalPodAutoscalerBehavior>,
    pub least: i32,
    pub most: i32,
    pub past: &'a Past,
    pub now: Timestamp,
}

impl Limits<'_> {
    fn up(&self) -> Option<&HPAScalingRules> {
        self.behavior?.scale_up.as_ref()
    }

    fn down(&self) -> Option<&HPAScalingRules> {
        self.behavior?.scale_down.as_ref()
    }

    /// The recommendation that recent ones agree with.
    pub fn stabilized(&self, current: i32, desired: i32) -> Limited {
        let window = |rules: Option<&HPAScalingRules>, default| {
            rules.and_then(|rules| rules.stabilization_window_seconds).unwrap_or(default)
        };
        let recent = |seconds| self.past.recommended(seconds, self.now).chain([desired]);
        let lowest = recent(window(self.up(), 0)).min().unwrap_or(desired);
        let highest = recent(window(self.down(), DOWN_WINDOW)).max().unwrap_or(desired);
        // Without rules of its own an autoscaler holds back on the way down only.
        let replicas = match self.behavior {
            None => highest,
            Some(_) => current.max(lowest).min(highest),
        };
        let (reason, message) = if replicas == desired {
            ("ReadyForNewScale", "recommended size matches current size")
        } else if self.behavior.is_some() && desired >= current {
            (
                "ScaleUpStabilized",
                "recent recommendations were lower than current one, applying the lowest recent recommendation",
            )
        } else {
            (
                "ScaleDownStabilized",
                "recent recommendations were higher than current one, applying the highest recent recommendation",
            )
        };
        Limited { replicas, reason, message }
    }

    /// The number that is allowed at once.
    pub fn allowed(&self, current: i32, desired: i32) -> Limited {
        let limited = |replicas, reason, message| Limited { replicas, reason, message };
        if desired > current || self.behavior.is_none() {
            let rate = self.highest(current);
            if desired > rate.min(self.most) {
                return if self.most > rate {
                    limited(
                        rate,
                        "ScaleUpLimit",
                        "the desired replica count is increasing faster than the maximum scale rate",
                    )
                } else {
                    limited(
                        self.most,
                        "TooManyReplicas",
                        "the desired replica count is more than the maximum replica count",
                    )
                };
            }
        }
        if desired < current || self.behavior.is_none() {
            let rate = self.lowest(current);
            if desired < rate.max(self.least) {
                return if self.least < rate {
                    limited(
                        rate,
                        "ScaleDownLimit",
                        "the desired replica count is decreasing faster than the maximum scale rate",
                    )
                } else {
                    limited(
                        self.least,
                        "TooFewReplicas",
                        "the desired replica count is less than the minimum replica count",
                    )
                };
            }
        }
        limited(desired, "DesiredWithinRange", "the desired count is within the acceptable range")
    }

    /// The most pods that there may be next.
    fn highest(&self, current: i32) -> i32 {
        let Some(rules) = self.up() else { return current.saturating_mul(2).max(4) };
        let limits = rules.policies.iter().flatten().map(|policy| {
            let (added, taken) = self.past.changed(policy.period_seconds, self.now);
            let start = i64::from(current - added + taken);
            let value = i64::from(policy.value);
            if policy.type_ == "Pods" { start + value } else { (start * (100 + value) + 99).div_euclid(100) }
        });
        let limit = choose(rules, limits, Choice::HighestFirst);
        limit.map_or(current, |limit| i32::try_from(limit).unwrap_or(i32::MAX).max(current))
    }

    /// The fewest pods that there may be next.
    fn lowest(&self, current: i32) -> i32 {
        let Some(rules) = self.down() else { return self.least.min(current) };
        let limits = rules.policies.iter().flatten().map(|policy| {
            let (added, taken) = self.past.changed(policy.period_seconds, self.now);
            let start = i64::from(current + taken - added);
            let value = i64::from(policy.value);
            if policy.type_ == "Pods" { start - value } else { start * (100 - value) / 100 }
        });
        let limit = choose(rules, limits, Choice::LowestFirst);
        limit.map_or(current, |limit| i32::try_from(limit).unwrap_or(i32::MIN).min(current))
    }
}

/// Which limit lets the number change most.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    HighestFirst,
    LowestFirst,
}

/// `None` when no change is allowed.
fn choose(rules: &HPAScalingRules, limits: impl Iterator<Item = i64>, most: Choice) -> Option<i64> {
    match rules.select_policy.as_deref() {
        Some("Disabled") => None,
        Some("Min") if most == Choice::HighestFirst => limits.min(),
        Some("Min") => limits.max(),
        _ if most == Choice::HighestFirst => limits.max(),
        _ => limits.min(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn past(recommended: &[(i64, i32)], changed: &[(i64, i32)]) -> Past {
        let ago = |seconds: i64| NOW - SignedDuration::from_secs(seconds);
        let mut past = Past::default();
        recommended.iter().for_each(|(seconds, replicas)| past.recommend(*replicas, ago(*seconds)));
        changed.iter().for_each(|(seconds, by)| past.change(*by, ago(*seconds)));
        past
    }

    fn with<T>(behavior: &Value, past: &Past, ask: impl Fn(Limits<'_>) -> T) -> T {
        let behavior: Option<HorizontalPodAutoscalerBehavior> = serde_json::from_value(behavior.clone()).unwrap();
        ask(Limits { behavior: behavior.as_ref(), least: 1, most: 50, past, now: NOW })
    }

    #[test]
    fn recent_recommendations_hold_the_number() {
        let none = json!(null);
        let up = json!({"scaleUp": {"stabilizationWindowSeconds": 60}, "scaleDown": {}});
        let quick = json!({"scaleUp": {}, "scaleDown": {"stabilizationWindowSeconds": 0}});
        for (behavior, recommended, current, desired, want, reason) in [
            (&none, vec![(200, 9)], 9, 3, 9, "ScaleDownStabilized"),
            (&none, vec![(301, 9)], 9, 3, 3, "ReadyForNewScale"),
            (&none, vec![(10, 2)], 2, 8, 8, "ReadyForNewScale"),
            (&up, vec![(30, 2)], 2, 8, 2, "ScaleUpStabilized"),
            (&up, vec![(61, 2)], 2, 8, 8, "ReadyForNewScale"),
            (&quick, vec![(10, 9)], 9, 3, 3, "ReadyForNewScale"),
        ] {
            let past = past(&recommended, &[]);
            let got = with(behavior, &past, |limits| limits.stabilized(current, desired));
            assert_eq!((got.replicas, got.reason), (want, reason), "{behavior} {recommended:?} {current} {desired}");
        }
    }

    #[test]
    fn policies_limit_the_pace() {
        let none = json!(null);
        let rules = json!({
            "scaleUp": {"selectPolicy": "Max", "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15},
                {"type": "Percent", "value": 100, "periodSeconds": 15}]},
            "scaleDown": {"selectPolicy": "Min", "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60},
                {"type": "Percent", "value": 50, "periodSeconds": 60}]}});
        let off = json!({"scaleUp": {"selectPolicy": "Disabled"}, "scaleDown": {"selectPolicy": "Disabled"}});
        for (behavior, changed, current, desired, want, reason) in [
            (&none, vec![], 3, 20, 6, "ScaleUpLimit"),
            (&none, vec![], 1, 20, 4, "ScaleUpLimit"),
            (&none, vec![], 40, 60, 50, "TooManyReplicas"),
            (&none, vec![], 5, 0, 1, "TooFewReplicas"),
            (&none, vec![], 5, 4, 4, "DesiredWithinRange"),
            (&rules, vec![], 3, 20, 7, "ScaleUpLimit"),
            (&rules, vec![(10, 4)], 7, 20, 7, "ScaleUpLimit"),
            (&rules, vec![(20, 4)], 7, 20, 14, "ScaleUpLimit"),
            (&rules, vec![], 10, 2, 8, "ScaleDownLimit"),
            (&rules, vec![(30, -2)], 8, 2, 8, "ScaleDownLimit"),
            (&rules, vec![], 3, 2, 2, "DesiredWithinRange"),
            (&off, vec![], 3, 9, 3, "ScaleUpLimit"),
            (&off, vec![], 3, 1, 3, "ScaleDownLimit"),
        ] {
            let past = past(&[], &changed);
            let got = with(behavior, &past, |limits| limits.allowed(current, desired));
            assert_eq!((got.replicas, got.reason), (want, reason), "{behavior} {changed:?} {current} {desired}");
        }
    }
}
