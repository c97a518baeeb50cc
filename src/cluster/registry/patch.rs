//! Patches: each kind of patch document makes a new object out of the current one, which is then written as an
//! update; server-side apply may also create.

use serde_json::Value;

use super::admit;
use super::custom;
use super::options::{FieldValidation, Patch, Target, WriteOptions};
use super::ownership;
use super::quoted;
use super::request;
use super::transaction::Transaction;
use super::update::Owned;
use crate::diff::{jsonpatch, strategic};
use crate::object::custom::Described;
use crate::object::kinds::Subresource;
use crate::object::{ApiError, Cause, Kind, Reason, schema, views};

impl Transaction {
    /// # Errors
    /// The refusal for the client.
    pub fn patch(&mut self, target: &Target, patch: Patch, options: WriteOptions) -> Result<(), ApiError> {
        if let Some(view) = views::of(target.key.kind) {
            return self.patch_through(view, target, patch, options);
        }
        if target.subresource == Some(Subresource::Scale) {
            return self.patch_scale(&target.key, patch, options);
        }
        if let Patch::Apply(config) = patch {
            return self.apply(target, config, options);
        }
        let key = &target.key;
        let kinds = self.kinds().clone();
        let described = custom::described(&kinds, key.kind)?;
        let current = self.require(key)?;
        let mut object = patched(key.kind, &current, &patch)?;
        // The name is checked first: a patch that takes it away gives no object to speak of.
        let warnings = read_patched(described, &current, &mut object, &patch, options.validation)?;
        request::check_name(key, &object)?;
        request::check_namespace(key.kind, &key.namespace, &mut object)?;
        let version = request::named_version(&object)?;
        if version.is_some() {
            self.check_version(key, version, &current)?;
        }
        let replaced = self.replace(target, &current, object, Owned::ByChange);
        self.warn_first(warnings, replaced)
    }

    fn apply(&mut self, target: &Target, config: Value, options: WriteOptions) -> Result<(), ApiError> {
        let key = &target.key;
        let kinds = self.kinds().clone();
        let described = custom::described(&kinds, key.kind)?;
        let live = self.current(key);
        if live.is_none() && target.subresource.is_some() {
            return Err(ApiError::not_found(key.kind, &key.name));
        }
        let subresource = target.subresource.map(Subresource::as_str);
        let mut object =
            ownership::apply(described, live.as_ref(), &config, &self.author, options.force, subresource, self.now)?;
        let warnings = admit::decode(described, &mut object, options.validation)?;
        request::check_name(key, &object)?;
        request::check_namespace(key.kind, &key.namespace, &mut object)?;
        let written = match &live {
            Some(current) => {
                let version = request::named_version(&config)?;
                if version.is_some() {
                    self.check_version(key, version, current)?;
                }
                self.replace(target, current, object, Owned::Stated)
            }
            None => {
                if let Some(uid) = config["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty()) {
                    let why = format!(
                        "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                    );
                    return Err(ApiError::conflict(key.kind, &key.name, why));
                }
                self.create_decoded(key.kind, &key.namespace, object, Owned::Stated)
            }
        };
        self.warn_first(warnings, written)
    }
}

/// The object that the patch makes of `current`; not yet checked against its kind.
pub(super) fn patched(kind: &'static Kind, current: &Value, patch: &Patch) -> Result<Value, ApiError> {
    Ok(match patch {
        Patch::Json(document) => jsonpatch::apply(current, document)?,
        Patch::Strategic(_) if !kind.is_built_in() => return Err(unsupported_strategic()),
        Patch::Strategic(document) => strategic::merge(kind, current, document)?,
        Patch::Merge(document) | Patch::Apply(document) => jsonpatch::merge(current, document)?,
    })
}

/// Checks a patched object against its kind: what is wrong with it is the patch's fault.
pub(super) fn read_patched(
    kind: Described<'_>,
    current: &Value,
    object: &mut Value,
    patch: &Patch,
    validation: FieldValidation,
) -> Result<Vec<String>, ApiError> {
    let shown = || {
        let result = patched(kind.row, current, patch);
        result.map(|result| quoted::patch(current, &result, patch)).unwrap_or_default()
    };
    let decoded = admit::keeping_reset(object, |object| match kind.version() {
        Some(version) => version.decode(object),
        None => schema::decode(kind.row, object),
    });
    let unknown = decoded.map_err(|refusal| {
        let why = refusal.to_string();
        let merged = matches!(patch, Patch::Strategic(_)).then(|| quoted::unconvertible(&why)).flatten();
        invalid_patch(&shown(), &merged.unwrap_or(why))
    })?;
    if validation == FieldValidation::Strict && !unknown.is_empty() {
        let why = format!("strict decoding error: {}", unknown.join(", "));
        return Err(invalid_patch(&shown(), &why));
    }
    if let Some(version) = kind.version() {
        custom::is_named_right(version, object)?;
    }
    admit::complete(kind.row, object);
    request::unknown_fields(kind.row, unknown, validation)
}

/// Custom resources have no types that would tell how a strategic merge patch merges.
fn unsupported_strategic() -> ApiError {
    let message = "the body of the request was in an unknown format - accepted media types include: \
                   application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
    ApiError::new(Reason::UnsupportedMediaType, message)
}

fn invalid_patch(shown: &str, why: &str) -> ApiError {
    let cause = Cause {
        reason: "FieldValueInvalid".into(),
        message: format!("Invalid value: {shown:?}: {why}"),
        field: "patch".into(),
    };
    let message = format!(" \"\" is invalid: {}: {}", cause.field, cause.message);
    ApiError { about: Some(Box::default()), causes: vec![cause], ..ApiError::new(Reason::Invalid, message) }
}
