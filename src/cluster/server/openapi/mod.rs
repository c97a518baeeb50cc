//! OpenAPI documents: what kubectl needs to validate, apply and explain. One document a group-version, made out of
//! the kinds table and of the types that the objects are read with, or of the schema of a definition. Documents of the
//! table are made once, those of a definition again when it has changed.

mod custom;
mod document;
mod merging;
mod swagger;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use super::answer;
use super::api::Server;
use super::discovery::{cacheable, digest};
use crate::object::{Kind, Kinds, Revision, kinds, views};

/// A protobuf document that says `swagger: "2.0"` and nothing else: older clients insist on an answer and
/// then read the version 3 documents.
const V2: &[u8] = &[0x0a, 0x03, b'2', b'.', b'0'];
const V2_FORM: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The documents, by the path of their group-version (`apis/apps/v1`).
#[derive(Debug, Default)]
pub struct Documents {
    of_table: OnceLock<BTreeMap<String, Arc<Document>>>,
    /// As they were asked for last, with what they were made of.
    of_definitions: Mutex<BTreeMap<String, (Source, Arc<Document>)>>,
}

/// The definitions that a document shows, each at the revision that it shows.
type Source = Vec<(String, Revision)>;

#[derive(Debug)]
struct Document {
    json: Bytes,
    hash: String,
}

impl Document {
    fn of(value: &Value) -> Arc<Self> {
        let json = Bytes::from(value.to_string());
        let hash = digest(&json);
        Arc::new(Self { json, hash })
    }
}

impl Documents {
    fn of_table(&self) -> &BTreeMap<String, Arc<Document>> {
        self.of_table.get_or_init(|| {
            let mut by_path: BTreeMap<String, Vec<&'static Kind>> = BTreeMap::new();
            for kind in kinds::all().iter().chain(views::all().map(|view| &view.kind)) {
                by_path.entry(path_of(kind)).or_default().push(kind);
            }
            by_path.into_iter().map(|(path, kinds)| (path, Document::of(&document::of(&kinds)))).collect()
        })
    }

    /// All documents of a state of the cluster. A group-version of the table is never one of a definition too: such a
    /// definition's kinds are shown in the table's document by nobody, as they are in Kubernetes's.
    fn all(&self, served: &Kinds) -> BTreeMap<String, Arc<Document>> {
        let mut by_path: BTreeMap<String, Vec<&'static Kind>> = BTreeMap::new();
        for kind in served.all().filter(|kind| !kind.is_built_in()) {
            by_path.entry(path_of(kind)).or_default().push(kind);
        }
        let mut kept = self.of_definitions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = BTreeMap::new();
        for (path, kinds) in by_path {
            let definitions = kinds.iter().filter_map(|kind| served.definition(kind));
            let source: Source = definitions.map(|d| (d.uid.clone(), d.revision)).collect();
            let known = kept.get(&path).filter(|(made_of, _)| *made_of == source).map(|(_, document)| document.clone());
            let document = known.unwrap_or_else(|| Document::of(&custom::of(served, &kinds)));
            fresh.insert(path, (source, document));
        }
        let of_definitions: Vec<_> =
            fresh.iter().map(|(path, (_, document))| (path.clone(), document.clone())).collect();
        *kept = fresh;
        let mut all: BTreeMap<_, _> = of_definitions.into_iter().collect();
        all.extend(self.of_table().iter().map(|(path, document)| (path.clone(), document.clone())));
        all
    }
}

fn path_of(kind: &'static Kind) -> String {
    kind.root_path().trim_start_matches('/').to_owned()
}

/// `/openapi/v2`: JSON for clients that ask for it by name.
pub async fn v2(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    if accepted.contains("protobuf") {
        return ([(CONTENT_TYPE, V2_FORM)], V2).into_response();
    }
    let snapshot = server.registry.snapshot();
    let documents = server.documents.all(snapshot.kinds());
    let parsed = documents.values().filter_map(|document| serde_json::from_slice::<Value>(&document.json).ok());
    cacheable(&headers, "application/json", &swagger::of(parsed))
}

/// `/openapi/v3`: where the document of each group-version is. The hash in its address changes with its content.
pub async fn index(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let url = |(path, document): (&String, &Arc<Document>)| {
        let url = format!("/openapi/v3/{path}?hash={}", document.hash);
        (path.clone(), json!({"serverRelativeURL": url}))
    };
    let snapshot = server.registry.snapshot();
    let paths: Map<_, _> = server.documents.all(snapshot.kinds()).iter().map(url).collect();
    cacheable(&headers, "application/json", &json!({"paths": paths}))
}

/// `/openapi/v3/apis/GROUP/VERSION`.
pub async fn document(State(server): State<Arc<Server>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    let snapshot = server.registry.snapshot();
    let documents = server.documents.all(snapshot.kinds());
    let Some(document) = documents.get(path.trim_end_matches('/')) else {
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
