//! When a container is looked at, and what the looks add up to: thresholds, first delays, early second looks.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container as ContainerSpec, Probe};

use crate::agent::runtime::Sight;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    Startup,
    Readiness,
    Liveness,
}

/// Where a probe of a running container stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeState {
    /// When it is looked at next.
    pub due: Timestamp,
    pub successes: i32,
    pub failures: i32,
    /// What the looks say so far; `None` before they say anything.
    pub passed: Option<bool>,
    /// Looks that came before the first period was over.
    pub early: u32,
}

/// What one more look means.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub state: ProbeState,
    /// The text of an `Unhealthy` event.
    pub complaint: Option<String>,
}

impl ProbeKind {
    pub fn of(self, container: &ContainerSpec) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }
}

fn seconds(field: Option<i32>, default: i32) -> SignedDuration {
    SignedDuration::from_secs(field.filter(|s| *s > 0).unwrap_or(default).into())
}

fn after(time: Timestamp, wait: SignedDuration) -> Timestamp {
    time.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

pub fn timeout(probe: &Probe) -> std::time::Duration {
    seconds(probe.timeout_seconds, 1).unsigned_abs()
}

/// When a container that started at `started` is first looked at.
pub fn first_due(probe: &Probe, started: Timestamp) -> Timestamp {
    after(started, seconds(probe.initial_delay_seconds, 0))
}

/// The state of a probe before its first look.
pub fn initial(probe: &Probe, started: Timestamp) -> ProbeState {
    ProbeState { due: first_due(probe, started), successes: 0, failures: 0, passed: None, early: 0 }
}

/// Adds one look to the state.
///
/// A container that has just started often answers some milliseconds later. So in the first period a readiness or
/// startup probe that fails is tried again after 100, 200, 400 ms and so on, without it counting as a failure: a
/// Kubernetes node would wait for a whole period.
pub fn record(kind: ProbeKind, probe: &Probe, state: ProbeState, sight: &Sight, now: Timestamp) -> Outcome {
    let period = seconds(probe.period_seconds, 10);
    let mut state = ProbeState { due: after(now, period), ..state };
    let mut complaint = None;
    match sight {
        Sight::Well => {
            state.successes = state.successes.saturating_add(1);
            state.failures = 0;
            if state.successes >= probe.success_threshold.unwrap_or(1).max(1) {
                state.passed = Some(true);
            }
        }
        Sight::Ill(why) => {
            let wait = SignedDuration::from_millis(100 << state.early.min(10));
            if kind != ProbeKind::Liveness && state.passed.is_none() && state.failures == 0 && wait < period {
                state.early += 1;
                state.due = after(now, wait);
                return Outcome { state, complaint: None };
            }
            state.failures = state.failures.saturating_add(1);
            state.successes = 0;
            if state.failures >= probe.failure_threshold.unwrap_or(3).max(1) {
                state.passed = Some(false);
            }
            complaint = Some(format!("{} probe failed: {why}", kind.word()));
        }
        Sight::Unknown(why) => complaint = Some(format!("{} probe errored: {why}", kind.word())),
    }
    Outcome { state, complaint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(kind: ProbeKind, probe: &Probe, sights: &[bool]) -> Vec<Option<bool>> {
        let mut state = initial(probe, Timestamp::UNIX_EPOCH);
        // The early looks are over.
        state.early = 10;
        let look = |ok: &bool| if *ok { Sight::Well } else { Sight::Ill("no".into()) };
        sights
            .iter()
            .map(|ok| {
                state = record(kind, probe, state, &look(ok), state.due).state;
                state.passed
            })
            .collect()
    }

    #[test]
    fn thresholds_count_consecutive_looks() {
        let probe = Probe { failure_threshold: Some(2), success_threshold: Some(2), ..Probe::default() };
        let seen = run(ProbeKind::Readiness, &probe, &[true, true, false, true, false, false, true, true]);
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(seen, [None, yes, yes, yes, yes, no, no, yes]);
    }

    #[test]
    fn a_readiness_probe_that_fails_at_first_is_tried_again_early_and_silently() {
        let probe = Probe::default();
        let ill = Sight::Ill("connection refused".into());
        let first =
            record(ProbeKind::Readiness, &probe, initial(&probe, Timestamp::UNIX_EPOCH), &ill, Timestamp::UNIX_EPOCH);
        assert_eq!(first.state.due.as_millisecond(), 100);
        assert_eq!((first.state.failures, first.complaint), (0, None));
        let live =
            record(ProbeKind::Liveness, &probe, initial(&probe, Timestamp::UNIX_EPOCH), &ill, Timestamp::UNIX_EPOCH);
        assert_eq!(live.state.due.as_second(), 10);
        assert_eq!(live.complaint.as_deref(), Some("Liveness probe failed: connection refused"));
    }

    #[test]
    fn the_first_look_waits_for_the_initial_delay() {
        let probe = Probe { initial_delay_seconds: Some(5), ..Probe::default() };
        assert_eq!(first_due(&probe, Timestamp::UNIX_EPOCH).as_second(), 5);
    }
}
