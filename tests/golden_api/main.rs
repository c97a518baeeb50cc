//! Replays all that was recorded of a Kubernetes API server against windlass's, over HTTP in this process, each
//! case in a cluster of its own. Prints `FILE agree N of M` for each file, of all its cases, and the first
//! differences; what is reached is a floor that may only rise.
//!
//! `tests/data/golden-api-exceptions.json` names what is left out of the comparison, and why; cases that agree
//! only so are counted and shown apart. `GOLDEN_API_DIR` replays another folder (without floors),
//! `GOLDEN_CASE=text` shows every difference of the cases named so, `GOLDEN_SHOW=n` shows n differences a file.

#[allow(dead_code, reason = "shared with the tests of the wire")]
#[path = "../wire/client.rs"]
mod client;

mod apply;
mod check;
mod cluster;
mod compare;
mod defaults;
mod discovery;
mod exceptions;
mod invalid;
mod patches;
mod selectors;
mod tables;
mod tally;
mod watches;
