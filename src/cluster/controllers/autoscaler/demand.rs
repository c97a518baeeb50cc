//! How many pods a load asks for, from what those that run use. Pure.
//!
//! Pods that just start, or whose figures are missing, are taken for what keeps the number steady: as using all they
//! asked for when there seem to be too many pods, and as using nothing when there seem to be too few.

use jiff::{SignedDuration, Timestamp};

/// After its start a pod's processor is busy with starting, for so long.
const CPU_START: SignedDuration = SignedDuration::from_mins(5);
/// A pod that has not been ready later than this after its start never was.
const FIRST_READINESS: SignedDuration = SignedDuration::from_secs(30);

/// One pod of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub state: State,
    /// In thousandths, of all containers or of the one that counts; `None`: not measured.
    pub usage: Option<Measured>,
    /// What the pod asks for, or which of its containers says nothing of it.
    pub request: Result<i64, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    pub millis: i64,
    pub at: Timestamp,
    pub window: SignedDuration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is on its way out, or has failed.
    Gone,
    Pending,
    Running {
        started: Option<Timestamp>,
        ready: bool,
        ready_since: Option<Timestamp>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Per cent of what the pods ask for.
    Utilization(i32),
    /// Thousandths of the resource a pod, on average.
    Average(i64),
}

/// Deviations from the target that change nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    pub up: f64,
    pub down: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { up: 0.1, down: 0.1 }
    }
}

