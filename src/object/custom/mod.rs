//! What CustomResourceDefinitions define: the kinds that they add at run time, and the structural schemas by which
//! custom resources are decoded, defaulted, validated and merged.
//! (Kubernetes API, "Extend the Kubernetes API with CustomResourceDefinitions".)
//!
//! Pure: no I/O and no clock. The kinds are looked up in a [`Kinds`], which every snapshot of the store and every
//! transaction has; what a name means is therefore a matter of the state that is read, and two clusters in one
//! process know nothing of each other's definitions.
//!
//! A kind is handed around as `&'static Kind`, because keys of objects are made by the million and compared by
//! address. So the rows that definitions add are interned ([`rows`]) and never freed: one for each distinct content,
//! used again when a definition is made anew or in another cluster, and no more than a fixed number in a process.
//! A row holds names only. What a schema says is kept by the definition and goes with it.

mod rows;
mod schema;

mod definition;
mod kinds;

mod decode;
mod defaults;
mod formats;
mod jsonpath;
mod lists;
mod numbers;
mod validate;

mod cel;
mod cost;

pub use cel::{RuleError, compile_rule};
pub use definition::{Column, Definition, ScalePaths, Version};
pub use jsonpath::JsonPath;
pub use kinds::{Described, Kinds};
pub use rows::TooManyKinds;
pub use schema::{ListType, Rule, Schema, compile_pattern};
pub use validate::valid_default;

#[cfg(test)]
mod tests;
