//! Small conversions between what is stored and what controllers compute with.

use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::engine::Failure;
use crate::cluster::registry::{Target, Transaction, WriteOptions};
use crate::object::{Object, ObjectKey, Reason};

/// The typed view of an object.
pub fn decode<T: DeserializeOwned + Send + Sync + 'static>(object: &Object) -> Result<Arc<T>, Failure> {
    object.typed::<T>().map_err(|source| Failure::Decode { key: object.key.clone(), source })
}

/// Times in conditions and metadata are whole seconds; compared with those, `now` must be, too.
pub fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Changes an object through its status subresource, where the change is no change of intent. The whole object has
/// to be sent: an update of the status takes annotations and owner references from the request as well.
pub fn update_status(
    transaction: &mut Transaction,
    key: &ObjectKey,
    change: impl FnOnce(&mut Value),
) -> Result<(), Failure> {
    let Some(mut object) = transaction.current(key) else { return Ok(()) };
    change(&mut object);
    Ok(transaction.update(&Target::status(key.clone()), object, WriteOptions::default())?)
}

/// A create was refused because its namespace is going away: there is nothing to try again.
pub fn is_namespace_terminating(failure: &Failure) -> bool {
    let Failure::Refused(error) = failure else { return false };
    error.reason == Reason::Forbidden
        && (error.causes.iter().any(|c| c.reason == "NamespaceTerminating")
            || error.message.ends_with("because it is being terminated"))
}
