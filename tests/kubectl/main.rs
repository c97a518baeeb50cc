//! Drives real, unmodified `kubectl` binaries against a server in this process, over TLS, and looks at what people
//! would see. Skips, loudly, what is not installed.

mod cluster;
mod policies;
mod reading;
mod verbs;
mod writing;
