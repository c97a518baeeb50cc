//! Replays answers that were recorded from a Kubernetes API server against windlass's own registry and counts
//! how many agree. Each file prints `FILE agree N of M` and its first differences; the number that was reached
//! is a floor that may only rise. Cases about kinds that windlass does not serve are counted apart.
//!
//! `GOLDEN_API_DIR` replays another folder; `GOLDEN_CASE=text` shows every difference of the cases named so;
//! `GOLDEN_SHOW=n` shows n differences a file.

mod apply;
mod compare;
mod defaults;
mod door;
mod invalid;
mod patches;
mod tally;
