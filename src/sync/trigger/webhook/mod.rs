//! `POST /api/webhook`: a git host says that something was pushed. The payload is a hint only; windlass looks at
//! the repository itself, so whoever forges a delivery gains a look and nothing else.

mod delivery;
mod endpoint;
mod pull_request;
mod replay;
mod repository;

pub use endpoint::{Webhooks, receive};
pub use pull_request::PullRequest;
