//! The writing verbs: reads the request, checks that body and path agree, and hands it to the registry.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};

use super::accept::{Form, form};
use super::answer;
use super::api::Server;
use super::auth::{self, Identity};
use super::body::{self, PatchType};
use super::fields::Filter;
use super::list;
use super::options;
use super::pages::Page;
use super::path::Attributes;
use super::query::{self, IncludeObject, ListQuery, Parameters};
use super::yaml;
use crate::cluster::registry::{Author, DeleteOptions, Deleted, Patch, Target, WriteOptions, Written};
use crate::object::kinds::Subresource;
use crate::object::{ApiError, Kind, Object, ObjectKey, kinds};

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
            options: options::of_write(&parts.method, &parameters)?,
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
        let response = match &written.answer {
            Some(body) => answer::bytes(status, body.clone()),
            None => answer::object(
                status,
                server.registry.snapshot().kinds(),
                &written.object,
                self.form,
                self.include,
                now,
            ),
        };
        answer::warn(response, &written.warnings)
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
    let (object, duplicates) = body::decode_object(kind, &parts, &bytes, write.options.validation)?;
    let identity = parts.extensions.get::<Identity>();
    identity.map_or(Ok(()), |identity| auth::may_register(identity, kind, &object))?;
    let written = server.registry.create(&write.author, kind, &at.namespace, object, write.options).await?;
    Ok(answer::warn(write.answer(server, &written), &duplicates))
}

/// PUT of an object, or of its status or finalizers.
///
/// # Errors
/// The refusal for the client.
pub async fn update(server: &Server, target: &Target, request: Request) -> Result<Response, ApiError> {
    let (parts, bytes) = body::read(request).await?;
    let write = WriteRequest::of(&parts)?;
    let (object, duplicates) = body::decode_object(target.key.kind, &parts, &bytes, write.options.validation)?;
    let written = server.registry.update(&write.author, target, object, write.options).await?;
    Ok(answer::warn(write.answer(server, &written), &duplicates))
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
pub fn decode_patch(parts: &Parts, bytes: &Bytes, write: &WriteRequest) -> Result<Patch, ApiError> {
    let malformed = |why: String| ApiError::bad_request(format!("error decoding patch: {why}"));
    let json = || {
        serde_json::from_slice(bytes).map_err(|e| match e.is_eof() {
            true => malformed("unexpected end of JSON input".into()),
            false => malformed(e.to_string()),
        })
    };
    let patch_type = body::patch_type(parts)?;
    options::check_patch(patch_type, &write.parameters)?;
    Ok(match patch_type {
        PatchType::Json => Patch::Json(json()?),
        PatchType::Merge => Patch::Merge(json()?),
        PatchType::Strategic => Patch::Strategic(json()?),
        PatchType::Apply => Patch::Apply(yaml::read(bytes).map_err(malformed)?.0),
    })
}

/// # Errors
/// The refusal for the client.
pub async fn delete(server: &Server, key: &ObjectKey, request: Request) -> Result<Response, ApiError> {
    let (parts, bytes) = body::read(request).await?;
    let write = WriteRequest::of(&parts)?;
    let options = delete_options(&parts, &write, &bytes)?;
    let Deleted { object, gone, warnings } = server.registry.delete(&write.author, key, &options).await?;
    // Pods are shown as they were; of all other kinds the Status of the deletion.
    let response = if gone && key.kind != kinds::POD {
        answer::gone(&object)
    } else {
        let (snapshot, now) = (server.registry.snapshot(), server.registry.clock().now());
        answer::object(StatusCode::OK, snapshot.kinds(), &object, write.form, write.include, now)
    };
    Ok(answer::warn(response, &warnings))
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
    let snapshot = server.registry.snapshot();
    let described = snapshot.kinds().describe(kind);
    let filter = Filter::new(described, &at.namespace, query.labels, query.fields)?;
    let selects = |object: &Arc<Object>| filter.matches(&snapshot.kinds().seen_as(kind, object));
    let gone = server.registry.delete_collection(&write.author, kind, &at.namespace, selects, &options).await?;
    let metadata = json!({"resourceVersion": server.registry.store().revision().to_string()});
    Ok(list::answer(
        described,
        Page { objects: gone, metadata },
        write.form,
        write.include,
        server.registry.clock().now(),
    ))
}

/// POST of a `Binding` (`pods/binding`): the pod goes to the node that it names.
///
/// # Errors
/// `Conflict` when the pod has a node already.
pub async fn bind(server: &Server, pod: &ObjectKey, request: Request) -> Result<Response, ApiError> {
    let (parts, bytes) = body::read(request).await?;
    let write = WriteRequest::of(&parts)?;
    let binding = body::decode_plain("Binding", &parts, &bytes)?;
    let bound = server.registry.bind(&write.author, pod, &binding, write.options).await?;
    Ok(write.answer_with(server, StatusCode::CREATED, &bound))
}

/// POST of an `Eviction` (`pods/eviction`): a deletion that a disruption budget may refuse.
///
/// # Errors
/// The refusal for the client.
pub async fn evict(server: &Server, pod: &ObjectKey, request: Request) -> Result<Response, ApiError> {
    let (parts, bytes) = body::read(request).await?;
    let write = WriteRequest::of(&parts)?;
    let eviction = body::decode_plain("Eviction", &parts, &bytes)?;
    let options = options::of_delete(&eviction["deleteOptions"], &write.parameters, write.options.dry_run)?;
    let evicted = server.registry.evict(&write.author, pod, &eviction, &options).await?;
    Ok(write.answer_with(server, StatusCode::CREATED, &evicted))
}

/// The `DeleteOptions` of a request.
fn delete_options(parts: &Parts, write: &WriteRequest, bytes: &Bytes) -> Result<DeleteOptions, ApiError> {
    let body = if bytes.is_empty() { Value::Null } else { body::decode_plain("DeleteOptions", parts, bytes)? };
    options::of_delete(&body, &write.parameters, write.options.dry_run)
}

/// The target of a write to an object or to one of the subresources that the registry itself knows.
pub fn target(key: ObjectKey, subresource: Option<Subresource>) -> Target {
    Target { key, subresource }
}
