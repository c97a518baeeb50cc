//! Reads and judges the body of a write. The rules are `object::schema`'s, `defaults`' and `validation`'s; this is
//! the one place where writes meet them.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::custom;
use super::defaults;
use super::options::FieldValidation;
use super::request;
use super::strategy::Strategy;
use super::validation;
use crate::object::custom::Described;
use crate::object::{ApiError, Cause, Kind, kinds, schema};

/// Makes a request's body an object of its kind: right in its types, without unknown fields. Gives the
/// warnings.
///
/// # Errors
/// `BadRequest` for another kind, a wrong type, or an unknown field when the write is strict.
pub fn decode(kind: Described<'_>, object: &mut Value, validation: FieldValidation) -> Result<Vec<String>, ApiError> {
    let unknown = match kind.version() {
        Some(version) => keeping_reset(object, |object| custom::check(version, object))?,
        None => keeping_reset(object, |object| schema::check(kind.row, object))?,
    };
    let mut warnings = request::unknown_fields(kind.row, unknown, validation)?;
    if let Some(version) = kind.version() {
        warnings.extend(version.deprecation.clone());
        custom::is_named_right(version, object)?;
    }
    complete(kind.row, object);
    Ok(warnings)
}

/// An empty `managedFields` asks to forget all owners; bringing the object in order would drop it like any empty list.
pub fn keeping_reset<T>(object: &mut Value, order: impl FnOnce(&mut Value) -> T) -> T {
    let resets = object["metadata"]["managedFields"].as_array().is_some_and(Vec::is_empty);
    let done = order(object);
    if resets && object["metadata"].is_object() {
        object["metadata"]["managedFields"] = json!([]);
    }
    done
}

/// Fills in what every object has: `apiVersion`, `kind` and metadata.
pub fn complete(kind: &'static Kind, object: &mut Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert("apiVersion".into(), kind.api_version().into());
        members.insert("kind".into(), kind.kind.into());
        members.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    }
}

/// Fills in what a write leaves out.
pub fn default(kind: Described<'_>, object: &mut Value) {
    match kind.version() {
        Some(version) => version.default(object),
        None => defaults::apply(kind.row, object),
    }
}

/// Gives a new object what it begins with: a status, and the tolerations and priority of a pod.
///
/// # Errors
/// `Forbidden` when the object names something that does not exist.
pub fn begin(kind: &'static Kind, object: &mut Value, now: Timestamp) -> Result<(), ApiError> {
    if Strategy::of(kind).status.is_some()
        && kind != kinds::NODE
        && let Some(members) = object.as_object_mut()
    {
        // A client's own status is dropped; but a kubelet registers its node with one.
        members.remove("status");
    }
    defaults::create(kind, object, now)
}

/// Gives an object that replaces `old` what it began with.
pub fn go_on(kind: &'static Kind, object: &mut Value, old: &Value, now: Timestamp) {
    defaults::update(kind, object, old, now);
}

/// What is wrong with a new object.
pub fn validate_new(kind: Described<'_>, object: &Value) -> Vec<Cause> {
    let mut causes = validation::create(kind.row, object);
    causes.extend(kind.version().into_iter().flat_map(|version| version.validate(object, None)));
    causes
}

/// What is wrong with a change.
pub fn validate_change(kind: Described<'_>, new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = validation::update(kind.row, new, old);
    causes.extend(kind.version().into_iter().flat_map(|version| version.validate(new, Some(old))));
    causes
}

/// What is wrong with a change of status.
pub fn validate_status(kind: Described<'_>, new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = validation::status(kind.row, new, old);
    causes.extend(kind.version().into_iter().flat_map(|version| version.validate(new, Some(old))));
    causes
}
