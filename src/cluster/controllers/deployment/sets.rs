//! A Deployment's ReplicaSets as a plan works on them: what is stored, and what the plan has changed so far.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::PodTemplateSpec;

use super::rolling::Size;
use crate::object::Revision;

pub const REVISION: &str = "deployment.kubernetes.io/revision";
pub const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
pub const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";

/// One ReplicaSet.
#[derive(Clone, Debug, Default)]
pub struct Set {
    pub name: String,
    pub uid: String,
    pub created: Option<Timestamp>,
    pub generation: i64,
    pub deleting: bool,
    pub replicas: i32,
    pub min_ready_seconds: i32,
    pub annotations: BTreeMap<String, String>,
    pub template: PodTemplateSpec,
    pub status: ReplicaSetStatus,
    /// The state that it was last stored at; `None` for one that the plan makes.
    pub stored: Option<Stored>,
}

#[derive(Clone, Debug)]
pub struct Stored {
    pub object: Arc<ReplicaSet>,
    pub revision: Revision,
}

impl Set {
    pub fn of(object: Arc<ReplicaSet>, generation: i64, revision: Revision) -> Self {
        let meta = &object.metadata;
        let spec = object.spec.as_ref();
        Self {
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map(|t| t.0),
            generation,
            deleting: meta.deletion_timestamp.is_some(),
            replicas: spec.and_then(|s| s.replicas).unwrap_or(1),
            min_ready_seconds: spec.and_then(|s| s.min_ready_seconds).unwrap_or(0),
            annotations: meta.annotations.clone().unwrap_or_default(),
            template: spec.and_then(|s| s.template.clone()).unwrap_or_default(),
            status: object.status.clone().unwrap_or_default(),
            stored: Some(Stored { object, revision }),
        }
    }

    pub fn available(&self) -> i32 {
        self.status.available_replicas.unwrap_or(0)
    }

    /// What a roll may count on: a ReplicaSet that has yet to give up pods will not keep more than it is to have, however many it
    /// still reports.
    pub fn size(&self) -> Size {
        Size { replicas: self.replicas, available: self.available().min(self.replicas) }
    }

    /// The Deployment's revision that this ReplicaSet stands for; 0 when it has none.
    pub fn revision(&self) -> i64 {
        self.number(REVISION).unwrap_or(0)
    }

    pub fn number<T: std::str::FromStr>(&self, annotation: &str) -> Option<T> {
        self.annotations.get(annotation)?.parse().ok()
    }

    /// Writes an annotation; true when that changes something.
    pub fn annotate(&mut self, name: &str, value: &str) -> bool {
        if self.annotations.get(name).is_some_and(|v| v == value) {
            return false;
        }
        self.annotations.insert(name.to_owned(), value.to_owned());
        true
    }

    /// Remembers the size of the Deployment that this ReplicaSet was last sized for.
    pub fn annotate_sizes(&mut self, wanted: i32, most: i32) -> bool {
        let wanted = self.annotate(DESIRED_REPLICAS, &wanted.to_string());
        self.annotate(MAX_REPLICAS, &most.to_string()) || wanted
    }
}

/// Older first. Creation times count whole seconds, so the revision decides between equal ones, then the name.
pub fn by_age(a: &Set, b: &Set) -> Ordering {
    (a.created, a.revision(), &a.name).cmp(&(b.created, b.revision(), &b.name))
}
