//! The fields of Argo CD's Application that are real but not modelled: naming one is no typo. They are stored as
//! given, and the syncer says where it does not support one.

/// Whether Argo CD knows `field` in what we decode as the struct `of`.
pub fn knows(of: &str, field: &str) -> bool {
    FIELDS.iter().any(|(name, fields)| *name == of && fields.contains(&field))
}

const FIELDS: &[(&str, &[&str])] = &[
    ("Application", &["operation"]),
    ("ApplicationSpec", &["sources", "ignoreDifferences", "info", "sourceHydrator"]),
    ("Source", &["helm", "kustomize", "directory", "plugin", "chart", "ref", "name"]),
    ("SyncPolicy", &["retry", "managedNamespaceMetadata"]),
    (
        "ApplicationStatus",
        &["observedAt", "sourceTypes", "resourceHealthSource", "controllerNamespace", "sourceHydrator"],
    ),
    ("SyncStatus", &["comparedTo", "revisions"]),
    ("HealthStatus", &["lastTransitionTime"]),
    ("ResourceStatus", &["hook", "syncWave", "requiresDeletionConfirmation"]),
    ("HistoryEntry", &["sources", "revisions"]),
    ("OperationState", &["operation"]),
    ("SyncResult", &["source", "sources", "revisions", "managedNamespaceMetadata"]),
    ("ResourceResult", &["hookType", "hookPhase", "syncPhase", "images"]),
    ("Summary", &["externalURLs"]),
];
