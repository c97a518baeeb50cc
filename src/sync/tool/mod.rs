//! Renders folders that ask for a tool: `kustomization.yaml` for Kustomize, `Chart.yaml` for Helm. The tool runs on a
//! throw-away export of what the folder needs, with bounds on time, memory and output, no network, and nothing of our
//! environment. What it prints is read like any other manifest.

mod child;
mod export;
mod helm;
mod job;
mod kustomize;

pub use child::{ToolError, Tools};
pub use job::{Job, OutcomeId, Source, Wanted, choose, prepare};
