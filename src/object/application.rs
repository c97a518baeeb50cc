//! `Application` (argoproj.io/v1alpha1): what to sync from where, and how far it is, in Argo CD's published shape.

use serde::{Deserialize, Serialize};

macro_rules! wire {
    ($($(#[$doc:meta])* struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name { $($(#[$field_doc])* #[serde(skip_serializing_if = "is_default")] pub $field: $type,)* }
    )*};
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

wire! {
    struct Application {
        api_version: String,
        kind: String,
        metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
        spec: ApplicationSpec,
        status: ApplicationStatus,
    }

    struct ApplicationSpec {
        project: String,
        source: Source,
        destination: Destination,
        sync_policy: SyncPolicy,
        revision_history_limit: Option<i32>,
    }

    struct Source {
        /// URL or local path of the repository.
        #[serde(rename = "repoURL")]
        repo_url: String,
        /// Folder inside the repository; empty for all of it.
        path: String,
        /// Branch, tag or commit; empty for the remote's HEAD.
        target_revision: String,
    }

    struct Destination {
        server: String,
        name: String,
        /// Namespace of objects that name none.
        namespace: String,
    }

    struct SyncPolicy {
        automated: Option<Automated>,
        sync_options: Vec<String>,
    }

    struct Automated {
        enabled: Option<bool>,
        prune: bool,
        self_heal: bool,
        allow_empty: bool,
    }

    struct ApplicationStatus {
        sync: SyncStatus,
        health: HealthStatus,
        resources: Vec<ResourceStatus>,
        history: Vec<HistoryEntry>,
        operation_state: Option<OperationState>,
        conditions: Vec<ApplicationCondition>,
        summary: Summary,
        reconciled_at: Option<String>,
        source_type: String,
    }

    struct SyncStatus {
        /// `Synced`, `OutOfSync` or `Unknown`.
        status: String,
        /// Commit that was compared, in full.
        revision: String,
    }

    struct HealthStatus {
        /// `Healthy`, `Suspended`, `Progressing`, `Missing`, `Degraded` or `Unknown`.
        status: String,
        message: String,
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
        requires_pruning: bool,
    }

    struct HistoryEntry {
        id: i64,
        /// Commit in full.
        revision: String,
        deployed_at: Option<String>,
        deploy_started_at: Option<String>,
        source: Source,
        initiated_by: InitiatedBy,
        /// Author and subject of the commit, and what triggered the sync: windlass's addition to Argo CD's shape.
        author: String,
        subject: String,
        trigger: String,
    }

    struct InitiatedBy {
        automated: bool,
        username: String,
    }

    struct OperationState {
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
    }
}

/// `kubectl annotate application NAME argocd.argoproj.io/refresh=normal` asks for a sync now.
pub const REFRESH_ANNOTATION: &str = "argocd.argoproj.io/refresh";
