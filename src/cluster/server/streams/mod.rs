//! The subresources that are streams: exec, attach, port-forward, proxy. Each speaks to the client in the protocol that
//! it asks for (WebSocket, SPDY, plain HTTP) and to the node in ours (`crate::streams`); it keeps nothing.

mod channels;
mod forward;
mod legacy;
mod links;
mod pick;
mod proxy;
mod remote;
mod session;
mod spdy;
mod terminal;
mod tunnel;
mod upgrade;
mod websocket;

pub use forward::serve as forward;
pub use links::Links;
pub use pick::container as pick_container;
pub use proxy::serve as proxy;
pub use remote::{Verb, serve as remote};
