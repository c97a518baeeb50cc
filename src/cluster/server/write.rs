//! The writing verbs: reads the request, checks that body and path agree, and hands it to the registry.

use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};

use super::accept::{Form, form};
use super::answer;
use super::api::Server;
use super::body::{self, PatchType};
use super::fields::Filter;
use super::identity::Identity;
use super::list::candidates;
use super::path::Attributes;
use super::query::{self, IncludeObject, ListQuery, Parameters};
use crate::cluster::registry::{
    Author, DeleteOptions, Deleted, Patch, Preconditions, Propagation, Target, WriteOptions, Written,
};
use crate::object::kinds::Subresource;
use crate::object::{ApiError, Kind, ObjectKey, Reason};

/// A write, read out of its request but for the body.
pub struct WriteRequest {
    pub author: Author,
    pub options: WriteOptions,
    pub parameters: Parameters,
    form: Form,
    include: IncludeObject,
}

impl WriteRequest {
    /// # Errors
    /// The refusal for the client.
    pub fn of(parts: &Parts) -> Result<Self, ApiError> {
        let parameters = Parameters::of(&parts.uri)?;
        Ok(Self {
            author: author(parts, &parameters),
            options: query::write_options(&parameters)?,
            form: form(&parts.headers)?,
            include: IncludeObject::of(&parameters)?,
            parameters,
        })
    }

    pub fn answer(&self, server: &Server, written: &Written) -> Response {
        let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
        self.answer_with(server, status, written)
    }

    pub fn answer_with(&self, server: &Server, status: StatusCode, written: &Written) -> Response {
        let now = server.registry.clock().now();
        answer::warn(answer::object(status, &written.object, self.form, self.include, now), &written.warnings)
    }
}

fn author(parts: &Parts, parameters: &Parameters) -> Author {
    let identity = parts.extensions.get::<Identity>().cloned().unwrap_or_else(Identity::anonymous);
    let (client, manager) = query::client_and_manager(parameters, &parts.headers);
    Author { user: identity.user, groups: identity.groups, client, manager, commit: None }
}

/// POST to a collection.
///
/// # Errors
/// The refusal for the client.
pub async fn create(
    server: &Server,
    kind: &'static Kind,
    at: &Attributes,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, bytes) = body::read(request).await?;
    let write = WriteRequest::of(&parts)?;
    let object = body::decode(body::encoding(&parts)?, &bytes)?;
    agree_on_namespace(kind, &at.namespace, &object)?;
    let written = server.registry.create(&write.author, kind, &at.namespace, object, write.options).await?;
    Ok(write.answer(server, &written))
}

/// PUT of an object, or of its status or finalizers.
///
/// # Errors
/// The refusal for the client.
pub async fn update(server: &Server, target: &Target, request: Request) -> Result<Response, ApiError> {
    let (parts, bytes) = body::read(request).await?;
    let write = WriteRequest::of(&parts)?;
    let object = body::decode(body::encoding(&parts)?, &bytes)?;
    agree_on_namespace(target.key.kind, &target.key.namespace, &object)?;
    agree_on_name(&target.key, &object)?;
    let written = server.registry.update(&write.author, target, object, write.options).await?;
    Ok(write.answer(server, &written))
}

/// # Errors
/// The refusal for the client.
pub async fn patch(server: &Server, target: &Target, request: Request) -> Result<Response, ApiError> {
    let (parts, bytes) = body::read(request).await?;
    let write = WriteRequest::of(&parts)?;
    let patch = decode_patch(&parts, &bytes, &write)?;
    let written = server.registry.patch(&write.author, target, patch, write.options).await?;
    Ok(write.answer(server, &written))
}

/// # Errors
/// The refusal for the client.
pub fn decode_patch(parts: &Parts, bytes: &bytes::Bytes, write: &WriteRequest) -> Result<Patch, ApiError> {
    let json =
        || serde_json::from_slice(bytes).map_err(|e| ApiError::bad_request(format!("error decoding patch: {e}")));
    Ok(match body::patch_type(parts)? {
        PatchType::Json => Patch::Json(json()?),
        PatchType::Merge => Patch::Merge(json()?),
        PatchType::Strategic => Patch::Strategic(json()?),
        PatchType::Apply if write.parameters.text("fieldManager").is_none() => {
            return Err(ApiError::new(
                Reason::Invalid,
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ));
        }
        PatchType::Apply => Patch::Apply(body::yaml(bytes)?),
    })
}

