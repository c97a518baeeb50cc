//! Updates: optimistic concurrency, what an update may not touch, generations, and the end of objects whose last
//! finalizer is taken off.

use serde_json::{Value, json};

use super::admit;
use super::custom;
use super::definitions;
use super::options::{Target, WriteOptions};
use super::ownership;
use super::policies::Judged;
use super::request;
use super::scale;
use super::strategy::{StatusScope, Strategy};
use super::transaction::Transaction;
use super::validation;
use super::warnings;
use crate::object::kinds::Subresource;
use crate::object::{ApiError, ObjectKey, Reason, kinds, views};
use crate::policy::Operation;

/// Metadata that an update keeps when the request leaves it out.
const KEPT: &[&str] = &["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];

/// Who says what the managed fields of the written object are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owned {
    /// The author, of what the write changes.
    ByChange,
    /// The object says it already: server-side apply worked it out.
    Stated,
}

impl Transaction {
    /// # Errors
    /// The refusal for the client.
    pub fn update(&mut self, target: &Target, mut object: Value, options: WriteOptions) -> Result<(), ApiError> {
        let key = &target.key;
        if let Some(view) = views::of(key.kind) {
            return self.update_through(view, target, object, options);
        }
        match target.subresource {
            None | Some(Subresource::Status | Subresource::EphemeralContainers) => {}
            Some(Subresource::Scale) => return self.update_scale(key, object, options),
            Some(Subresource::Finalize) => return self.finalize_namespace(key, &object),
            Some(_) => return Err(not_allowed()),
        }
        let kinds = self.kinds().clone();
        let warnings = admit::decode(custom::described(&kinds, key.kind)?, &mut object, options.validation)?;
        request::check_name(key, &object)?;
        request::check_namespace(key.kind, &key.namespace, &mut object)?;
        let version = request::named_version(&object)?;
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let Some(current) = self.current(key) else {
            let creates = Strategy::of(key.kind).create_on_update && target.subresource.is_none();
            if !creates || version.is_some() || !uid.is_empty() {
                return Err(ApiError::not_found(key.kind, &key.name));
            }
            return self.create(key.kind, &key.namespace, object, options);
        };
        self.check_version(key, version, &current)?;
        if let Some(stored) = current["metadata"]["uid"].as_str().filter(|stored| !uid.is_empty() && *stored != uid) {
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {stored}");
            return Err(ApiError::conflict(key.kind, &key.name, why));
        }
        let replaced = self.replace(target, &current, object, Owned::ByChange);
        self.warn_first(warnings, replaced)
    }

    /// The object must be as the writer saw it, where it says how it saw it.
    pub(super) fn check_version(&self, key: &ObjectKey, version: Option<u64>, current: &Value) -> Result<(), ApiError> {
        let stored = current["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        match version {
            None if Strategy::of(key.kind).unconditional_update => Ok(()),
            None => Err(request::version_required(key)),
            Some(version) if version.to_string() == stored => Ok(()),
            Some(_) => Err(ApiError::modified(key.kind, &key.name)),
        }
    }

