//! What the fields of a kind are: finds unknown fields and values of the wrong type, and brings values into the
//! one form in which they are stored (numbers, quantities, times, empty fields), as Kubernetes's decoder does.
//! Pure. Whether a value makes sense is not judged here: that is validation.

mod argo;
mod canonical;
mod decode;
mod definition;
mod place;
mod probe;
mod zero;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use canonical::{quantity, time};
pub use decode::Refusal;

use super::error::ApiError;
use super::kinds::{self, Kind};
use super::types::{self, Visit};

/// Brings `object` into its stored form: unknown fields are removed, and returned as `unknown field "PATH"`.
/// An absent `apiVersion` or `kind` is taken to be that of `kind`.
///
/// # Errors
/// `BadRequest` when a value has the wrong type, or the object is of another kind.
pub fn check(kind: &'static Kind, object: &mut Value) -> Result<Vec<String>, ApiError> {
    let named = named_kind(kind, object)?;
    let cannot = |why: &dyn std::fmt::Display| {
        let message =
            format!("{} in version \"{}\" cannot be handled as a {}: {why}", named.kind, named.version, kind.kind);
        ApiError::bad_request(message)
    };
    let unknown = decode(named, object).map_err(|refusal| cannot(&refusal))?;
    if named != kind {
        let group = if kind.group.is_empty() { "core" } else { kind.group.split('.').next().unwrap_or_default() };
        let (from, to) = (named.kind, kind.kind);
        return Err(cannot(&format_args!(
            "converting ({}.{from}) to ({group}.{to}): unknown conversion",
            named.version
        )));
    }
    Ok(unknown)
}

/// As [`check`], for an object that is known to be of `kind`: the refusal is the bare reason.
///
/// # Errors
/// What is wrong with the first value of a wrong type.
pub fn decode(kind: &'static Kind, object: &mut Value) -> Result<Vec<String>, Refusal> {
    if !object.is_object() {
        return Err(Refusal::not_an_object(kind.kind, object));
    }
    if kind != kinds::CUSTOM_RESOURCE_DEFINITION {
        return types::visit(kind, Decoding { kind, object }).unwrap_or_else(|| Ok(Vec::new()));
    }
    let schemas = definition::take(object);
    let mut unknown = types::visit(kind, Decoding { kind, object }).unwrap_or_else(|| Ok(Vec::new()))?;
    let inside = definition::put_back(object, schemas)?;
    unknown.extend(inside.into_iter().map(|path| format!("unknown field \"{path}\"")));
    Ok(unknown)
}

/// Brings the metadata of an object in order, for objects whose other fields no type describes. The paths of unknown
/// fields, which are removed, begin below `metadata`.
///
/// # Errors
/// What is wrong with the first value of a wrong type.
pub fn metadata(metadata: &mut Value) -> Result<Vec<String>, Refusal> {
    if !metadata.is_object() {
        return Err(Refusal::not_an_object("ObjectMeta", metadata));
    }
    let unknown = decode::run::<ObjectMeta>(metadata)?;
    let path = |text: String| text.split('"').nth(1).map(str::to_owned);
    Ok(unknown.into_iter().filter_map(path).collect())
}

struct Decoding<'a> {
    kind: &'static Kind,
    object: &'a mut Value,
}

impl Visit for Decoding<'_> {
    type Out = Result<Vec<String>, Refusal>;

    fn visit<T: DeserializeOwned + schemars::JsonSchema>(self) -> Self::Out {
        match self.kind == kinds::APPLICATION {
            true => decode::run_with_extras::<T>(self.object),
            false => decode::run::<T>(self.object),
        }
    }
}

/// The kind that the object says it is.
fn named_kind(kind: &'static Kind, object: &Value) -> Result<&'static Kind, ApiError> {
    let expected = kind.api_version();
    let version = object["apiVersion"].as_str().filter(|v| !v.is_empty()).unwrap_or(&expected);
    let name = object["kind"].as_str().filter(|k| !k.is_empty()).unwrap_or(kind.kind);
    if version == expected && name == kind.kind {
        return Ok(kind);
    }
    if version.matches('/').count() > 1 {
        let shown: String = object.to_string().chars().take(30).collect();
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): unexpected GroupVersion string: {version} ({shown} ...)",
            kind.kind
        )));
    }
    if let Some(named) = kinds::by_manifest(version, name) {
        return Ok(named);
    }
    if version != expected {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({expected})"
        )));
    }
    Err(ApiError::bad_request(format!(
        "{name} in version \"{version}\" cannot be handled as a {}: no kind \"{name}\" is registered for version \"{version}\"",
        kind.kind
    )))
}

#[cfg(test)]
mod tests;
