//! Several writes that happen together: each step sees the steps before it, and all of them become real at
//! one revision or none does. A transaction that is not committed is a dry run.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::author::Author;
use super::options::{Patch, Target, WriteOptions};
use super::verbs::{Deleted, Written};
use crate::cluster::store::{Batch, CommitError, Op, Precondition, Snapshot, Store};
use crate::object::clock::rfc3339;
use crate::object::kinds::{Shape, Subresource};
use crate::object::{ApiError, Draft, Kind, Object, ObjectKey, Revision};

pub struct Transaction {
    store: Store,
    base: Arc<Snapshot>,
    pub(super) now: Timestamp,
    pub(super) author: Author,
    /// The latest step on each object: what later steps see.
    pending: BTreeMap<ObjectKey, Step>,
    warnings: Vec<String>,
    last: Option<ObjectKey>,
}

/// What a transaction does to one object.
#[derive(Clone, Debug)]
pub struct Step {
    pub key: ObjectKey,
    pub kind: StepKind,
    /// The state in the store when the transaction began.
    pub before: Option<Arc<Object>>,
    /// The state that the transaction leaves; `None` when it removes the object.
    pub after: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    Create,
    Update,
    /// The object is as asked already: nothing is written.
    Keep,
    Delete,
}

impl Transaction {
    pub(super) fn new(store: Store, base: Arc<Snapshot>, now: Timestamp, author: Author) -> Self {
        Self { store, base, now, author, pending: BTreeMap::new(), warnings: Vec::new(), last: None }
    }