    /// Puts `object`, which is decoded and names the right object, in the place of `current`.
    pub(super) fn replace(
        &mut self,
        target: &Target,
        current: &Value,
        mut object: Value,
        owned: Owned,
    ) -> Result<(), ApiError> {
        let key = &target.key;
        let known = self.kinds().clone();
        let described = custom::described(&known, key.kind)?;
        let strategy = Strategy::of(key.kind);
        admit::default(described, &mut object);
        if owned == Owned::ByChange {
            let subresource = target.subresource.map(Subresource::as_str);
            ownership::record_update(described, current, &mut object, &self.author, subresource, self.now);
        }
        let mut next = match target.subresource {
            Some(Subresource::Status) => with_status(&strategy, current, object),
            Some(Subresource::EphemeralContainers) => with_ephemeral(current, object),
            _ => without_status(&strategy, current, object),
        };
        keep_metadata(current, &mut next);
        admit::go_on(key.kind, &mut next, current, self.now);
        if key.kind == kinds::NAMESPACE {
            next["spec"] = current["spec"].clone();
        }
        if key.kind == kinds::SERVICE && target.subresource.is_none() {
            self.allocate(&mut next, Some(current))?;
        }
        let counted = [None, Some(Subresource::EphemeralContainers), Some(Subresource::Scale)];
        if counted.contains(&target.subresource) && strategy.counts(&next, current) {
            let generation = current["metadata"]["generation"].as_i64().unwrap_or(0);
            next["metadata"]["generation"] = json!(generation + 1);
        }
        if key.kind == kinds::CUSTOM_RESOURCE_DEFINITION {
            definitions::go_on(&mut next);
        }
        let causes = match target.subresource {
            Some(Subresource::Status) => admit::validate_status(described, &next, current),
            Some(Subresource::EphemeralContainers) => validation::ephemeral(&next, current),
            _ => admit::validate_change(described, &next, current),
        };
        if !causes.is_empty() {
            return Err(ApiError::invalid(key.kind, &key.name, causes));
        }
        self.check_grant(key.kind, &next, Some(current))?;
        if target.subresource.is_none() {
            self.check_limits(key.kind, &next, Some(current))?;
            self.charge_quotas(key.kind, &next, Some(current))?;
        }
        if target.subresource == Some(Subresource::Scale) {
            let of = |workload| scale::of(self.kinds().describe(key.kind), workload);
            let (asked, had) = (of(&next)?, of(current)?);
            self.judge_update(key, "scale", &asked, &had)?;
        } else {
            self.judge_update(key, target.subresource.map_or("", Subresource::as_str), &next, current)?;
        }
        if matches!(target.subresource, None | Some(Subresource::Scale)) {
            self.warn(warnings::update(key.kind, &next, current));
        }
        if key.kind == kinds::CUSTOM_RESOURCE_DEFINITION {
            self.settle_definition(key, &mut next)?;
        }
        self.put_or_finish(key, current, next);
        Ok(())
    }

    /// Replaces the status, in a write to that subresource, and leaves the rest as it is. `status` was written by the kind's
    /// own type: it is not brought in order once more.
    ///
    /// # Errors
    /// `NotFound`, or the refusal.
    pub fn set_status(&mut self, key: &ObjectKey, status: Value) -> Result<(), ApiError> {
        let current = self.require(key)?;
        if current["status"] == status || current["status"].is_null() && status == json!({}) {
            return Ok(());
        }
        let known = self.kinds().clone();
        let described = custom::described(&known, key.kind)?;
        let members = current.as_object().into_iter().flatten().filter(|(name, _)| *name != "status");
        let mut next: Value = members.map(|(name, value)| (name.clone(), value.clone())).collect();
        next["status"] = status;
        let subresource = Subresource::Status.as_str();
        ownership::record_update(described, &current, &mut next, &self.author, Some(subresource), self.now);
        let causes = admit::validate_status(described, &next, &current);
        if !causes.is_empty() {
            return Err(ApiError::invalid(key.kind, &key.name, causes));
        }
        self.judge_update(key, subresource, &next, &current)?;
        self.put(key.clone(), Some(&current), next);
        Ok(())
    }

    /// Asks policies about a change. What changes nothing is not judged: a policy that came later must not keep an
    /// object from being looked at.
    pub(super) fn judge_update(
        &mut self,
        key: &ObjectKey,
        subresource: &str,
        next: &Value,
        current: &Value,
    ) -> Result<(), ApiError> {
        if self.policies().is_empty() || ownership::same(current, next) {
            return Ok(());
        }
        let operation = Operation::Update;
        self.judge(&Judged { key, subresource, operation, object: Some(next), old: Some(current) })
    }

