//! How much an engine has done, for metrics and for the tests that hold an idle cluster to no work at all.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the start of the process.
#[derive(Debug, Default)]
pub struct Counters {
    runs: AtomicU64,
    failures: AtomicU64,
    relists: AtomicU64,
}

impl Counters {
    /// Runs that were started.
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// Runs that failed and are tried again.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Sources that were listed, each once at start and after each expired watch.
    pub fn relists(&self) -> u64 {
        self.relists.load(Ordering::Relaxed)
    }

    pub(super) fn count_run(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_relist(&self) {
        self.relists.fetch_add(1, Ordering::Relaxed);
    }
}
