//! Names things: which object (`ObjectKey`) and which state of the store (`Revision`).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::kinds::Kind;

/// The identity of an object: its kind, its namespace (empty for cluster-scoped kinds) and its name.
///
/// Ordered by group, plural, namespace and name, which is the order of lists.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    pub kind: &'static Kind,
    pub namespace: String,
    pub name: String,
}

impl ObjectKey {
    pub fn new(kind: &'static Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        let namespace = if kind.namespaced { namespace.into() } else { String::new() };
        Self { kind, namespace, name: name.into() }
    }

    /// The API path of the object, for example `/apis/apps/v1/namespaces/default/deployments/web`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.kind.collection_path(&self.namespace), self.name)
    }
}

/// `Deployment default/web`, or `Node n1` for cluster-scoped kinds.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind.kind, self.name),
        }
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A state of the whole store; `metadata.resourceVersion` is the revision that last wrote the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Revision {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
