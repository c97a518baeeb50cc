//! What was recommended and done for one autoscaler lately. Pure; kept in memory only, as in Kubernetes.

use jiff::{SignedDuration, Timestamp};

/// The longest window or period that rules can ask for.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Recommended numbers of pods.
    recommendations: Vec<(Timestamp, i32)>,
    /// Changes of the number of pods that were made.
    changes: Vec<(Timestamp, i32)>,
}

impl Past {
    /// A first recommendation is what is there already.
    pub fn begin(&mut self, replicas: i32, now: Timestamp) {
        if self.recommendations.is_empty() {
            self.recommendations.push((now, replicas));
        }
    }

    pub fn recommend(&mut self, replicas: i32, now: Timestamp) {
        self.recommendations.retain(|(at, _)| now.duration_since(*at) <= LONGEST);
        self.recommendations.push((now, replicas));
    }

    pub fn change(&mut self, by: i32, now: Timestamp) {
        self.changes.retain(|(at, _)| now.duration_since(*at) <= LONGEST);
        self.changes.push((now, by));
    }

    /// The recommendations of the last `seconds`.
    pub fn recommended(&self, seconds: i32, now: Timestamp) -> impl Iterator<Item = i32> {
        let window = SignedDuration::from_secs(i64::from(seconds));
        let recent = self.recommendations.iter().filter(move |(at, _)| now.duration_since(*at) < window);
        recent.map(|(_, replicas)| *replicas)
    }

    /// Pods that were added and taken away in the last `seconds`.
    pub fn changed(&self, seconds: i32, now: Timestamp) -> (i32, i32) {
        let window = SignedDuration::from_secs(i64::from(seconds));
        let recent = self.changes.iter().filter(|(at, _)| now.duration_since(*at) < window);
        recent.fold((0, 0), |(added, taken), (_, by)| (added + (*by).max(0), taken + (-by).max(0)))
    }
}
