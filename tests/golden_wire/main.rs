//! Replays what a Kubernetes API server was recorded to answer over HTTP against windlass's router: watches,
//! selectors, forms of answers, discovery. Prints `FILE agree N of M`; the numbers reached are floors.

#[path = "../golden_api/compare.rs"]
mod compare;
#[path = "../golden_api/tally.rs"]
mod tally;

mod client;
mod discovery;
mod forms;
mod refusals;
mod requests;
mod selectors;
mod watches;