    /// Puts the object, or removes it when it was only held by finalizers and holds none any more.
    pub(super) fn put_or_finish(&mut self, key: &ObjectKey, current: &Value, next: Value) {
        let metadata = &next["metadata"];
        let held = |list: &Value| list.as_array().is_some_and(|finalizers| !finalizers.is_empty());
        let deleting = !metadata["deletionTimestamp"].is_null();
        let waits = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
        let contents = key.kind == kinds::NAMESPACE && held(&next["spec"]["finalizers"]);
        if deleting && !waits && !contents && !held(&metadata["finalizers"]) {
            self.remove(key);
        } else {
            self.put(key.clone(), Some(current), next);
        }
    }

    /// `namespaces/finalize`: a namespace whose contents are gone may go.
    fn finalize_namespace(&mut self, key: &ObjectKey, object: &Value) -> Result<(), ApiError> {
        request::check_name(key, object)?;
        let current = self.require(key)?;
        let version = request::named_version(object)?;
        self.check_version(key, version, &current)?;
        let mut next = current.clone();
        match &object["spec"]["finalizers"] {
            Value::Array(finalizers) if !finalizers.is_empty() => next["spec"]["finalizers"] = json!(finalizers),
            _ => next["spec"] = json!({}),
        }
        ownership::record_update(key.kind.into(), &current, &mut next, &self.author, Some("finalize"), self.now);
        self.judge_update(key, "finalize", &next, &current)?;
        self.put_or_finish(key, &current, next);
        Ok(())
    }
}

/// A main write cannot change status.
fn without_status(strategy: &Strategy, current: &Value, mut object: Value) -> Value {
    if strategy.status.is_some()
        && let Some(members) = object.as_object_mut()
    {
        match current.get("status") {
            Some(status) => members.insert("status".into(), status.clone()),
            None => members.remove("status"),
        };
    }
    object
}

/// A status write changes status, and of metadata what the kind lets it.
fn with_status(strategy: &Strategy, current: &Value, mut object: Value) -> Value {
    let mut next = current.clone();
    let Some(members) = next.as_object_mut() else { return next };
    match object["status"].take() {
        Value::Null => members.remove("status"),
        status => members.insert("status".into(), status),
    };
    match strategy.status {
        Some(StatusScope::MetadataExcept(except)) => {
            let mut metadata = object["metadata"].take();
            for name in except {
                match current["metadata"].get(*name) {
                    Some(kept) => metadata[*name] = kept.clone(),
                    None => drop(metadata.as_object_mut().and_then(|m| m.remove(*name))),
                }
            }
            next["metadata"] = metadata;
        }
        Some(StatusScope::StatusOnly) | None => match object["metadata"]["managedFields"].take() {
            Value::Null => {}
            owners => next["metadata"]["managedFields"] = owners,
        },
    }
    next
}

/// A write to `pods/ephemeralcontainers` changes these alone.
fn with_ephemeral(current: &Value, mut object: Value) -> Value {
    let mut next = current.clone();
    if let Some(spec) = next["spec"].as_object_mut() {
        match object["spec"]["ephemeralContainers"].take() {
            Value::Null => spec.remove("ephemeralContainers"),
            containers => spec.insert("ephemeralContainers".into(), containers),
        };
    }
    match object["metadata"]["managedFields"].take() {
        Value::Null => {}
        owners => next["metadata"]["managedFields"] = owners,
    }
    next
}

fn keep_metadata(current: &Value, next: &mut Value) {
    let (Some(old), Some(new)) = (current["metadata"].as_object(), next["metadata"].as_object_mut()) else { return };
    for name in KEPT {
        if let Some(value) = old.get(*name) {
            new.entry(*name).or_insert_with(|| value.clone());
        }
    }
    new.remove("selfLink");
    // Only the server counts.
    for name in ["generation", "resourceVersion"] {
        match old.get(name) {
            Some(value) => new.insert(name.into(), value.clone()),
            None => new.remove(name),
        };
    }
}

fn not_allowed() -> ApiError {
    ApiError::new(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource")
}
