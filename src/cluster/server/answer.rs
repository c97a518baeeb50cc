//! Turns outcomes into HTTP answers: objects from their stored bytes, errors as `Status`, warnings as headers.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WARNING, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::accept::Form;
use super::query::IncludeObject;
use super::table;
use crate::object::custom::Described;
use crate::object::error::About;
use crate::object::{ApiError, Kinds, Object, Reason};
use jiff::Timestamp;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.reason.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = value(status, &self.to_status());
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        warn(response, &self.warnings)
    }
}

/// An answer whose body is complete.
pub fn bytes(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

pub fn value(status: StatusCode, body: &Value) -> Response {
    bytes(status, body.to_string())
}

pub fn text(status: StatusCode, body: &'static str) -> Response {
    let content_type = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, content_type, body).into_response()
}

/// One object in the form that was asked for.
pub fn object(
    status: StatusCode,
    kinds: &Kinds,
    object: &Object,
    form: Form,
    include: IncludeObject,
    now: Timestamp,
) -> Response {
    match form {
        Form::Plain => bytes(status, object.json().clone()),
        Form::Metadata(version) => value(status, &metadata_only(&object.value(), version)),
        Form::Table(version) => {
            let kind = kinds.describe(object.key.kind);
            let mut body = table_head(kind, version, json!({"resourceVersion": object.meta.revision.to_string()}));
            body["rows"] = json!([row(kind, object.value(), include, version, now)]);
            value(status, &body)
        }
    }
}

/// `PartialObjectMetadata` of an object.
pub fn metadata_only(object: &Value, version: &str) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": object["metadata"]})
}

/// A Table without rows.
pub fn table_head(kind: Described<'_>, version: &str, metadata: Value) -> Value {
    let column = |c: &table::Column| json!({"name": c.name, "type": c.type_, "format": c.format, "description": c.description, "priority": c.priority});
    let columns: Vec<Value> = match kind.version() {
        Some(version) => table::custom::columns(version),
        None => table::columns(kind.row).iter().map(column).collect(),
    };
    json!({"kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": metadata,
        "columnDefinitions": columns, "rows": []})
}

/// One row of a Table.
pub fn row(kind: Described<'_>, object: Value, include: IncludeObject, version: &str, now: Timestamp) -> Value {
    let cells = match kind.version() {
        Some(version) => table::custom::row(version, &object, now),
        None => table::row(kind.row, &object, now),
    };
    let conditions = table::conditions(kind.row, &object);
    let object = match include {
        IncludeObject::None => Value::Null,
        IncludeObject::Metadata => metadata_only(&object, version),
        IncludeObject::Object => object,
    };
    let mut row = json!({"cells": cells, "object": object});
    if let Some(conditions) = conditions {
        row["conditions"] = conditions;
    }
    row
}

/// The Status of a deletion that is complete.
pub fn gone(object: &Object) -> Response {
    let kind = object.key.kind;
    let mut details = json!({"name": object.key.name, "kind": kind.plural, "uid": object.meta.uid});
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    value(StatusCode::OK, &success(details))
}

pub fn success(details: Value) -> Value {
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    if !details.is_null() {
        status["details"] = details;
    }
    status
}

/// `Warning: 299 - "TEXT"`, one header a warning (RFC 9111, section 5.5 as Kubernetes uses it).
pub fn warn(mut response: Response, warnings: &[String]) -> Response {
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ");
        if let Ok(header) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(WARNING, header);
        }
    }
    response
}

/// The resource or version is not served.
pub fn no_such_resource() -> ApiError {
    let message = "the server could not find the requested resource";
    ApiError { about: Some(Box::new(About::default())), ..ApiError::new(Reason::NotFound, message) }
}

pub fn method_not_allowed() -> ApiError {
    let message = "the server does not allow this method on the requested resource";
    ApiError { about: Some(Box::new(About::default())), ..ApiError::new(Reason::MethodNotAllowed, message) }
}

/// Answers of the API are never to be kept by caches between, nor to be guessed at by browsers.
pub fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A line of a watch: one event as JSON.
pub fn event_line(kind: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + 32);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.into()
}
