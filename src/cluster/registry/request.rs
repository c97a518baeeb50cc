//! What a request's body must agree on with the request itself: name, namespace, version. Pure.

use serde_json::Value;

use super::options::FieldValidation;
use crate::object::{ApiError, Cause, Kind, ObjectKey, Reason};

/// `Pod in version "v1" cannot be handled as a Pod: WHY`
pub fn cannot_handle(name: &str, version: &str, kind: &Kind, why: &str) -> String {
    let version = version.rsplit('/').next().unwrap_or_default();
    format!("{name} in version \"{version}\" cannot be handled as a {}: {why}", kind.kind)
}

/// Unknown fields refuse a strict write, warn by default, and are dropped in any case.
pub fn unknown_fields(
    kind: &'static Kind,
    unknown: Vec<String>,
    validation: FieldValidation,
) -> Result<Vec<String>, ApiError> {
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(unknown),
        FieldValidation::Strict if unknown.is_empty() => Ok(Vec::new()),
        FieldValidation::Strict => {
            let why = format!("strict decoding error: {}", unknown.join(", "));
            Err(ApiError::bad_request(cannot_handle(kind.kind, kind.version, kind, &why)))
        }
    }
}

/// The body may leave its namespace out, but not name another than the request's.
pub fn check_namespace(kind: &'static Kind, namespace: &str, object: &mut Value) -> Result<(), ApiError> {
    let named = object["metadata"]["namespace"].as_str().unwrap_or_default();
    if kind.namespaced && !named.is_empty() && named != namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let Some(metadata) = object["metadata"].as_object_mut() else { return Ok(()) };
    if kind.namespaced {
        metadata.insert("namespace".into(), namespace.into());
    } else {
        metadata.remove("namespace");
    }
    Ok(())
}

/// An update must name the object that it is sent to.
pub fn check_name(key: &ObjectKey, object: &Value) -> Result<(), ApiError> {
    match object["metadata"]["name"].as_str().unwrap_or_default() {
        name if name == key.name => Ok(()),
        "" => Err(ApiError::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            key.name
        ))),
        name => Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            key.name
        ))),
    }
}

/// The resourceVersion that a body names; `None` for none and for `0`, which means none.
pub fn named_version(object: &Value) -> Result<Option<u64>, ApiError> {
    let text = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse::<u64>();
    let number = number
        .map_err(|_| ApiError::new(Reason::Unknown, format!("strconv.ParseUint: parsing {text:?}: invalid syntax")))?;
    Ok(Some(number).filter(|n| *n > 0))
}

/// Kinds that are written by several clients must say which state they change.
pub fn version_required(key: &ObjectKey) -> ApiError {
    let cause = Cause {
        reason: "FieldValueInvalid".into(),
        message: "Invalid value: 0: must be specified for an update".into(),
        field: "metadata.resourceVersion".into(),
    };
    let message = format!("{} \"{}\" is invalid: {}: {}", key.kind.qualified(), key.name, cause.field, cause.message);
    ApiError { causes: vec![cause], ..ApiError::about(Reason::Invalid, key.kind, &key.name, message) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::kinds;

    #[test]
    fn a_body_is_filed_under_the_namespace_of_the_request() {
        let mut object = json!({"metadata": {"name": "a"}});
        check_namespace(kinds::CONFIG_MAP, "d", &mut object).expect("no namespace agrees with any");
        assert_eq!(object["metadata"]["namespace"], "d");
        assert!(check_namespace(kinds::CONFIG_MAP, "other", &mut object).is_err());
        check_namespace(kinds::NODE, "", &mut object).expect("nodes have none");
        assert!(object["metadata"]["namespace"].is_null());
    }

    #[test]
    fn version_zero_is_no_version() {
        let version =
            |text: &str| named_version(&json!({"metadata": {"resourceVersion": text}})).map_err(|e| e.message);
        assert_eq!(version(""), Ok(None));
        assert_eq!(version("0"), Ok(None));
        assert_eq!(version("7"), Ok(Some(7)));
        assert_eq!(version("abc"), Err("strconv.ParseUint: parsing \"abc\": invalid syntax".into()));
    }
}
