//! windlass makes machines run what a git commit says. This is the map of the house, in reading order.
//!
//! [`object`] is what a thing in the cluster is. [`diff`] merges and compares such things, purely: the patch
//! types, server-side apply, plans. [`policy`] judges them.
//!
//! [`cluster`] keeps them: `store` (revisions, transactions, watches), `registry` (the one door for writes),
//! `server` (the Kubernetes API over HTTPS), `controllers` and `scheduler` (which turn Deployments into bound Pods).
//!
//! [`streams`] is how the control plane reaches into a node: logs, commands, connections.
//!
//! [`sync`] makes the cluster follow a git repository. [`agent`] makes one machine run the Pods bound to it.
//!
//! [`app`] builds all of it into one running program; [`cli`] is its commands.

pub mod agent;
pub mod app;
pub mod cli;
pub mod cluster;
pub mod diff;
pub mod object;
pub mod policy;
pub mod streams;
pub mod sync;
pub mod tasks;