    /// The revision of the state that this transaction was computed from.
    pub fn base(&self) -> Revision {
        self.base.revision()
    }

    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.pending.values()
    }

    /// Whose writes these are.
    pub fn author(&self) -> &Author {
        &self.author
    }

    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The object as the steps so far leave it.
    pub fn current(&self, key: &ObjectKey) -> Option<Value> {
        match self.pending.get(key) {
            Some(step) => step.after.clone(),
            None => self.base.get(key).map(|o| o.value()),
        }
    }

    /// # Errors
    /// The refusal for the client.
    pub fn create(
        &mut self,
        kind: &'static Kind,
        namespace: &str,
        mut object: Value,
        _options: WriteOptions,
    ) -> Result<(), ApiError> {
        if !object.is_object() || !(object["metadata"].is_object() || object["metadata"].is_null()) {
            return Err(ApiError::bad_request(format!("the object provided is not a {}", kind.kind)));
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let key = ObjectKey::new(kind, namespace, name);
        if self.current(&key).is_some() {
            return Err(ApiError::already_exists(kind, &key.name));
        }
        let metadata = &mut object["metadata"];
        if kind.namespaced {
            metadata["namespace"] = json!(namespace);
        }
        metadata["uid"] = json!(uuid::Uuid::new_v4().to_string());
        metadata["creationTimestamp"] = json!(rfc3339(self.now));
        if kind.shape == Shape::Spec {
            metadata["generation"] = json!(1);
        }
        object["apiVersion"] = json!(kind.api_version());
        object["kind"] = json!(kind.kind);
        self.put(key, object);
        Ok(())
    }

    /// # Errors
    /// The refusal for the client.
    pub fn update(&mut self, target: &Target, mut object: Value, _options: WriteOptions) -> Result<(), ApiError> {
        let kind = target.key.kind;
        if !object.is_object() || !object["metadata"].is_object() {
            return Err(ApiError::bad_request(format!("the object provided is not a {}", kind.kind)));
        }
        let current = self.current(&target.key).ok_or_else(|| ApiError::not_found(kind, &target.key.name))?;
        let named = object["metadata"]["resourceVersion"].as_str();
        if named.is_some_and(|named| current["metadata"]["resourceVersion"].as_str() != Some(named)) {
            return Err(ApiError::modified(kind, &target.key.name));
        }
        if target.subresource == Some(Subresource::Status) {
            let mut next = current.clone();
            next["status"] = object["status"].take();
            object = next;
        } else if !current["status"].is_null() {
            object["status"] = current["status"].clone();
        }
        for field in ["uid", "creationTimestamp", "namespace", "generation", "deletionTimestamp", "resourceVersion"] {
            if !current["metadata"][field].is_null() {
                object["metadata"][field] = current["metadata"][field].clone();
            }
        }
        if kind.shape == Shape::Spec && object["spec"] != current["spec"] {
            object["metadata"]["generation"] = json!(current["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
        self.put(target.key.clone(), object);
        Ok(())
    }

    /// # Errors
    /// The refusal for the client.
    pub fn patch(&mut self, target: &Target, patch: Patch, options: WriteOptions) -> Result<(), ApiError> {
        let current = self.current(&target.key);
        let (document, create) = match patch {
            Patch::Merge(document) | Patch::Strategic(document) => (document, false),
            Patch::Apply(document) => (document, true),
            Patch::Json(document) => {
                let mut object = current.ok_or_else(|| ApiError::not_found(target.key.kind, &target.key.name))?;
                let patch: json_patch::Patch =
                    serde_json::from_value(document).map_err(|e| ApiError::bad_request(e.to_string()))?;
                json_patch::patch(&mut object, &patch).map_err(|e| ApiError::bad_request(e.to_string()))?;
                return self.update(target, object, options);
            }
        };
        match current {
            Some(mut object) => {
                json_patch::merge(&mut object, &document);
                self.update(target, object, options)
            }
            None if create => self.create(target.key.kind, &target.key.namespace, document, options),
            None => Err(ApiError::not_found(target.key.kind, &target.key.name)),
        }
    }

    pub(super) fn put(&mut self, key: ObjectKey, after: Value) {
        let before = self.base.get(&key).cloned();
        let kind = match &before {
            None => StepKind::Create,
            Some(object) if object.value() == after => StepKind::Keep,
            Some(_) => StepKind::Update,
        };
        self.last = Some(key.clone());
        self.pending.insert(key.clone(), Step { key, kind, before, after: Some(after) });
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) {
        let before = self.base.get(key).cloned();
        self.last = Some(key.clone());
        self.pending.insert(key.clone(), Step { key: key.clone(), kind: StepKind::Delete, before, after: None });
    }

    /// Stores all steps at one revision.
    ///
    /// # Errors
    /// `Conflict` when the state that the steps were computed from has moved; nothing was stored then.
    pub async fn commit(self) -> Result<Vec<Arc<Object>>, ApiError> {
        let mut ops = Vec::new();
        for step in self.pending.into_values() {
            let expect = step.before.as_ref().map_or(Precondition::Absent, |o| Precondition::At(o.meta.revision));
            match (step.kind, step.after) {
                (StepKind::Keep, _) => {}
                (_, Some(after)) => ops.push(Op::Put { draft: Box::new(Draft::new(step.key.kind, &after)), expect }),
                (_, None) if step.before.is_some() => ops.push(Op::Delete { key: step.key, expect }),
                (_, None) => {}
            }
        }
        if ops.is_empty() {
            return Ok(Vec::new());
        }
        let committed = self.store.commit(Batch { ops }).await.map_err(|error| match error {
            CommitError::Precondition { key, expected: Precondition::Absent, .. } => {
                ApiError::already_exists(key.kind, &key.name)
            }
            CommitError::Precondition { key, .. } => ApiError::modified(key.kind, &key.name),
            other => ApiError::internal(other),
        })?;
        Ok(committed.objects.into_iter().flatten().collect())
    }

    pub(super) async fn finish_one(self, dry_run: bool) -> Result<Written, ApiError> {
        let step = self.last.as_ref().and_then(|key| self.pending.get(key)).cloned();
        let step = step.ok_or_else(|| ApiError::internal("a write without a step"))?;
        let warnings = self.warnings.clone();
        let created = step.kind == StepKind::Create;
        let preview = || {
            let revision = step.before.as_ref().map(|o| o.meta.revision).unwrap_or_default();
            Arc::new(Draft::new(step.key.kind, step.after.as_ref().unwrap_or(&Value::Null)).seal(revision))
        };
        let object = match (dry_run, step.kind, &step.before) {
            (_, StepKind::Keep, Some(same)) => same.clone(),
            (true, ..) => preview(),
            // An object that lost its last finalizer is gone: its last state is the answer.
            (false, ..) => self.commit().await?.into_iter().find(|o| o.key == step.key).unwrap_or_else(preview),
        };
        Ok(Written { object, created, warnings })
    }

    pub(super) async fn finish_delete(self, dry_run: bool) -> Result<Deleted, ApiError> {
        let gone = self.last.as_ref().and_then(|key| self.pending.get(key)).is_none_or(|step| step.after.is_none());
        let written = self.finish_one(dry_run).await?.object;
        Ok(if gone { Deleted::Gone(written) } else { Deleted::Pending(written) })
    }
}
