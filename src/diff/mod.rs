//! Merges and compares objects, purely: the patch types, server-side apply, desired against live, plans and
//! how they are shown. No I/O, no clock, no store.

pub mod plan;
