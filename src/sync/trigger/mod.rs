//! What makes a sync happen now: a ref that moved, a poll, a webhook, a person.

mod poll;
mod refs;
pub mod webhook;

use std::fmt;

pub use poll::jittered;
pub use refs::{RefsWatch, WatchError, watch as watch_refs};

/// Why the syncer looks at the repository. Recorded in the Application's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// windlass was started.
    Start,
    /// A ref of the local repository moved.
    Commit,
    /// The regular look at a repository.
    Poll,
    /// A git host said so.
    Webhook(&'static str),
    /// `argocd.argoproj.io/refresh` on the Application.
    Refresh,
    /// `windlass sync`.
    Request,
    /// The sync before failed for a reason that may pass.
    Retry,
    /// The Application is new, or its spec changed.
    Application,
}

impl Trigger {
    /// Nobody asked for this very sync.
    pub fn is_automated(&self) -> bool {
        !matches!(self, Self::Refresh | Self::Request)
    }

    /// Of two triggers that one look serves, the one that tells more.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let rank = |trigger: &Self| match trigger {
            Self::Start => 5,
            Self::Refresh => 4,
            Self::Request => 3,
            Self::Webhook(_) => 2,
            Self::Application | Self::Commit => 1,
            Self::Poll | Self::Retry => 0,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }

    /// Look again even though the branch has not moved since the last look.
    pub fn is_forced(&self) -> bool {
        matches!(self, Self::Refresh | Self::Request | Self::Retry | Self::Application)
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Commit => f.write_str("commit"),
            Self::Poll => f.write_str("poll"),
            Self::Webhook(host) => write!(f, "webhook ({host})"),
            Self::Refresh => f.write_str("refresh"),
            Self::Request => f.write_str("request"),
            Self::Retry => f.write_str("retry"),
            Self::Application => f.write_str("application"),
        }
    }
}
