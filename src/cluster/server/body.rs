//! Reads request bodies: JSON, YAML and Kubernetes protobuf become one JSON value. Bounded in size and time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use super::{protobuf, yaml};
use crate::cluster::registry::FieldValidation;
use crate::object::{ApiError, Kind, Reason, schema};

/// The largest body that is read; etcd-backed API servers take 3 MiB too.
pub const LIMIT: usize = 3 * 1024 * 1024;
/// Kubernetes's time for a whole request.
const ARRIVAL: Duration = Duration::from_secs(60);

/// How the bytes of a body are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Json,
    Yaml,
    Protobuf,
}

/// The kinds of PATCH, by content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    Json,
    Merge,
    Strategic,
    Apply,
}

/// # Errors
/// `RequestEntityTooLarge`, or when the client stops sending.
pub async fn read(request: Request) -> Result<(Parts, Bytes), ApiError> {
    let (parts, body) = request.into_parts();
    Ok((parts, collect(body).await?))
}

async fn collect(body: Body) -> Result<Bytes, ApiError> {
    let arriving = Limited::new(body, LIMIT).collect();
    let Ok(arrived) = tokio::time::timeout(ARRIVAL, arriving).await else {
        let why = format!("the request's body did not arrive within {} seconds", ARRIVAL.as_secs());
        return Err(ApiError::new(Reason::Timeout, why));
    };
    match arrived {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(ApiError::new(Reason::RequestEntityTooLarge, format!("Request entity too large: limit is {LIMIT}")))
        }
        Err(error) => Err(ApiError::bad_request(format!("the request's body did not arrive: {error}"))),
    }
}

fn content_type(parts: &Parts) -> &str {
    let value = parts.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// The encoding of an object in a POST, PUT or DELETE; none named means JSON.
///
/// # Errors
/// `UnsupportedMediaType`.
pub fn encoding(parts: &Parts) -> Result<Encoding, ApiError> {
    match content_type(parts) {
        "" if !parts.headers.contains_key(CONTENT_TYPE) => Ok(Encoding::Json),
        "application/json" | "*/*" => Ok(Encoding::Json),
        "application/yaml" => Ok(Encoding::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Encoding::Protobuf),
        _ => Err(unsupported("application/json, application/yaml, application/vnd.kubernetes.protobuf")),
    }
}

/// # Errors
/// `UnsupportedMediaType`.
pub fn patch_type(parts: &Parts) -> Result<PatchType, ApiError> {
    match content_type(parts) {
        "application/json-patch+json" => Ok(PatchType::Json),
        "application/merge-patch+json" => Ok(PatchType::Merge),
        "application/strategic-merge-patch+json" => Ok(PatchType::Strategic),
        "application/apply-patch+yaml" => Ok(PatchType::Apply),
        _ => {
            let error = ApiError::new(Reason::UnsupportedMediaType, "415: Unsupported Media Type");
            Err(ApiError { about: Some(Box::default()), ..error })
        }
    }
}

fn unsupported(accepted: &str) -> ApiError {
    let message =
        format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
    ApiError::new(Reason::UnsupportedMediaType, message)
}

/// The value of a body that is to be a `kind`, and what is given twice in it.
///
/// # Errors
/// When the bytes are not of that encoding.
pub fn decode(kind: &str, encoding: Encoding, bytes: &Bytes) -> Result<(Value, Vec<String>), ApiError> {
    let unrecognised = |why: String| {
        let summary = summary(bytes);
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({summary})"
        ))
    };
    let (value, duplicates) = match encoding {
        Encoding::Json => super::json::parse(bytes).map_err(|error| {
            unrecognised(format!("couldn't get version/kind; json parse error: {}", in_words(&error, bytes)))
        })?,
        Encoding::Yaml => yaml::read(bytes).map_err(|error| unrecognised(format!("yaml: {error}")))?,
        Encoding::Protobuf => (protobuf::decode(bytes).map_err(|error| unrecognised(error.to_string()))?, Vec::new()),
    };
    match not_an_object(&value) {
        Some(found) => Err(unrecognised(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go value of type \
             struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; \
             Kind string \"json:\\\"kind,omitempty\\\"\" }}"
        ))),
        None => Ok((value, duplicates)),
    }
}

/// What a value is that can have no members; a null reads as an object without any.
fn not_an_object(value: &Value) -> Option<&'static str> {
    match value {
        Value::Object(_) | Value::Null => None,
        Value::Array(_) => Some("array"),
        Value::String(_) => Some("string"),
        Value::Number(_) => Some("number"),
        Value::Bool(_) => Some("bool"),
    }
}

/// Options and reviews: objects that are read and not kept.
///
/// # Errors
/// When the bytes are not of that encoding.
pub fn decode_plain(kind: &str, parts: &Parts, bytes: &Bytes) -> Result<Value, ApiError> {
    Ok(decode(kind, encoding(parts)?, bytes)?.0)
}

/// An object that is to be stored: members given twice are refused, warned of or dropped, as unknown fields are.
///
/// # Errors
/// When the bytes are not of their encoding, or the write is strict about duplicates.
pub fn decode_object(
    kind: &'static Kind,
    parts: &Parts,
    bytes: &Bytes,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), ApiError> {
    let (value, duplicates) = decode(kind.kind, encoding(parts)?, bytes)?;
    if duplicates.is_empty() {
        return Ok((value, duplicates));
    }
    match validation {
        // What no type can hold is said before what is there twice.
        FieldValidation::Strict if schema::decode(kind, &mut value.clone()).is_err() => Ok((value, Vec::new())),
        FieldValidation::Strict => Err(ApiError::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
            kind.kind,
            kind.version,
            kind.kind,
            duplicates.join(", ")
        ))),
        FieldValidation::Ignore => Ok((value, Vec::new())),
        FieldValidation::Warn => Ok((value, duplicates)),
    }
}

/// The JSON error as clients of Kubernetes know it, where it has a counterpart.
fn in_words(error: &serde_json::Error, bytes: &[u8]) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".into();
    }
    let text = error.to_string();
    match bytes.get(error.column().saturating_sub(1)) {
        Some(byte) if error.line() == 1 && text.starts_with("trailing characters") => {
            format!("invalid character '{}' after top-level value", char::from(*byte))
        }
        _ => text,
    }
}

/// The beginning of a body, for people to recognise it by.
const EXCERPT: usize = 30;

/// The beginning of a body: as it is where it looks like JSON, else in hexadecimal.
fn summary(bytes: &[u8]) -> String {
    let (shown, more) = if bytes.len() > EXCERPT { (&bytes[..EXCERPT], " ...") } else { (bytes, "") };
    match shown.first() {
        None => "<empty>".into(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(shown)),
        Some(_) => format!("{}{more}", shown.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}
