//! exec, attach, port-forward, logs, proxy and top as clients use them: real, unmodified kubectl binaries and the kube
//! crate, against the whole program with scripted containers, on nodes in and out of the process.

mod clients;
mod docker;
mod forwards;
mod hostile;
mod proxies;
mod remote;
#[path = "../support/mod.rs"]
mod support;
mod usage;
mod world;
