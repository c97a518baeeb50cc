//! How far an Application is.

use super::operation::Operation;
use super::spec::{Destination, IgnoreDifferences, Source};

wire! {
    struct ApplicationStatus {
        sync: SyncStatus,
        health: HealthStatus,
        resources: Vec<ResourceStatus>,
        history: Vec<HistoryEntry>,
        operation_state: Option<OperationState>,
        conditions: Vec<ApplicationCondition>,
        summary: Summary,
        reconciled_at: Option<String>,
        /// `Directory`, `Kustomize` or `Helm`.
        source_type: String,
        source_types: Vec<String>,
    }

    struct SyncStatus {
        /// `Synced`, `OutOfSync` or `Unknown`.
        status: String,
        /// Commit that was compared, in full.
        revision: String,
        /// One a source, where there are several.
        revisions: Vec<String>,
        compared_to: Option<ComparedTo>,
    }

    /// The part of the spec that was compared.
    struct ComparedTo {
        source: Source,
        sources: Vec<Source>,
        destination: Destination,
        ignore_differences: Vec<IgnoreDifferences>,
    }

    struct HealthStatus {
        /// `Healthy`, `Suspended`, `Progressing`, `Missing`, `Degraded` or `Unknown`.
        status: String,
        message: String,
        last_transition_time: Option<String>,
    }

    struct ResourceStatus {
        group: String,
        version: String,
        kind: String,
        namespace: String,
        name: String,
        /// `Synced` or `OutOfSync`.
        status: String,
        health: Option<HealthStatus>,
        hook: bool,
        requires_pruning: bool,
        requires_deletion_confirmation: bool,
        sync_wave: i64,
    }

    struct HistoryEntry {
        id: i64,
        /// Commit in full.
        revision: String,
        revisions: Vec<String>,
        deployed_at: Option<String>,
        deploy_started_at: Option<String>,
        source: Source,
        sources: Vec<Source>,
        initiated_by: InitiatedBy,
        /// Author and subject of the commit, what triggered the sync and how long it took: windlass's addition to
        /// Argo CD's shape.
        author: String,
        subject: String,
        trigger: String,
        duration: String,
    }

    struct InitiatedBy {
        automated: bool,
        username: String,
    }

    struct OperationState {
        /// The request, where somebody made one.
        operation: Option<Operation>,
        /// `Running`, `Terminating`, `Failed`, `Error` or `Succeeded`.
        phase: String,
        message: String,
        started_at: Option<String>,
        finished_at: Option<String>,
        retry_count: i64,
        sync_result: Option<SyncResult>,
    }

    struct SyncResult {
        revision: String,
        revisions: Vec<String>,
        source: Source,
        sources: Vec<Source>,
        resources: Vec<ResourceResult>,
    }

    struct ResourceResult {
        group: String,
        version: String,
        kind: String,
        namespace: String,
        name: String,
        /// `Synced`, `SyncFailed`, `Pruned` or `PruneSkipped`.
        status: String,
        message: String,
        /// `PreSync`, `Sync` or `PostSync`.
        sync_phase: String,
        /// Set on hooks only, with the phase that the hook is in (`Running`, `Succeeded`, `Failed`).
        hook_type: String,
        hook_phase: String,
    }

    struct ApplicationCondition {
        /// For example `ComparisonError`, `SyncError`, `InvalidSpecError`.
        #[serde(rename = "type")]
        type_: String,
        message: String,
        last_transition_time: Option<String>,
    }

    struct Summary {
        images: Vec<String>,
        #[serde(rename = "externalURLs")]
        external_urls: Vec<String>,
    }
}
