//! The time of day for timestamps, taken from tokio's clock so that a paused test controls it.
//! Decisions never read it: they take `now` as an argument.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Wall-clock time that moves with tokio's (pausable) clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Timestamp,
    at: Instant,
}

impl Clock {
    /// A clock that shows the machine's time now. Call it in the composition root only.
    pub fn start() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// A clock that shows `started` now; tests use it for stable timestamps.
    pub fn starting_at(started: Timestamp) -> Self {
        Self { started, at: Instant::now() }
    }

    pub fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.at.elapsed()).unwrap_or(SignedDuration::MAX);
        self.started.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }
}

/// The time as the API writes it: RFC 3339 in UTC, whole seconds (`2026-11-21T08:00:00Z`).
pub fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The same with microseconds, as Lease and Event times are written (`MicroTime`).
pub fn rfc3339_micro(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
