//! The Kubernetes API over HTTPS: reads requests, hands them to the registry and the store, writes answers in the
//! forms that clients ask for. It decides nothing about objects; what a write means is the registry's.

mod accept;
mod answer;
mod api;
mod audit;
mod auth;
mod body;
mod compress;
mod discovery;
mod fields;
mod health;
mod in_flight;
mod issuer;
mod json;
mod list;
mod log;
mod metrics;
mod nodes;
mod objects;
mod openapi;
mod options;
mod pages;
mod path;
pub mod pki;
mod present;
mod protobuf;
mod query;
mod review;
mod serve;
pub mod streams;
pub mod table;
mod usage;
mod watch;
mod write;
mod yaml;

pub use api::{Api, in_process, router};
pub use audit::{AuditLog, Peer};
pub use auth::{Identity, Tokens};
pub use metrics::Metrics;
pub use nodes::{NoNodes, NodeStreams};
pub use serve::{names_of, serve};
pub use streams::Links;
pub use usage::routes as usage_routes;
