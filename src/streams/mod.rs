//! What the control plane asks of a node, and how: logs, commands, terminals, connections and figures, each one
//! HTTP/2 stream on the one connection that the node's agent has opened. On that connection the control plane is the
//! HTTP client, so a node needs no open port. HTTP/2 gives each stream its own flow control: who does not read slows
//! down only its own sender, up to the container.
//!
//! In one process the connection is a pipe, from another machine an upgraded HTTPS request; the bytes are the same.

mod link;
mod message;
mod request;
mod serve;

pub use link::{Link, OpenError, Opened, measurement};
pub use message::{Ended, Message, MessageError, PIECE, Receiver, Sender, Size, StreamPair, pair};
pub use request::{
    AttachRequest, ExecRequest, ForwardRequest, LogRequest, MeasuredContainer, Measurement, Request, Target, Wanted,
};
pub use serve::{Handler, Refusal, Work, serve};

/// Name of the protocol in the `Upgrade` header of an agent that dials.
pub const PROTOCOL: &str = "windlass-node/1";

/// Streams of one node at a time.
pub const STREAMS: u32 = 1024;

/// Bytes that a stream may hold between its ends before its sender has to wait.
pub const WINDOW: u32 = 64 * 1024;
