//! Reads request bodies: JSON, YAML and Kubernetes protobuf become one JSON value. Bounded in size.

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use super::protobuf;
use crate::object::{ApiError, Reason};

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
        "" | "application/json" | "*/*" => Ok(Encoding::Json),
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
        _ => Err(unsupported(
            "application/json-patch+json, application/merge-patch+json, \
             application/strategic-merge-patch+json, application/apply-patch+yaml",
        )),
    }
}

fn unsupported(accepted: &str) -> ApiError {
    let message =
        format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
    ApiError::new(Reason::UnsupportedMediaType, message)
}

/// # Errors
/// When the bytes are not of that encoding.
pub fn decode(encoding: Encoding, bytes: &Bytes) -> Result<Value, ApiError> {
    match encoding {
        Encoding::Json => serde_json::from_slice(bytes).map_err(|e| malformed(&e)),
        Encoding::Yaml => yaml(bytes),
        Encoding::Protobuf => protobuf::decode(bytes).map_err(|e| malformed(&e)),
    }
}

/// YAML is read by the rules of YAML 1.1, as kubectl and the API read it.
///
/// # Errors
/// When it is not one YAML document.
pub fn yaml(bytes: &Bytes) -> Result<Value, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|e| malformed(&e))?;
    let options = serde_saphyr::options! {
        strict_booleans: false,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| malformed(&e))
}

fn malformed(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::bad_request(format!("the object provided is unrecognized (must be of type Object): {error}"))
}
