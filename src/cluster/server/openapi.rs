//! OpenAPI documents, out of the kinds table: what kubectl needs to validate, apply and explain.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::discovery::cacheable;
use super::{answer, health};
use crate::object::{Kind, kinds};

/// A protobuf document that says `swagger: "2.0"` and nothing else: older clients insist on an answer and
/// then read the version 3 documents.
const V2: &[u8] = &[0x0a, 0x03, b'2', b'.', b'0'];

pub async fn v2() -> Response {
    let form = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    ([(CONTENT_TYPE, form)], V2).into_response()
}

/// `/openapi/v3`: where the document of each group-version is.
pub async fn index(headers: HeaderMap) -> Response {
    let mut paths = serde_json::Map::new();
    for kind in kinds::all() {
        let path = kind.root_path().trim_start_matches('/').to_owned();
        let url = format!("/openapi/v3/{path}?hash={}", env!("CARGO_PKG_VERSION"));
        paths.insert(path, json!({"serverRelativeURL": url}));
    }
    cacheable(&headers, "application/json", &json!({"paths": paths}))
}

/// `/openapi/v3/apis/GROUP/VERSION`.
pub async fn document(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let root = format!("/{}", path.trim_end_matches('/'));
    let served: Vec<&'static Kind> = kinds::all().iter().filter(|k| k.root_path() == root).collect();
    match served.is_empty() {
        true => answer::text(StatusCode::NOT_FOUND, "404 page not found\n"),
        false => cacheable(&headers, "application/json", &describe(&served)),
    }
}

fn describe(served: &[&'static Kind]) -> Value {
    let mut paths = serde_json::Map::new();
    let mut schemas = serde_json::Map::new();
    for kind in served {
        let gvk = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let place = if kind.namespaced { "{namespace}" } else { "" };
        let path = format!("{}/{{name}}", kind.collection_path(place));
        let parameters = ["dryRun", "fieldManager", "fieldValidation", "force"];
        let parameters = parameters.map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}));
        paths.insert(
            path,
            json!({"patch": {"parameters": parameters, "x-kubernetes-group-version-kind": gvk,
                "x-kubernetes-action": "patch", "responses": {"200": {"description": "OK"}}}}),
        );
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "x-kubernetes-group-version-kind": [gvk]});
        schemas.insert(format!("{}.{}.{}", kind.group, kind.version, kind.kind), schema);
    }
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": health::GIT_VERSION},
        "paths": paths, "components": {"schemas": schemas}})
}
