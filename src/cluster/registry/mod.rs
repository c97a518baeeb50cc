//! The one door for writes. Every change of the cluster, whoever asks for it, passes here: admit, default,
//! validate, own fields, check preconditions, store. Dry run and plan use the same door and stop before the store.
//! It knows the kinds; it does not know HTTP.

mod author;
pub mod defaults;
mod delete;
mod options;
mod transaction;
mod verbs;

pub use author::Author;
pub use options::{DeleteOptions, FieldValidation, Patch, Preconditions, Propagation, Target, WriteOptions};
pub use transaction::{Step, StepKind, Transaction};
pub use verbs::{Deleted, Registry, Written};
