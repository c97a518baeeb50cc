//! The regular look at a repository: for remotes the way to notice a push that no webhook tells of, for local
//! ones the net below the file watch, which can lose events (network file systems).

use std::time::Duration;

/// The time to the next look: up to a tenth more or less than `interval`, so that many clusters do not ask at once.
/// `chance` is from 0 to 1.
pub fn jittered(interval: Duration, chance: f64) -> Duration {
    interval.mul_f64(0.9 + 0.2 * chance).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_varies_by_a_tenth() {
        let interval = Duration::from_secs(100);
        assert_eq!(jittered(interval, 0.0), Duration::from_secs(90));
        assert_eq!(jittered(interval, 1.0).as_secs(), 110);
        assert_eq!(jittered(Duration::ZERO, 0.5), Duration::from_secs(1));
    }
}
