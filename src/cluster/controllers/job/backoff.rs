//! How long a Job waits before it replaces failed pods: 10 s, doubled with each failure in a row, 10 min at most. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::cluster::controllers::pods;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);

/// The failures of a Job's pods since one of them succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
    last: Option<Timestamp>,
}

impl Backoff {
    /// With the pods that have ended since.
    pub fn with<'a>(self, succeeded: impl Iterator<Item = &'a Pod>, failed: impl Iterator<Item = &'a Pod>) -> Self {
        let since = succeeded.map(finished_at).max();
        let later = failed.map(finished_at).filter(|at| since.is_none_or(|since| *at > since));
        let before = if since.is_none() { self } else { Self::default() };
        later.fold(before, |backoff, at| Self {
            failures: backoff.failures.saturating_add(1),
            last: backoff.last.max(Some(at)),
        })
    }

    /// How much longer new pods wait.
    pub fn left(self, now: Timestamp) -> Option<Duration> {
        left(self.failures, self.last?, now)
    }
}

/// How much longer the pod that replaces the last of `failures` waits.
pub fn left(failures: u32, last: Timestamp, now: Timestamp) -> Option<Duration> {
    let doubled = 1_u32.checked_shl(failures.checked_sub(1)?.min(31)).unwrap_or(u32::MAX);
    let pause = FIRST.saturating_mul(doubled).min(LONGEST);
    let passed = Duration::try_from(now.duration_since(last)).unwrap_or(Duration::ZERO);
    pause.checked_sub(passed).filter(|left| !left.is_zero())
}

/// When a pod has ended: when its last container did, else when it ceased to be ready, else when its deletion was
/// asked for, else when it was made.
pub fn finished_at(pod: &Pod) -> Timestamp {
    let of_containers = || containers_finished_at(pod);
    let unready = || pods::condition(pod, "Ready").filter(|c| c.status == "False")?.last_transition_time.clone();
    let deleted = || {
        let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or(0));
        pod.metadata.deletion_timestamp.as_ref()?.0.checked_sub(grace).ok()
    };
    let created = || pod.metadata.creation_timestamp.as_ref().map(|t| t.0);
    of_containers().or_else(|| unready().map(|t| t.0)).or_else(deleted).or_else(created).unwrap_or_default()
}

/// `None` unless all containers, sidecars among them, have ended.
fn containers_finished_at(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let sidecars: Vec<&str> =
        init.filter(|c| c.restart_policy.as_deref() == Some("Always")).map(|c| c.name.as_str()).collect();
    let is_sidecar = |container: &&ContainerStatus| sidecars.contains(&container.name.as_str());
    let containers = status.container_statuses.iter().flatten();
    let all = containers.chain(status.init_container_statuses.iter().flatten().filter(is_sidecar));
    let finished = all.map(|c| Some(c.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0));
    finished.collect::<Option<Vec<Timestamp>>>()?.into_iter().max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ended(second: i64) -> Pod {
        let state = json!({"terminated": {"exitCode": 1, "finishedAt": at(second).to_string()}});
        serde_json::from_value(json!({"status": {"containerStatuses": [{"name": "app", "image": "", "imageID": "",
            "ready": false, "restartCount": 0, "state": state}]}}))
        .unwrap()
    }

    #[test]
    fn pauses_double_up_to_ten_minutes() {
        for (failures, seconds) in [(1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (99, 600)] {
            assert_eq!(left(failures, at(0), at(0)), Some(Duration::from_secs(seconds)), "{failures}");
            assert_eq!(left(failures, at(0), at(seconds.try_into().unwrap())), None, "{failures}");
        }
        assert_eq!(left(0, at(0), at(0)), None);
        assert_eq!(left(1, at(5), at(8)), Some(Duration::from_secs(7)));
    }

    #[test]
    fn only_failures_since_the_last_success_count() {
        let with = |backoff: Backoff, succeeded: &[i64], failed: &[i64]| {
            let pods = |times: &[i64]| times.iter().map(|t| ended(*t)).collect::<Vec<_>>();
            backoff.with(pods(succeeded).iter(), pods(failed).iter())
        };
        let two = with(Backoff::default(), &[], &[3, 5]);
        assert_eq!(two, Backoff { failures: 2, last: Some(at(5)) });
        assert_eq!(with(two, &[], &[]), two);
        assert_eq!(with(two, &[], &[9]), Backoff { failures: 3, last: Some(at(9)) });
        assert_eq!(with(two, &[7], &[]), Backoff::default());
        assert_eq!(with(two, &[7], &[6, 8]), Backoff { failures: 1, last: Some(at(8)) });
    }

    #[test]
    fn the_end_of_a_pod_is_found_in_what_there_is() {
        let (created, unready, deleted) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:32Z");
        let metadata = json!({"creationTimestamp": created, "deletionTimestamp": deleted,
            "deletionGracePeriodSeconds": 30});
        let pod = |value| serde_json::from_value::<Pod>(value).unwrap();
        let conditions = json!([{"type": "Ready", "status": "False", "lastTransitionTime": unready}]);
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(
            finished_at(&pod(json!({"metadata": metadata, "status": {"conditions": conditions}}))),
            time(unready)
        );
        assert_eq!(finished_at(&pod(json!({"metadata": metadata}))), time("2026-01-01T00:00:02Z"));
        assert_eq!(finished_at(&pod(json!({"metadata": {"creationTimestamp": created}}))), time(created));
    }
}
