//! How long a container that ended, or an image that could not be had, waits for the next try. Kept in the labels of
//! the container itself, so that a restart of the agent changes nothing about it.

use jiff::{SignedDuration, Timestamp};

use crate::agent::labels;
use crate::agent::runtime::{Container, Exited};

const FIRST: SignedDuration = SignedDuration::from_secs(10);
const LONGEST: SignedDuration = SignedDuration::from_mins(5);
/// A container that ran so long starts afresh.
const FORGIVEN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// The wait that follows the end of this container: none after the first, then 10 s, 20 s, up to five minutes.
pub fn delay(container: &Container, exited: &Exited) -> SignedDuration {
    let ran = exited.started.map_or(SignedDuration::ZERO, |started| exited.finished.duration_since(started));
    if ran >= FORGIVEN_AFTER {
        return SignedDuration::ZERO;
    }
    SignedDuration::from_secs(container.label(labels::BACKOFF).parse().unwrap_or_default())
}

/// When a container that has ended is started again, where it is to be.
pub fn restart_at(container: &Container, exited: &Exited) -> Timestamp {
    exited.finished.saturating_add(delay(container, exited)).unwrap_or(Timestamp::MAX)
}

/// The wait after the end of the next attempt, given the wait after this one.
pub fn next_backoff(delay: SignedDuration) -> SignedDuration {
    (delay * 2).clamp(FIRST, LONGEST)
}

/// When an image that failed `count` times in a row is tried again.
pub fn image_retry(count: u32, now: Timestamp) -> Timestamp {
    let delay = FIRST.checked_mul(1 << count.saturating_sub(1).min(5)).map_or(LONGEST, |d| d.min(LONGEST));
    now.saturating_add(delay).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_five_minutes() {
        let mut delay = SignedDuration::ZERO;
        let mut seen = Vec::new();
        for _ in 0..8 {
            delay = next_backoff(delay);
            seen.push(delay.as_secs());
        }
        assert_eq!(seen, [10, 20, 40, 80, 160, 300, 300, 300]);
        let now = Timestamp::UNIX_EPOCH;
        let waits: Vec<_> = (1..8).map(|n| image_retry(n, now).as_second()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
    }
}
