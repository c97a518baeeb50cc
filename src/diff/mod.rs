//! Merges and compares objects, purely: the patch types, server-side apply, desired against live, plans and
//! how they are shown. No I/O, no clock, no store.

pub mod apply;
pub mod fields;
pub mod managed;
pub mod plan;
pub mod schema;
pub mod structure;
