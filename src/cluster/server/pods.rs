//! The subresources of a pod that are commands: binding it to a node, evicting it.

use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::api::Server;
use super::write::WriteRequest;
use super::{answer, body, query};
use crate::cluster::registry::{DeleteOptions, Preconditions};
use crate::object::{ApiError, ObjectKey};

/// POST of a `Binding`: the pod goes to the node that it names.
///
/// # Errors
/// `Conflict` when the pod has a node already.
pub async fn bind(server: &Server, key: ObjectKey, request: Request) -> Result<Response, ApiError> {
    let (parts, bytes) = body::read(request).await?;
    let write = WriteRequest::of(&parts)?;
    let binding = body::decode(body::encoding(&parts)?, &bytes)?;
    server.registry.bind(&write.author, &key, &binding, write.options).await?;
    Ok(answer::value(StatusCode::CREATED, &answer::success(Value::Null)))
}

/// POST of an `Eviction`: a deletion that a disruption budget may refuse.
///
/// # Errors
/// The refusal for the client.
pub async fn evict(server: &Server, key: ObjectKey, request: Request) -> Result<Response, ApiError> {
    let (parts, bytes) = body::read(request).await?;
    let write = WriteRequest::of(&parts)?;
    let eviction = body::decode(body::encoding(&parts)?, &bytes)?;
    let asked = &eviction["deleteOptions"];
    let options = DeleteOptions {
        grace_period_seconds: asked["gracePeriodSeconds"].as_i64(),
        propagation: None,
        preconditions: Preconditions {
            uid: asked["preconditions"]["uid"].as_str().map(str::to_owned),
            revision: asked["preconditions"]["resourceVersion"].as_str().map(query::revision).transpose()?,
        },
        dry_run: write.options.dry_run || asked["dryRun"].as_array().is_some_and(|all| all.iter().any(|v| v == "All")),
    };
    server.registry.evict(&write.author, &key, &eviction, &options).await?;
    Ok(answer::value(StatusCode::CREATED, &answer::success(Value::Null)))
}
