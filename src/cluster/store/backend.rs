//! Where the objects outlive the process. A backend is handed batches in order and keeps them; everything
//! that is read while the process runs is read from memory.

use std::path::PathBuf;

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
    pub ceiling: Revision,
    pub objects: Vec<(ObjectKey, Bytes)>,
}

#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    #[error("cannot {action}: {message}")]
    Io { action: &'static str, message: String },
    #[error("{} is in use: another windlass runs on this data directory; stop it, or choose another", path.display())]
    Locked { path: PathBuf },
    #[error(
        "{} has format {found}, this windlass reads format {supported}: run the windlass that wrote it, \
         or delete the file and start again: the cluster is rebuilt from git", path.display()
    )]
    Format { path: PathBuf, found: u64, supported: u64 },
    #[error(
        "{} cannot be used: {what}; delete the file (or move it away) and start again: \
         the cluster is rebuilt from git", path.display()
    )]
    Damaged { path: PathBuf, what: String },
}

pub trait Backend: Send + 'static {
    /// Reads everything; called once, before any commit.
    ///
    /// # Errors
    /// When the store cannot be read or is not what this version wrote.
    fn load(&mut self) -> Result<Contents, BackendError>;

    /// Makes the records and the ceiling durable, all or nothing, before it returns. The store hands out no
    /// revision above the ceiling before it has committed a higher one.
    ///
    /// # Errors
    /// When it was not stored; the next commit that succeeds, stores nothing of it either.
    fn commit(&mut self, ceiling: Revision, records: &[Record]) -> Result<(), BackendError>;

    /// Whether `commit` waits for a disk; such a backend is called on a thread where waiting is allowed.
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
