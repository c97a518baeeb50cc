//! The fields of Argo CD's Application that are real but not modelled: naming one is no typo. They are stored as
//! given, and the syncer says where it does not support one.

/// Whether Argo CD knows `field` in what we decode as the struct `of`.
pub fn knows(of: &str, field: &str) -> bool {
    FIELDS.iter().any(|(name, fields)| *name == of && fields.contains(&field))
}

const FIELDS: &[(&str, &[&str])] = &[
    ("ApplicationSpec", &["sourceHydrator"]),
    ("ApplicationStatus", &["observedAt", "resourceHealthSource", "controllerNamespace", "sourceHydrator"]),
    ("SyncResult", &["managedNamespaceMetadata"]),
    ("ResourceResult", &["images"]),
];
