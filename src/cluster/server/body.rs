//! Reads request bodies: JSON, YAML and Kubernetes protobuf become one JSON value. Bounded in size.

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use super::protobuf;
use crate::cluster::registry::FieldValidation;
use crate::object::{ApiError, Kind, Reason};

/// The largest body that is read; etcd-backed API servers take 3 MiB too.
pub const LIMIT: usize = 3 * 1024 * 1024;

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
    match Limited::new(body, LIMIT).collect().await {
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
    let unrecognised = |why: String, excerpt: String| {
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({excerpt})"
        ))
    };
    match encoding {
        Encoding::Json => super::json::parse(bytes).map_err(|error| {
            let why = format!("couldn't get version/kind; json parse error: {}", in_words(&error, bytes));
            unrecognised(why, excerpt(bytes))
        }),
        Encoding::Yaml => {
            let value = yaml(bytes).map_err(|error| unrecognised(format!("yaml: {error}"), hex_excerpt(bytes)))?;
            Ok((value, Vec::new()))
        }
        Encoding::Protobuf => {
            let value = protobuf::decode(bytes).map_err(|error| unrecognised(error.to_string(), hex_excerpt(bytes)))?;
            Ok((value, Vec::new()))
        }
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
    match validation {
        FieldValidation::Strict if !duplicates.is_empty() => Err(ApiError::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
            kind.kind,
            kind.version,
            kind.kind,
            duplicates.join(", ")
        ))),
        FieldValidation::Strict | FieldValidation::Ignore => Ok((value, Vec::new())),
        FieldValidation::Warn => Ok((value, duplicates)),
    }
}

/// YAML is read by the rules of YAML 1.1, as kubectl and the API read it.
///
/// # Errors
/// When it is not one YAML document.
pub fn yaml(bytes: &Bytes) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let options = serde_saphyr::options! {
        strict_booleans: false,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| e.to_string())
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

fn excerpt(bytes: &[u8]) -> String {
    match bytes {
        [] => "<empty>".into(),
        short if short.len() <= EXCERPT => String::from_utf8_lossy(short).into_owned(),
        long => format!("{} ...", String::from_utf8_lossy(&long[..EXCERPT])),
    }
}

fn hex_excerpt(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().take(EXCERPT).map(|b| format!("{b:02x}")).collect();
    if bytes.len() > EXCERPT { format!("{hex} ...") } else { hex }
}
