//! What a request asks of the registry: on what, how, and under which conditions.

use serde_json::Value;

use crate::object::kinds::Subresource;
use crate::object::{Kind, ObjectKey, Revision};

/// An object, or one of its subresources.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub key: ObjectKey,
    pub subresource: Option<Subresource>,
}

impl Target {
    pub fn new(kind: &'static Kind, namespace: &str, name: &str) -> Self {
        Self { key: ObjectKey::new(kind, namespace, name), subresource: None }
    }

    pub fn status(key: ObjectKey) -> Self {
        Self { key, subresource: Some(Subresource::Status) }
    }
}

impl From<ObjectKey> for Target {
    fn from(key: ObjectKey) -> Self {
        Self { key, subresource: None }
    }
}

/// `fieldValidation` of the Kubernetes API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Unknown fields are dropped silently.
    Ignore,
    /// Unknown fields are dropped and named in a warning.
    #[default]
    Warn,
    /// Unknown fields refuse the write.
    Strict,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    pub validation: FieldValidation,
    /// Server-side apply takes over fields that others own, instead of refusing.
    pub force: bool,
    /// Go through everything and store nothing.
    pub dry_run: bool,
}

/// A patch document and how it is to be read.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 6902.
    Json(Value),
    /// RFC 7386.
    Merge(Value),
    /// Kubernetes's strategic merge patch.
    Strategic(Value),
    /// Server-side apply.
    Apply(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteOptions {
    pub grace_period_seconds: Option<i64>,
    pub propagation: Option<Propagation>,
    pub preconditions: Preconditions,
    pub dry_run: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preconditions {
    pub uid: Option<String>,
    pub revision: Option<Revision>,
}
