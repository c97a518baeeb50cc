//! `Application` (argoproj.io/v1alpha1): what to sync from where, and how far it is, in Argo CD's published shape.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

macro_rules! wire {
    ($($(#[$doc:meta])* struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            $(
                $(#[$field_doc])*
                #[serde(skip_serializing_if = "crate::object::application::is_default")]
                pub $field: $type,
            )*
        }
    )*};
}

mod operation;
mod spec;
mod status;

pub use operation::{Operation, SyncOperation, SyncTarget};
pub use spec::{
    ApplicationSpec, Automated, Backoff, Destination, Directory, Helm, HelmFileParameter, HelmParameter,
    IgnoreDifferences, Info, Kustomize, KustomizePatch, KustomizeReplica, KustomizeTarget, NamespaceMetadata, Retry,
    Source, SyncPolicy,
};
pub use status::{
    ApplicationCondition, ApplicationStatus, ComparedTo, HealthStatus, HistoryEntry, InitiatedBy, OperationState,
    ResourceResult, ResourceStatus, Summary, SyncResult, SyncStatus,
};

/// `kubectl annotate application NAME argocd.argoproj.io/refresh=normal` asks for a sync now.
pub const REFRESH_ANNOTATION: &str = "argocd.argoproj.io/refresh";
/// The id of the commit whose deletions are approved, in full or at least seven characters of it.
pub const APPROVE_ANNOTATION: &str = "windlass.dev/approve-prune";
/// How much a commit may delete without approval: `10, 50%` (the default) is up to ten objects, or half of all.
pub const BUDGET_ANNOTATION: &str = "windlass.dev/prune-budget";
/// What git hosts and receivers of notifications were told last; written by windlass.
pub const REPORTED_ANNOTATION: &str = "windlass.dev/reported";
/// `true`: the git notes on the commits of its (first) repository are pushed to where that came from.
pub const PUSH_NOTES_ANNOTATION: &str = "windlass.dev/push-notes";
/// In `operation.info`, the id of the plan that the sync shall carry out, and no other.
pub const PLAN_INFO: &str = "plan";
/// `true`: the Application is left alone until the annotation goes.
pub const SKIP_ANNOTATION: &str = "argocd.argoproj.io/skip-reconcile";

wire! {
    struct Application {
        api_version: String,
        kind: String,
        metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
        spec: ApplicationSpec,
        status: ApplicationStatus,
        /// A sync that somebody asks for, once; it goes as soon as it has begun.
        operation: Option<Operation>,
    }
}

impl Application {
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }
}

/// JSON that is handed on as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Opaque(pub serde_json::Value);

impl JsonSchema for Opaque {
    fn schema_name() -> Cow<'static, str> {
        "Opaque".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