impl Tolerance {
    fn allows(self, ratio: f64) -> bool {
        ratio >= 1.0 - self.down && ratio <= 1.0 + self.up
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    pub replicas: i32,
    /// Per cent of what is asked for, for targets of that sort.
    pub utilization: Option<i32>,
    /// Thousandths a pod.
    pub average: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDemand {
    #[error("no pods returned by selector while calculating replica count")]
    NoPods,
    #[error("unable to get metrics for resource {0}: no metrics returned from resource metrics API")]
    NoMetrics(String),
    #[error("did not receive metrics for targeted pods (pods might be unready)")]
    NothingToGoBy,
    #[error("{0}")]
    NoRequest(String),
    #[error("no metrics returned matched known pods")]
    Unmatched,
}

pub fn demand(
    samples: &[Sample],
    resource: &str,
    target: Target,
    current: i32,
    tolerance: Tolerance,
    now: Timestamp,
) -> Result<Demand, NoDemand> {
    if samples.iter().all(|sample| sample.usage.is_none()) {
        return Err(NoDemand::NoMetrics(resource.to_owned()));
    }
    if samples.is_empty() {
        return Err(NoDemand::NoPods);
    }
    let (mut measured, mut unready, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for sample in samples {
        match (sample.state, sample.usage) {
            (State::Gone, _) => {}
            (State::Pending, _) => unready.push(sample),
            (State::Running { .. }, None) => missing.push(sample),
            (State::Running { .. }, Some(usage)) if resource == "cpu" && is_starting(sample.state, usage, now) => {
                unready.push(sample);
            }
            (State::Running { .. }, Some(usage)) => measured.push((usage.millis, sample)),
        }
    }
    if measured.is_empty() {
        return Err(NoDemand::NothingToGoBy);
    }
    let request = |sample: &Sample| match (target, &sample.request) {
        (Target::Average(_), _) => Ok(0),
        (Target::Utilization(_), Ok(request)) => Ok(*request),
        (Target::Utilization(_), Err(why)) => Err(NoDemand::NoRequest(why.clone())),
    };
    for sample in samples {
        request(sample)?;
    }
    let usages = |of: &[(i64, &Sample)]| -> Result<Load, NoDemand> {
        let used: i64 = of.iter().map(|(usage, _)| usage).sum();
        let requested = of.iter().map(|(_, sample)| request(sample)).sum::<Result<i64, _>>()?;
        Load::of(used, requested, of.len(), target)
    };
    let load = usages(&measured)?;
    let ready = measured.len();
    let answer = |replicas| Ok(Demand { replicas, utilization: load.utilization, average: load.average });
    let starts = !unready.is_empty() && load.ratio > 1.0;
    if !starts && missing.is_empty() {
        let within = tolerance.allows(load.ratio);
        return answer(if within { current } else { ceil(load.ratio, ready) });
    }
    let assumed = |sample: &Sample| -> Result<i64, NoDemand> {
        Ok(match target {
            _ if load.ratio >= 1.0 => 0,
            // A target above what is asked for must not make more of them.
            Target::Utilization(percent) => request(sample)? * i64::from(percent.max(100)) / 100,
            Target::Average(millis) => millis,
        })
    };
    for sample in missing.iter().filter(|_| (load.ratio - 1.0).abs() > f64::EPSILON) {
        measured.push((assumed(sample)?, sample));
    }
    if starts {
        measured.extend(unready.iter().map(|sample| (0, *sample)));
    }
    let again = usages(&measured)?.ratio;
    let turned = (load.ratio < 1.0 && again > 1.0) || (load.ratio > 1.0 && again < 1.0);
    let replicas = ceil(again, measured.len());
    let against = (again < 1.0 && replicas > current) || (again > 1.0 && replicas < current);
    answer(if tolerance.allows(again) || turned || against { current } else { replicas })
}

struct Load {
    /// To the target.
    ratio: f64,
    utilization: Option<i32>,
    average: i64,
}

impl Load {
    #[allow(clippy::cast_precision_loss, reason = "amounts of a cluster are far below 2^52 thousandths")]
    fn of(used: i64, requested: i64, pods: usize, target: Target) -> Result<Self, NoDemand> {
        let average = used / i64::try_from(pods).unwrap_or(1).max(1);
        Ok(match target {
            Target::Utilization(percent) => {
                if requested == 0 {
                    return Err(NoDemand::Unmatched);
                }
                let utilization = i32::try_from(used.saturating_mul(100) / requested).unwrap_or(i32::MAX);
                Self {
                    ratio: f64::from(utilization) / f64::from(percent.max(1)),
                    utilization: Some(utilization),
                    average,
                }
            }
            Target::Average(millis) => {
                Self { ratio: average as f64 / millis.max(1) as f64, utilization: None, average }
            }
        })
    }
}

/// The processor of a pod says nothing of its load yet.
fn is_starting(state: State, usage: Measured, now: Timestamp) -> bool {
    let State::Running { started, ready, ready_since } = state else { return false };
    let (Some(started), Some(since)) = (started, ready_since) else { return true };
    if now.duration_since(started) < CPU_START {
        return !ready || usage.at.duration_since(since) < usage.window;
    }
    !ready && since.duration_since(started) < FIRST_READINESS
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts of pods are small, and a cast of floats saturates"
)]
fn ceil(ratio: f64, pods: usize) -> i32 {
    (ratio * pods as f64).ceil() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const NOW: i64 = 10_000;

    fn pod(usage: i64) -> Sample {
        let usage = Measured { millis: usage, at: at(NOW), window: SignedDuration::from_secs(15) };
        let state = State::Running { started: Some(at(0)), ready: true, ready_since: Some(at(5)) };
        Sample { state, usage: Some(usage), request: Ok(1000) }
    }

    fn missing() -> Sample {
        Sample { usage: None, ..pod(0) }
    }

    fn pending() -> Sample {
        Sample { state: State::Pending, ..missing() }
    }

    /// Started a moment ago and not ready.
    fn starting(usage: i64) -> Sample {
        let state = State::Running { started: Some(at(NOW - 10)), ready: false, ready_since: Some(at(NOW - 5)) };
        Sample { state, ..pod(usage) }
    }

    fn replicas(samples: &[Sample], target: Target) -> i32 {
        let current = i32::try_from(samples.len()).unwrap();
        demand(samples, "cpu", target, current, Tolerance::default(), at(NOW)).unwrap().replicas
    }

    #[test]
    fn the_load_of_measured_pods_decides() {
        for (usages, percent, want) in [
            (vec![300, 500, 700], 30, 5),
            (vec![300, 500, 700], 100, 2),
            (vec![1010, 1030, 1020], 100, 3),
            (vec![100, 100, 100, 100, 100], 50, 1),
            (vec![110, 110], 10, 2),
            (vec![120, 120], 10, 3),
            (vec![0, 0, 0], 50, 0),
        ] {
            let samples: Vec<Sample> = usages.iter().map(|usage| pod(*usage)).collect();
            assert_eq!(replicas(&samples, Target::Utilization(percent)), want, "{usages:?} at {percent} %");
        }
        assert_eq!(replicas(&[pod(300), pod(500), pod(700)], Target::Average(250)), 6);
    }

    #[test]
    fn what_is_not_known_keeps_the_number_steady() {
        let percent = Target::Utilization;
        let cases = [
            // Too few by the known ones; the unknown is taken as idle: 66 % of 50 % is 1.32 times three pods.
            (vec![pod(1000), pod(1000), missing()], percent(50), 4),
            // Too many by the known ones, but the unknown may be busy: 40 % of 50 % is 0.8 times three pods.
            (vec![pod(100), pod(100), missing()], percent(50), 3),
            (vec![pod(1000), pending(), pending()], percent(50), 3),
            (vec![pod(1000), starting(1000)], percent(50), 2),
            (vec![pod(100), starting(1000)], percent(50), 1),
            (vec![pod(500), Sample { state: State::Gone, ..pod(9000) }], percent(50), 2),
        ];
        for (samples, target, want) in cases {
            assert_eq!(replicas(&samples, target), want, "{samples:?}");
        }
    }

    #[test]
    fn without_figures_there_is_no_demand() {
        let ask = |samples: &[Sample]| {
            demand(samples, "cpu", Target::Utilization(50), 1, Tolerance::default(), at(NOW)).unwrap_err().to_string()
        };
        assert!(ask(&[missing()]).ends_with("no metrics returned from resource metrics API"));
        assert_eq!(ask(&[starting(5)]), NoDemand::NothingToGoBy.to_string());
        let why = "missing request for cpu in container app of Pod web-1";
        assert_eq!(ask(&[Sample { request: Err(why.into()), ..pod(5) }]), why);
    }

    #[test]
    fn a_tolerance_of_its_own_is_kept_in_each_direction() {
        let samples = [pod(540), pod(540)];
        let ask = |tolerance| demand(&samples, "cpu", Target::Utilization(50), 2, tolerance, at(NOW)).unwrap().replicas;
        assert_eq!(ask(Tolerance::default()), 2);
        assert_eq!(ask(Tolerance { up: 0.05, down: 0.5 }), 3);
    }
}
