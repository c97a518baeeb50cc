//! Drives real, unmodified `kubectl` binaries against a server in this process, over TLS, and looks at what people
//! would see. Skips, loudly, what is not installed.

mod access;
mod cluster;
mod policies;
mod reading;
mod rows;
mod verbs;
#[allow(dead_code, reason = "shared with the tests of streams")]
#[path = "../streams/world.rs"]
mod world;
mod writing;
