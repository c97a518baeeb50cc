//! Get and list: answers put together out of the bytes that the store keeps, at one consistent revision.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};
use futures::stream;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accept::Form;
use super::answer;
use super::fields::Filter;
use super::query::{IncludeObject, ListQuery, too_large};
use crate::cluster::store::Snapshot;
use crate::object::custom::Described;
use crate::object::{ApiError, Kind, Object, ObjectKey, Reason, Revision, kinds};

/// Snapshots that later pages of unfinished lists may still need; older ones expire.
const KEPT: usize = 64;
/// A list goes out in pieces of about this size.
const PIECE: usize = 64 * 1024;

/// A page of a list.
pub struct Page {
    pub objects: Vec<Arc<Object>>,
    pub metadata: Value,
}

/// Remembers the snapshots that unfinished lists were started on, so that all pages show one revision.
#[derive(Debug, Default)]
pub struct Pages {
    kept: Mutex<VecDeque<Arc<Snapshot>>>,
}

/// Where the next page starts; opaque to clients.
#[derive(Serialize, Deserialize)]
struct Token {
    rv: u64,
    namespace: String,
    name: String,
}

impl Pages {
    fn keep(&self, snapshot: &Arc<Snapshot>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().any(|s| s.revision() == snapshot.revision()) {
            return;
        }
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(snapshot.clone());
    }

    fn at(&self, revision: Revision) -> Option<Arc<Snapshot>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|s| s.revision() == revision).cloned()
    }

    /// The objects that `query` asks for, and where the next page starts.
    ///
    /// # Errors
    /// `Expired` when a token's revision is gone; `Timeout` when a revision is asked for that is yet to come.
    pub fn page(
        &self,
        latest: Arc<Snapshot>,
        kind: &'static Kind,
        filter: &Filter,
        query: &ListQuery,
    ) -> Result<Page, ApiError> {
        let token = query.continue_token.as_deref().map(decode).transpose()?;
        let snapshot = match &token {
            Some(token) => self.at(Revision(token.rv)).or_else(|| same(&latest, token.rv)).ok_or_else(expired_token)?,
            None => self.snapshot_for(latest, query)?,
        };
        let start = token.map(|t| ObjectKey::new(kind, t.namespace, t.name));
        let mut matching = candidates(&snapshot, kind, filter)
            .filter(|o| start.as_ref().is_none_or(|s| o.key > *s))
            .map(|o| snapshot.kinds().seen_as(kind, o))
            .filter(|o| filter.matches(o));
        let objects: Vec<Arc<Object>> = match query.limit {
            Some(limit) => matching.by_ref().take(limit).collect(),
            None => matching.by_ref().collect(),
        };
        let remaining = matching.count();
        let mut metadata = json!({"resourceVersion": snapshot.revision().to_string()});
        if let (true, Some(last)) = (remaining > 0, objects.last()) {
            metadata["continue"] = json!(encode(snapshot.revision(), &last.key));
            // With a selector the rest would have to be counted object by object, so the API leaves it out.
            if filter.is_everything() {
                metadata["remainingItemCount"] = json!(remaining);
            }
            self.keep(&snapshot);
        }
        Ok(Page { objects, metadata })
    }

    fn snapshot_for(&self, latest: Arc<Snapshot>, query: &ListQuery) -> Result<Arc<Snapshot>, ApiError> {
        let Some(asked) = query.revision.filter(|r| r.0 > 0) else { return Ok(latest) };
        if asked > latest.revision() {
            return Err(too_large(asked, latest.revision()));
        }
        if query.exact && asked < latest.revision() {
            return self.at(asked).ok_or_else(|| {
                ApiError::new(Reason::Expired, "The resourceVersion for the provided list is too old.")
            });
        }
        Ok(latest)
    }
}

fn same(snapshot: &Arc<Snapshot>, revision: u64) -> Option<Arc<Snapshot>> {
    (snapshot.revision().0 == revision).then(|| snapshot.clone())
}

pub fn too_old(asked: Revision, oldest: Revision) -> ApiError {
    ApiError::new(Reason::Expired, format!("too old resource version: {asked} ({oldest})"))
}

