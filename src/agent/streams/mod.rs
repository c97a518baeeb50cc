//! Answers what the control plane asks of this node: logs, commands, terminals, connections, figures. Knows pods only
//! by the labels of their containers, so it answers for whatever runs, also while the API is away.

mod dial;
mod find;
mod forward;
mod handler;
mod logs;
mod measure;
mod session;

pub use dial::{DialError, Dialer, OverHttps, Pipe, keep_connected};
pub use handler::Streams;
