//! OpenAPI documents: what kubectl needs to validate, apply and explain. One document a group-version, made out of
//! the kinds table and of the types that the objects are read with; made once, at the first request.

mod document;
mod infer;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, json};

use super::answer;
use super::api::Server;
use super::discovery::{cacheable, digest};
use crate::object::{Kind, kinds};

/// A protobuf document that says `swagger: "2.0"` and nothing else: older clients insist on an answer and
/// then read the version 3 documents.
const V2: &[u8] = &[0x0a, 0x03, b'2', b'.', b'0'];

/// The documents, by the path of their group-version (`apis/apps/v1`).
#[derive(Debug, Default)]
pub struct Documents(OnceLock<BTreeMap<String, Document>>);

#[derive(Debug)]
struct Document {
    json: Bytes,
    hash: String,
}

impl Documents {
    fn all(&self) -> &BTreeMap<String, Document> {
        self.0.get_or_init(|| {
            let mut by_path: BTreeMap<String, Vec<&'static Kind>> = BTreeMap::new();
            for kind in kinds::all() {
                by_path.entry(kind.root_path().trim_start_matches('/').to_owned()).or_default().push(kind);
            }
            let made = by_path.into_iter().map(|(path, kinds)| {
                let json = Bytes::from(document::of(&kinds).to_string());
                let hash = digest(&json);
                (path, Document { json, hash })
            });
            made.collect()
        })
    }
}

pub async fn v2() -> Response {
    let form = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    ([(CONTENT_TYPE, form)], V2).into_response()
}

/// `/openapi/v3`: where the document of each group-version is. The hash in its address changes with its content.
pub async fn index(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let url = |(path, document): (&String, &Document)| {
        let url = format!("/openapi/v3/{path}?hash={}", document.hash);
        (path.clone(), json!({"serverRelativeURL": url}))
    };
    let paths: Map<_, _> = server.documents.all().iter().map(url).collect();
    cacheable(&headers, "application/json", &json!({"paths": paths}))
}

/// `/openapi/v3/apis/GROUP/VERSION`.
pub async fn document(State(server): State<Arc<Server>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    let Some(document) = server.documents.all().get(path.trim_end_matches('/')) else {
        return answer::text(StatusCode::NOT_FOUND, "404 page not found\n");
    };
    let tag = format!("\"{}\"", document.hash);
    let known = headers.get(IF_NONE_MATCH).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains(&tag));
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => answer::bytes(StatusCode::OK, document.json.clone()),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}
