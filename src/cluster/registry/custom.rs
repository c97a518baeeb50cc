//! Reads the bodies of custom resources: what a request must say of their kind, and what a definition that is being
//! deleted refuses. The rules of their fields are `object::custom`'s.

use serde_json::Value;

use super::transaction::Transaction;
use crate::object::custom::{Described, Version};
use crate::object::error::About;
use crate::object::{ApiError, Cause, Kind, Kinds, Reason};

/// The beginning of a body, for people to recognise it by.
const EXCERPT: usize = 30;

/// Puts the object in order as one of this version; gives its unknown fields.
///
/// # Errors
/// `BadRequest` when it does not say what it is, says that it is of another version, or has unreadable metadata.
pub fn check(version: &Version, object: &mut Value) -> Result<Vec<String>, ApiError> {
    let kind = version.kind;
    let text = |name: &str| object[name].as_str().unwrap_or_default();
    if !object.is_object() || text("kind").is_empty() {
        let body = object.to_string();
        let start: String = body.chars().take(EXCERPT).collect();
        let more = if body.chars().count() > EXCERPT { " ..." } else { "" };
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{body}' ({start}{more})",
            kind.kind
        )));
    }
    let (named, expected) = (text("apiVersion"), kind.api_version());
    if named != expected {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({named}) does not match the expected API version ({expected})"
        )));
    }
    version.decode(object).map_err(|refusal| {
        let of = object["kind"].as_str().unwrap_or_default();
        let (version, wanted) = (kind.version, kind.kind);
        ApiError::bad_request(format!("{of} in version \"{version}\" cannot be handled as a {wanted}: {refusal}"))
    })
}

/// # Errors
/// `Invalid`, about the kind that the object names.
pub fn is_named_right(version: &Version, object: &Value) -> Result<(), ApiError> {
    let kind = version.kind;
    let named = object["kind"].as_str().unwrap_or_default();
    if named == kind.kind {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let cause = Cause {
        reason: "FieldValueInvalid".into(),
        message: format!("Invalid value: {named:?}: must be {}", kind.kind),
        field: "kind".into(),
    };
    let message = format!("{named}.{} {name:?} is invalid: {}: {}", kind.group, cause.field, cause.message);
    let about = About { name: name.into(), group: kind.group.into(), kind: named.into(), ..About::default() };
    Err(ApiError { about: Some(Box::new(about)), causes: vec![cause], ..ApiError::new(Reason::Invalid, message) })
}

/// The kind with what is known of its fields.
///
/// # Errors
/// `NotFound` of a custom kind that is not defined (any more).
pub fn described<'a>(kinds: &'a Kinds, kind: &'static Kind) -> Result<Described<'a>, ApiError> {
    let described = kinds.describe(kind);
    if kind.is_built_in() || described.definition.is_some_and(|(_, version)| version.served) {
        return Ok(described);
    }
    let message = "the server could not find the requested resource";
    Err(ApiError { about: Some(Box::new(About::default())), ..ApiError::new(Reason::NotFound, message) })
}

impl Transaction {
    /// The kinds as the steps so far leave them: a step may write objects of a kind that an earlier one defined.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// # Errors
    /// `MethodNotAllowed` while the definition is being deleted.
    pub(super) fn check_definition_takes(&self, kind: &'static Kind) -> Result<(), ApiError> {
        match self.kinds.definition(kind) {
            Some(definition) if definition.terminating => {
                let message = "create not allowed while custom resource definition is terminating";
                let about = About { group: kind.group.into(), kind: kind.plural.into(), ..About::default() };
                let error = ApiError::new(Reason::MethodNotAllowed, message);
                Err(ApiError { about: Some(Box::new(about)), ..error })
            }
            _ => Ok(()),
        }
    }
}
