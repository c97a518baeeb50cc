//! When each node was heard of last, by this process's own clock: a lease's time is written by another machine, whose
//! clock may be wrong, so only that it changes counts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};

/// A node that is not heard of for this long is not ready.
pub const GRACE: Duration = Duration::from_secs(40);

/// Nobody counts as silent before [`GRACE`] has passed since the start: until then it may be us who did not listen.
#[derive(Debug)]
pub struct Beats {
    started: Instant,
    heard: Mutex<HashMap<String, Instant>>,
}

impl Beats {
    pub fn start(now: Instant) -> Self {
        Self { started: now, heard: Mutex::default() }
    }

    pub fn hear(&self, node: &str, now: Instant) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(node.to_owned(), now);
    }

    pub fn forget(&self, node: &str) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
    }

    /// How much longer the node may stay silent; `None` when it has been silent for too long.
    pub fn patience(&self, node: &str, now: Instant) -> Option<Duration> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).get(node).copied();
        let until = heard.unwrap_or(self.started).max(self.started) + GRACE;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }
}