/// # Errors
/// The refusal for the client.
pub async fn delete(server: &Server, key: &ObjectKey, request: Request) -> Result<Response, ApiError> {
    let (parts, bytes) = body::read(request).await?;
    let write = WriteRequest::of(&parts)?;
    let options = delete_options(&parts, &write, &bytes)?;
    match server.registry.delete(&write.author, key, &options).await? {
        // Pods are shown as they were; of all other kinds the Status of the deletion.
        Deleted::Gone(object) if key.kind != crate::object::kinds::POD => Ok(answer::gone(&object)),
        Deleted::Gone(object) | Deleted::Pending(object) => {
            let now = server.registry.clock().now();
            Ok(answer::object(StatusCode::OK, &object, write.form, write.include, now))
        }
    }
}

/// Deletes what a list with the same selectors would show; the answer is that list.
///
/// # Errors
/// The refusal for the client.
pub async fn delete_collection(
    server: &Server,
    kind: &'static Kind,
    at: &Attributes,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, bytes) = body::read(request).await?;
    let write = WriteRequest::of(&parts)?;
    let options = delete_options(&parts, &write, &bytes)?;
    let query = ListQuery::of(&write.parameters)?;
    let filter = Filter::new(kind, &at.namespace, query.labels, query.fields)?;
    let snapshot = server.registry.snapshot();
    let doomed: Vec<ObjectKey> =
        candidates(&snapshot, kind, &filter).filter(|o| filter.matches(o)).map(|o| o.key.clone()).collect();
    let mut items = Vec::with_capacity(doomed.len());
    for key in doomed {
        match server.registry.delete(&write.author, &key, &options).await {
            Ok(Deleted::Gone(object) | Deleted::Pending(object)) => items.push(object.value()),
            // Somebody else was faster.
            Err(error) if error.reason == Reason::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let list = json!({"kind": format!("{}List", kind.kind), "apiVersion": kind.api_version(),
        "metadata": {"resourceVersion": server.registry.store().revision().to_string()}, "items": items});
    Ok(answer::value(StatusCode::OK, &list))
}

/// `DeleteOptions` of the body, which wins, and of the query.
fn delete_options(parts: &Parts, write: &WriteRequest, bytes: &bytes::Bytes) -> Result<DeleteOptions, ApiError> {
    let body = if bytes.is_empty() { Value::Null } else { body::decode(body::encoding(parts)?, bytes)? };
    let parameters = &write.parameters;
    let in_body = body["dryRun"].as_array().is_some_and(|all| all.iter().any(|v| v == "All"));
    let named = body["propagationPolicy"].as_str().or_else(|| parameters.text("propagationPolicy"));
    let propagation = match (named, body["orphanDependents"].as_bool()) {
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
        (None, None) => None,
        (Some(other), _) => {
            let message = format!(
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: {other:?}: \
                 supported values: \"Foreground\", \"Background\", \"Orphan\""
            );
            return Err(ApiError::new(Reason::Invalid, message));
        }
    };
    let grace = match body["gracePeriodSeconds"].as_i64() {
        Some(seconds) => Some(seconds),
        None => parameters.integer("gracePeriodSeconds")?,
    };
    let conditions = &body["preconditions"];
    Ok(DeleteOptions {
        grace_period_seconds: grace,
        propagation,
        preconditions: Preconditions {
            uid: conditions["uid"].as_str().map(str::to_owned),
            revision: conditions["resourceVersion"].as_str().map(query::revision).transpose()?,
        },
        dry_run: in_body || write.options.dry_run,
    })
}

fn agree_on_namespace(kind: &Kind, namespace: &str, object: &Value) -> Result<(), ApiError> {
    match object["metadata"]["namespace"].as_str().filter(|named| !named.is_empty()) {
        Some(named) if kind.namespaced && named != namespace => Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
        _ => Ok(()),
    }
}

fn agree_on_name(key: &ObjectKey, object: &Value) -> Result<(), ApiError> {
    match object["metadata"]["name"].as_str() {
        Some(named) if !named.is_empty() && named != key.name => Err(ApiError::bad_request(format!(
            "the name of the object ({named}) does not match the name on the URL ({})",
            key.name
        ))),
        _ => Ok(()),
    }
}

/// The target of a write to an object or to one of the subresources that the registry itself knows.
pub fn target(key: ObjectKey, subresource: Option<Subresource>) -> Target {
    Target { key, subresource }
}
