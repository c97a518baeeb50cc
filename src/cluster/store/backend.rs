//! Where the objects outlive the process. A backend is handed batches in order and keeps them; everything
//! that is read while the process runs is read from memory.

use bytes::Bytes;

use crate::object::{ObjectKey, Revision};

/// One object's new state on disk.
#[derive(Clone, Debug)]
pub struct Record {
    pub key: ObjectKey,
    /// The object's JSON; `None` removes it.
    pub json: Option<Bytes>,
}

/// All that a backend kept.
#[derive(Debug, Default)]
pub struct Contents {
    /// No revision above this was ever handed out.
    pub revision: Revision,
    pub objects: Vec<(ObjectKey, Bytes)>,
}

#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    #[error("{action}: {message}")]
    Io { action: &'static str, message: String },
    #[error("the store was written by format {found}, this windlass reads {supported}; {advice}")]
    Format { found: u64, supported: u64, advice: &'static str },
    #[error("the store is damaged: {what}; {advice}")]
    Damaged { what: String, advice: &'static str },
}

pub trait Backend: Send + 'static {
    /// Reads everything; called once, before any commit.
    ///
    /// # Errors
    /// When the store cannot be read or is not what this version wrote.
    fn load(&mut self) -> Result<Contents, BackendError>;

    /// Makes the records and the revision durable, all or nothing, before it returns.
    ///
    /// # Errors
    /// When nothing of it was stored.
    fn commit(&mut self, revision: Revision, records: &[Record]) -> Result<(), BackendError>;

    /// Whether `commit` waits for a disk; such a backend gets a thread of its own.
    fn blocks(&self) -> bool;
}

/// Keeps nothing: for tests and for clusters that live as long as their process.
#[derive(Debug, Default)]
pub struct Memory;

impl Backend for Memory {
    fn load(&mut self) -> Result<Contents, BackendError> {
        Ok(Contents::default())
    }

    fn commit(&mut self, _: Revision, _: &[Record]) -> Result<(), BackendError> {
        Ok(())
    }

    fn blocks(&self) -> bool {
        false
    }
}