fn expired_token() -> ApiError {
    let message = "The provided continue parameter is too old to display a consistent list result. You must start \
                   a new list without the continue parameter.";
    ApiError::new(Reason::Expired, message)
}

fn encode(revision: Revision, last: &ObjectKey) -> String {
    let token = Token { rv: revision.0, namespace: last.namespace.clone(), name: last.name.clone() };
    URL_SAFE_NO_PAD.encode(json!(token).to_string())
}

fn decode(text: &str) -> Result<Token, ApiError> {
    let invalid = |why: &str| ApiError::bad_request(format!("invalid continue token: continue key is not valid{why}"));
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid(""))?;
    let token: Value =
        serde_json::from_slice(&bytes).map_err(|_| match String::from_utf8_lossy(&bytes).chars().next() {
            None => invalid(": unexpected end of JSON input"),
            Some(first) => invalid(&format!(": invalid character '{first}' looking for beginning of value")),
        })?;
    let other = |_| invalid(": server does not recognize this encoded version ");
    serde_json::from_value(token).map_err(other)
}

/// The objects that can match, by the cheapest way to find them.
pub fn candidates<'a>(
    snapshot: &'a Snapshot,
    kind: &'static Kind,
    filter: &'a Filter,
) -> Box<dyn Iterator<Item = &'a Arc<Object>> + Send + 'a> {
    let one_place = !kind.namespaced || !filter.namespace.is_empty();
    match (filter.name(), filter.node()) {
        (Some(name), _) if one_place => Box::new(snapshot.find(kind, &filter.namespace, name).into_iter()),
        (_, Some(node)) if kind == kinds::POD => Box::new(snapshot.pods_on(node)),
        _ => Box::new(snapshot.list(kind, &filter.namespace)),
    }
}

/// The answer for a page in the form that was asked for.
pub fn answer(kind: Described<'_>, page: Page, form: Form, include: IncludeObject, now: Timestamp) -> Response {
    match form {
        Form::Plain => {
            let head = format!(
                "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{},\"items\":[",
                kind.kind,
                kind.api_version(),
                page.metadata
            );
            joined(head, page.objects, |object| object.json().clone())
        }
        Form::Metadata(version) => {
            let head = format!(
                "{{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":{},\"items\":[",
                page.metadata
            );
            joined(head, page.objects, move |o| answer::metadata_only(&o.value(), version).to_string().into())
        }
        Form::Table(version) => {
            let mut table = answer::table_head(kind, version, page.metadata);
            let row = |o: &Arc<Object>| answer::row(kind, o.value(), include, version, now);
            table["rows"] = page.objects.iter().map(row).collect();
            answer::value(StatusCode::OK, &table)
        }
    }
}

/// `head`, the objects with commas between them, and the end of the list. Short lists go out whole, with
/// their length; long ones in pieces, so that they never are in memory twice.
fn joined(head: String, objects: Vec<Arc<Object>>, json: impl Fn(&Object) -> Bytes + Send + 'static) -> Response {
    let short = objects.iter().map(|o| o.json().len()).sum::<usize>() < PIECE;
    let mut pieces = Pieces { head: Some(head), objects: objects.into_iter(), first: true, ended: false, json };
    if short {
        let whole = pieces.next().unwrap_or_default();
        return answer::bytes(StatusCode::OK, whole);
    }
    answer::bytes(StatusCode::OK, Body::from_stream(stream::iter(pieces.map(Ok::<_, std::convert::Infallible>))))
}

struct Pieces<F> {
    head: Option<String>,
    objects: std::vec::IntoIter<Arc<Object>>,
    first: bool,
    ended: bool,
    json: F,
}

impl<F: Fn(&Object) -> Bytes> Iterator for Pieces<F> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut piece = BytesMut::from(self.head.take().unwrap_or_default().as_bytes());
        while piece.len() < PIECE {
            let Some(object) = self.objects.next() else {
                self.ended = true;
                piece.extend_from_slice(b"]}\n");
                break;
            };
            if !std::mem::take(&mut self.first) {
                piece.extend_from_slice(b",");
            }
            piece.extend_from_slice(&(self.json)(&object));
        }
        Some(piece.freeze())
    }
}
