//! What a thing in the cluster is, whoever looks at it: the kinds table, keys, metadata, selectors,
//! quantities, the wire's Status. Pure: no I/O, no clock, and no knowledge of how objects are kept or served.
//! Typed kinds come from the `k8s-openapi` crate; windlass's own kinds are defined here.

pub mod application;
pub mod clock;
pub mod cron;
pub mod custom;
pub mod error;
pub mod key;
pub mod kinds;
pub mod local_path;
pub mod meta;
mod partial;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod stored;
pub mod types;
pub mod views;

pub use clock::Clock;
pub use custom::Kinds;
pub use error::{ApiError, Cause, Reason};
pub use key::{ObjectKey, Revision};
pub use kinds::Kind;
pub use meta::{Claim, Meta};
pub use quantity::Quantity;
pub use stored::{Draft, Object};

/// Prefix of every annotation and label that windlass itself defines.
pub const PREFIX: &str = "windlass.dev/";
/// Namespace of windlass's own objects: Applications, and the Lease of the leader.
pub const SYSTEM_NAMESPACE: &str = "windlass-system";
