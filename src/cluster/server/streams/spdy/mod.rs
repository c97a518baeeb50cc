//! SPDY/3.1 as Kubernetes's clients use it: older ones on an upgraded connection, newer ones inside a WebSocket for
//! port-forwards. The server's side only, without flow control windows, which these clients neither send nor heed:
//! a stream that is not read holds its connection up, and is reset when that lasts.

mod connection;
mod dictionary;
mod frame;

pub use connection::{Connection, Reader, Stream, Writer, serve};
#[cfg(test)]
pub use frame::{Decoder, Encoder, Frame};
