//! Bounds the requests that are answered at the same time, as Kubernetes's `--max-requests-inflight` does: what is too many is
//! told to come back, and administrators always get through, so that somebody can still see what is wrong.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::auth::Identity;
use super::path::Attributes;
use crate::object::kinds::Subresource;
use crate::object::{ApiError, Reason};

/// Kubernetes's defaults.
const READING: usize = 400;
const WRITING: usize = 200;
/// After so long a client that was sent away may come back, in seconds.
const COME_BACK: u32 = 1;

pub struct InFlight {
    reading: Semaphore,
    writing: Semaphore,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { reading: Semaphore::new(READING), writing: Semaphore::new(WRITING) }
    }
}

impl InFlight {
    /// A place for a request until it is answered; `None` for those that need none.
    ///
    /// # Errors
    /// `TooManyRequests`.
    pub fn admit(&self, identity: &Identity, attributes: &Attributes) -> Result<Option<SemaphorePermit<'_>>, ApiError> {
        if identity.is_admin() || is_long(attributes) {
            return Ok(None);
        }
        let is_read = matches!(attributes.verb, "get" | "list");
        let places = if is_read { &self.reading } else { &self.writing };
        places.try_acquire().map(Some).map_err(|_| ApiError {
            retry_after_seconds: Some(COME_BACK),
            ..ApiError::new(Reason::TooManyRequests, "Too many requests, please try again later.")
        })
    }
}

/// Whether the answer takes as long as the client likes.
fn is_long(attributes: &Attributes) -> bool {
    let streams =
        [Subresource::Log, Subresource::Exec, Subresource::Attach, Subresource::PortForward, Subresource::Proxy];
    attributes.verb == "watch" || streams.iter().any(|stream| attributes.subresource == stream.as_str())
        // A node's own connection.
        || attributes.subresource == "connect"
}
