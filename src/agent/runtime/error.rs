//! Why the engine did not do what it was asked to.

/// The engine's refusals and failures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    #[error("the container engine does not answer: {reason}")]
    Unreachable { reason: String },
    #[error("the container engine did not answer within {seconds} s")]
    TimedOut { seconds: u64 },
    #[error("{message}")]
    NotFound { message: String },
    /// Something of that name is there already, or is in the wrong state for this.
    #[error("{message}")]
    Conflict { message: String },
    #[error("{message}")]
    Refused { message: String },
}
