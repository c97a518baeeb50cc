//! The `scale` subresource: a workload's replica count as an `autoscaling/v1` Scale, so that `kubectl scale` and
//! autoscalers need not know the kind behind it. The registry makes and writes the Scale.

use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::api::Server;
use super::write::{WriteRequest, decode_patch};
use super::{answer, body};
use crate::cluster::registry::Target;
use crate::object::kinds::Subresource;
use crate::object::{ApiError, ObjectKey};

/// GET, PUT and PATCH of `.../scale`.
///
/// # Errors
/// The refusal for the client.
pub async fn serve(server: &Server, key: ObjectKey, verb: &str, request: Request) -> Result<Response, ApiError> {
    if verb == "get" {
        return Ok(answer::value(StatusCode::OK, &server.registry.scale(&key)?));
    }
    let (parts, bytes) = body::read(request).await?;
    let write = WriteRequest::of(&parts)?;
    let target = Target { key, subresource: Some(Subresource::Scale) };
    let written = if verb == "update" {
        let scale = body::decode(body::encoding(&parts)?, &bytes)?;
        server.registry.update(&write.author, &target, scale, write.options).await?
    } else {
        let patch = decode_patch(&parts, &bytes, &write)?;
        server.registry.patch(&write.author, &target, patch, write.options).await?
    };
    let scale: Value = serde_json::from_slice(written.body()).map_err(ApiError::internal)?;
    Ok(answer::warn(answer::value(StatusCode::OK, &scale), &written.warnings))
}
