//! The network of one node: the bridge that pods are on, and Services as nftables rules, with no hop through userspace.
//!
//! What goes where is decided by `table` (pure), written as rules by `rules` (pure), and put into the kernel in one
//! transaction by `nft`. `proxy` keeps the rules in step with the cluster. The rules outlive the agent, so that
//! Services go on answering while it is away; at its start the whole table is written anew.
//!
//! No request is lost in a rolling update: a pod that is to end is first taken out of the rules (`Proxy::withdraw`),
//! and only when the kernel has the new rules does its container get SIGTERM. Connections that are open stay with the
//! pod, by connection tracking, until it ends.

mod bridge;
mod nft;
mod proxy;
mod rules;
mod table;

pub use bridge::{Bridge, NetworkError, remove_all};
pub use proxy::Proxy;
