//! The repositories that Applications follow. Each is opened, watched, polled and fetched once, however many
//! Applications are in it; a look at it tells those whose folder or revision moved, and only those.

mod follower;
mod opened;
mod pool;
mod repository;

pub use follower::{Follower, Position};
pub use opened::OpenError;
pub use pool::{Pool, PoolOptions};
pub use repository::Upstream;
