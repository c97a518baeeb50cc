//! Merges and compares objects, purely: the patch types, server-side apply, desired against live, plans and
//! how they are shown. No I/O, no clock, no store.

pub mod apply;
pub mod changes;
pub mod fields;
pub mod health;
pub mod jsonpatch;
pub mod lines;
pub mod managed;
pub mod patch_error;
pub mod plan;
pub mod render;
pub mod schema;
pub mod strategic;
pub mod structure;
mod typed;
pub mod unchanged;

#[cfg(test)]
mod properties;
