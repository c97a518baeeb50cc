//! Get and list: answers put together out of the bytes that the store keeps, at one consistent revision.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::stream;
use http::StatusCode;
use jiff::Timestamp;

use super::accept::Form;
use super::answer;
use super::compress::{LongList, WORTHWHILE};
use super::fields::Filter;
use super::pages::Page;
use super::query::IncludeObject;
use crate::cluster::store::Snapshot;
use crate::object::custom::Described;
use crate::object::{ApiError, Kind, Object, Reason, Revision, kinds};

/// A list goes out in pieces of about this size.
const PIECE: usize = 64 * 1024;

pub fn too_old(asked: Revision, oldest: Revision) -> ApiError {
    ApiError::new(Reason::Expired, format!("too old resource version: {asked} ({oldest})"))
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
            // Custom resources say what they are even in a list.
            let built_in = kind.is_built_in();
            joined(head, page.objects, move |object, out| match object.json_of_item().filter(|_| built_in) {
                Some(rest) => {
                    out.extend_from_slice(b"{");
                    out.extend_from_slice(rest);
                }
                None => out.extend_from_slice(object.json()),
            })
        }
        Form::Metadata(version) => {
            let head = format!(
                "{{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":{},\"items\":[",
                page.metadata
            );
            joined(head, page.objects, move |o, out| {
                out.extend_from_slice(answer::metadata_only(&o.value(), version).to_string().as_bytes());
            })
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
fn joined(
    head: String,
    objects: Vec<Arc<Object>>,
    write: impl Fn(&Object, &mut BytesMut) + Send + 'static,
) -> Response {
    let size = objects.iter().map(|o| o.json().len()).sum::<usize>();
    let mut pieces = Pieces { head: Some(head), objects: objects.into_iter(), first: true, ended: false, write };
    if size < PIECE {
        let whole = pieces.next().unwrap_or_default();
        return answer::bytes(StatusCode::OK, whole);
    }
    let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, std::convert::Infallible>)));
    let mut response = answer::bytes(StatusCode::OK, body);
    if size as u64 >= WORTHWHILE {
        response.extensions_mut().insert(LongList);
    }
    response
}

struct Pieces<F> {
    head: Option<String>,
    objects: std::vec::IntoIter<Arc<Object>>,
    first: bool,
    ended: bool,
    write: F,
}

impl<F: Fn(&Object, &mut BytesMut)> Iterator for Pieces<F> {
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
            (self.write)(&object, &mut piece);
        }
        Some(piece.freeze())
    }
}
