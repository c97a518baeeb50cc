//! Routes a request for objects: finds the kind in the kinds table, then the verb.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::accept::{Form, form, watch_form};
use super::api::Server;
use super::fields::Filter;
use super::path::Attributes;
use super::query::{IncludeObject, ListQuery, Parameters, revision, too_large};
use super::{answer, auth, list, log, streams, watch, write};
use crate::object::kinds::{self, Subresource};
use crate::object::selector::FieldSelector;
use crate::object::{ApiError, Kind, ObjectKey, views};

pub async fn serve(
    State(server): State<Arc<Server>>,
    Extension(attributes): Extension<Attributes>,
    request: Request,
) -> Response {
    route(&server, &attributes, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn route(server: &Server, at: &Attributes, request: Request) -> Result<Response, ApiError> {
    if at.resource.is_empty() {
        return Ok(answer::text(StatusCode::NOT_FOUND, "404 page not found\n"));
    }
    let snapshot = server.registry.snapshot();
    let Some(kind) = snapshot.kinds().by_plural(&at.group, &at.version, &at.resource) else {
        // A group or version that nobody serves has no handler that could answer in its own words.
        return match snapshot
            .kinds()
            .all()
            .any(|kind| kind.group == at.group && (kind.is_built_in() || kind.version == at.version))
        {
            true => Err(answer::no_such_resource()),
            false => Ok(answer::text(StatusCode::NOT_FOUND, "404 page not found\n")),
        };
    };
    let kind = face(kind, at, &request);
    if at.name.is_empty() {
        return collection(server, kind, at, request).await;
    }
    // An object's path has its namespace exactly if its kind has.
    if kind.namespaced == at.namespace.is_empty() {
        return Err(answer::no_such_resource());
    }
    if at.subresource == Subresource::Proxy.as_str() && kind.has(Subresource::Proxy) {
        return streams::proxy(server, kind, at, request).await;
    }
    let key = ObjectKey::new(kind, at.namespace.clone(), at.name.clone());
    if at.subresource.is_empty() {
        return object(server, key, at, request).await;
    }
    let named = kind.subresources.iter().find(|s| s.as_str() == at.subresource);
    subresource(server, key, *named.ok_or_else(answer::no_such_resource)?, at, request).await
}

/// The row by which a request is answered. A view is only for bodies that go in or out: deletions and Tables, which are
/// the same for all faces of a kind, go by the stored one.
fn face(kind: &'static Kind, at: &Attributes, request: &Request) -> &'static Kind {
    let shown = match at.verb {
        "get" | "list" | "watch" => !matches!(form(request.headers()), Ok(Form::Table(_))),
        "create" | "update" | "patch" => true,
        _ => false,
    };
    if shown { kind } else { views::stored(kind) }
}

async fn collection(
    server: &Server,
    kind: &'static Kind,
    at: &Attributes,
    request: Request,
) -> Result<Response, ApiError> {
    if !kind.namespaced && !at.namespace.is_empty() {
        return Err(answer::no_such_resource());
    }
    // Across all namespaces there is nothing to create in, and no collection to delete.
    let in_one_place = kind.namespaced != at.namespace.is_empty();
    match at.verb {
        "list" | "watch" => read(server, kind, at, &request),
        "create" if in_one_place => write::create(server, kind, at, request).await,
        "deletecollection" if in_one_place && kind != kinds::NAMESPACE => {
            write::delete_collection(server, kind, at, request).await
        }
        _ => Err(answer::method_not_allowed()),
    }
}

fn read(server: &Server, kind: &'static Kind, at: &Attributes, request: &Request) -> Result<Response, ApiError> {
    let form = form(request.headers())?;
    let mut query = ListQuery::of(&Parameters::of(request.uri())?)?;
    let (labels, fields) = (std::mem::take(&mut query.labels), std::mem::take(&mut query.fields));
    let snapshot = server.registry.snapshot();
    let described = snapshot.kinds().describe(kind);
    let fields = fields_of(at, fields);
    let filter = Filter::new(snapshot.kinds().describe(views::stored(kind)), &at.namespace, labels, fields)?;
    if query.watch {
        return watch::answer(server, kind, filter, &query, watch_form(request.headers())?);
    }
    let page = server.pages.page(snapshot.clone(), kind, &filter, &query)?;
    Ok(list::answer(described, page, form, query.include_object, server.registry.clock().now()))
}

/// What is selected is the stored object, whose fields may have other names than in the group that was asked.
fn fields_of(at: &Attributes, mut fields: FieldSelector) -> FieldSelector {
    if at.group == views::events().kind.group {
        fields.terms.iter_mut().for_each(|term| term.path = views::core_event_field(&term.path));
    }
    fields
}

async fn object(server: &Server, key: ObjectKey, at: &Attributes, request: Request) -> Result<Response, ApiError> {
    match at.verb {
        "get" => get(server, &key, &request),
        "update" => write::update(server, &key.into(), request).await,
        "patch" => write::patch(server, &key.into(), request).await,
        "delete" => write::delete(server, &key, request).await,
        _ => Err(answer::method_not_allowed()),
    }
}

fn get(server: &Server, key: &ObjectKey, request: &Request) -> Result<Response, ApiError> {
    let form = form(request.headers())?;
    let parameters = Parameters::of(request.uri())?;
    let include = IncludeObject::of(&parameters)?;
    let current = server.registry.store().revision();
    if let Some(asked) = parameters.text("resourceVersion").map(revision).transpose()?.filter(|r| *r > current) {
        return Err(too_large(asked, current));
    }
    let object = server.registry.get(key)?;
    Ok(answer::object(
        StatusCode::OK,
        server.registry.snapshot().kinds(),
        &object,
        form,
        include,
        server.registry.clock().now(),
    ))
}

async fn subresource(
    server: &Server,
    key: ObjectKey,
    subresource: Subresource,
    at: &Attributes,
    request: Request,
) -> Result<Response, ApiError> {
    match (subresource, at.verb) {
        (Subresource::Status | Subresource::EphemeralContainers, "get") => get(server, &key, &request),
        (
            Subresource::Status | Subresource::Scale | Subresource::Finalize | Subresource::EphemeralContainers,
            "update",
        ) => write::update(server, &write::target(key, Some(subresource)), request).await,
        (Subresource::Status | Subresource::Scale | Subresource::EphemeralContainers, "patch") => {
            write::patch(server, &write::target(key, Some(subresource)), request).await
        }
        (Subresource::Scale, "get") => Ok(answer::value(StatusCode::OK, &server.registry.scale(&key)?)),
        (Subresource::Binding, "create") => write::bind(server, &key, request).await,
        (Subresource::Token, "create") => auth::request_token(server, &key, request).await,
        (Subresource::Eviction, "create") => write::evict(server, &key, request).await,
        (Subresource::Exec, "get" | "create") => streams::remote(server, &key, streams::Verb::Exec, request).await,
        (Subresource::Attach, "get" | "create") => streams::remote(server, &key, streams::Verb::Attach, request).await,
        (Subresource::PortForward, "get" | "create") => streams::forward(server, &key, request).await,
        (Subresource::Log, "get") => log::serve(server, &key, &request.uri().clone()).await,
        _ => Err(answer::method_not_allowed()),
    }
}
