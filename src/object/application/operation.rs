//! `operation`: one sync that somebody asks for, as `argocd app sync` and `kubectl patch` do.

use super::spec::{Retry, Source};
use super::status::InitiatedBy;

wire! {
    struct Operation {
        sync: Option<SyncOperation>,
        initiated_by: InitiatedBy,
        info: Vec<super::spec::Info>,
        retry: Option<Retry>,
    }

    struct SyncOperation {
        /// What to sync in place of the spec's `targetRevision`.
        revision: String,
        revisions: Vec<String>,
        prune: bool,
        dry_run: bool,
        /// Only these; all when empty.
        resources: Vec<SyncTarget>,
        sync_options: Vec<String>,
        source: Option<Source>,
        sources: Vec<Source>,
        /// Objects to sync in place of those of the source.
        manifests: Vec<String>,
        sync_strategy: Option<super::Opaque>,
        auto_heal_attempts_count: i64,
    }

    struct SyncTarget {
        group: String,
        kind: String,
        name: String,
        namespace: String,
    }
}
