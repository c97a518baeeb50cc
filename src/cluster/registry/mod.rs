//! The one door for writes. Every change of the cluster, whoever asks for it, passes here: admit, default,
//! validate, own fields, check preconditions, store. Dry run and plan use the same door and stop before the store.
//! It knows the kinds; it does not know HTTP.

mod author;
mod options;
mod verbs;

mod transaction;

mod admit;
mod create;
mod custom;
mod default_class;
pub mod defaults;
pub mod definitions;
mod delete;
mod escalation;
mod eviction;
mod names;
mod ownership;
mod patch;
mod quoted;
mod replacement;
mod request;
mod strategy;
mod update;
pub mod validation;
mod views;
mod warnings;
mod writers;

mod accounts;
mod limits;
mod pods;
mod policies;
mod priority;
mod quotas;
mod scale;
mod services;

mod bootstrap;

pub use accounts::ROOT_CA;
pub use author::Author;
pub use bootstrap::{bootstrap, bootstrap_storage};
pub use options::{DeleteOptions, FieldValidation, Patch, Preconditions, Propagation, Target, WriteOptions};
pub use policies::Finding;
pub use replacement::asks_for_replacement;
pub use services::{BadRange, ServiceRange};
pub use transaction::{Step, StepKind, Transaction};
pub use verbs::{Deleted, Registry, Written};

#[cfg(test)]
mod tests;
