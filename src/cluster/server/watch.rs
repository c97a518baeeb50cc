//! Watches: the present objects, where asked for, then every change, each once and in order, one JSON line each.
//! (Kubernetes API concepts, "Efficient detection of changes".)

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::accept::Form;
use super::answer;
use super::api::Server;
use super::fields::Filter;
use super::list::{candidates, too_old};
use super::metrics::Watching;
use super::query::{IncludeObject, ListQuery, too_large};
use crate::cluster::registry::Registry;
use crate::cluster::store::{Change, Event, Watch, WatchEnd, WatchError};
use crate::object::{ApiError, Clock, Draft, Kind, Kinds, Object, Reason, Revision, views};

/// A watcher that asked for bookmarks hears at least this often how far it is.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// Opens a watch and answers with its stream.
///
/// # Errors
/// `Timeout` when a state is asked for that is yet to come.
pub fn answer(
    server: &Server,
    kind: &'static Kind,
    filter: Filter,
    query: &ListQuery,
    form: Form,
) -> Result<Response, ApiError> {
    let feed = match Feed::open(server, kind, filter, query, form) {
        // Told in the stream, where clients that lag behind look for it.
        Err(error) if error.reason == Reason::Expired => return Ok(answer::bytes(StatusCode::OK, error_line(&error))),
        opened => opened?,
    };
    let lines = stream::unfold(feed, |mut feed| async move {
        let line = feed.next().await?;
        Some((Ok::<_, std::convert::Infallible>(line), feed))
    });
    Ok(answer::bytes(StatusCode::OK, Body::from_stream(lines)))
}

/// What one watcher still has to hear.
struct Feed {
    kind: &'static Kind,
    /// As they were when the watch began: a Table keeps its columns.
    kinds: Kinds,
    filter: Filter,
    form: Form,
    include: IncludeObject,
    clock: Clock,
    /// Objects that existed when the watch began, to be shown as added.
    present: VecDeque<Arc<Object>>,
    /// Changes of a batch of which the watcher may have heard a part only.
    again: VecDeque<(&'static str, Arc<Object>)>,
    /// The bookmark that ends the present objects is still to be sent.
    announce_end: bool,
    /// Events up to here are older than what the watcher knows.
    known: Revision,
    watch: Watch,
    bookmarks: bool,
    next_bookmark: Instant,
    /// The revision that the last bookmark told.
    told: Revision,
    deadline: Option<Instant>,
    shutdown: CancellationToken,
    _counted: Watching,
    /// Column definitions go with the first Table only.
    columns_sent: bool,
    ended: bool,
}

enum Step {
    Event(Arc<Event>),
    Ended(WatchEnd),
    Bookmark,
    Over,
}

impl Feed {
    fn open(
        server: &Server,
        kind: &'static Kind,
        filter: Filter,
        query: &ListQuery,
        form: Form,
    ) -> Result<Self, ApiError> {
        let registry = &server.registry;
        let asked = query.revision.filter(|r| r.0 > 0);
        let replay = asked.is_none() || query.send_initial_events;
        let snapshot = registry.snapshot();
        if let Some(asked) = asked.filter(|asked| replay && *asked > snapshot.revision()) {
            return Err(too_large(asked, snapshot.revision()));
        }
        let known = if replay { snapshot.revision() } else { asked.unwrap_or_default() };
        let stored = views::stored(kind);
        let watch = subscribe(registry, stored, known)?;
        let present = match replay {
            true => candidates(&snapshot, stored, &filter).filter(|o| filter.matches(o)).cloned().collect(),
            false => VecDeque::new(),
        };
        let again = if replay { VecDeque::new() } else { batch_at(registry, stored, &filter, known) };
        let now = Instant::now();
        Ok(Self {
            kind,
            kinds: snapshot.kinds().clone(),
            filter,
            form,
            include: query.include_object,
            clock: registry.clock(),
            present,
            again,
            announce_end: query.send_initial_events && query.bookmarks,
            known,
            watch,
            bookmarks: query.bookmarks,
            next_bookmark: now + BOOKMARK_EVERY,
            told: known,
            deadline: query.timeout.map(|t| now + t),
            shutdown: server.shutdown.clone(),
            _counted: server.metrics.watching(kind),
            columns_sent: false,
            ended: false,
        })
    }

    /// The next line; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if let Some(object) = self.present.pop_front() {
            return Some(self.line("ADDED", &object));
        }
        if std::mem::take(&mut self.announce_end) {
            let marked = json!({"resourceVersion": self.known.to_string(),
                "annotations": {"k8s.io/initial-events-end": "true"}});
            return Some(self.bookmark(marked));
        }
        if let Some((change, object)) = self.again.pop_front() {
            return Some(self.line(change, &object));
        }
        loop {
            match self.step().await {
                Step::Event(event) if event.revision <= self.known => {}
                Step::Event(event) => {
                    if let Some((change, object)) = seen_through(&self.filter, &event) {
                        return Some(self.line(change, &object));
                    }
                }
                Step::Bookmark => {
                    self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                    if let Some(reached) = self.watch.progress().filter(|r| *r > self.told) {
                        self.told = reached;
                        return Some(self.bookmark(json!({"resourceVersion": reached.to_string()})));
                    }
                }
                Step::Ended(WatchEnd::Expired) => {
                    self.ended = true;
                    let error = ApiError::new(Reason::Expired, "the watch fell too far behind; list again");
                    return Some(error_line(&error));
                }
                Step::Ended(WatchEnd::Closed) | Step::Over => return None,
            }
        }
    }

    async fn step(&mut self) -> Step {
        let deadline = self.deadline;
        let over = async move {
            match deadline {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Step::Over,
            event = self.watch.next() => event.map_or_else(Step::Ended, Step::Event),
            () = sleep_until(self.next_bookmark), if self.bookmarks => Step::Bookmark,
            () = over => Step::Over,
        }
    }

    fn line(&mut self, change: &str, object: &Arc<Object>) -> Bytes {
        let object = &self.kinds.seen_as(self.kind, object);
        match self.form {
            Form::Plain => answer::event_line(change, object.json()),
            Form::Metadata(version) => {
                let metadata = answer::metadata_only(&object.value(), version);
                answer::event_line(change, metadata.to_string().as_bytes())
            }
            Form::Table(version) => {
                let mut one = self.table(version, json!({"resourceVersion": object.meta.revision.to_string()}));
                let now = self.clock.now();
                one["rows"] =
                    json!([answer::row(self.kinds.describe(self.kind), object.value(), self.include, version, now)]);
                answer::event_line(change, one.to_string().as_bytes())
            }
        }
    }

    fn bookmark(&mut self, metadata: Value) -> Bytes {
        let object = match self.form {
            Form::Plain => json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata}),
            Form::Metadata(version) => answer::metadata_only(&json!({"metadata": metadata}), version),
            Form::Table(version) => {
                // The row's object is where a client of Tables looks for the annotation.
                let object = answer::metadata_only(&json!({"metadata": metadata}), version);
                let mut one = self.table(version, json!({"resourceVersion": metadata["resourceVersion"]}));
                let columns = answer::table_head(self.kinds.describe(self.kind), version, Value::Null);
                let columns = columns["columnDefinitions"].as_array().map_or(0, Vec::len);
                let blank = vec![Value::Null; columns];
                one["rows"] = json!([{"cells": blank, "object": object}]);
                one
            }
        };
        answer::event_line("BOOKMARK", object.to_string().as_bytes())
    }

    fn table(&mut self, version: &str, metadata: Value) -> Value {
        let mut one = answer::table_head(self.kinds.describe(self.kind), version, metadata);
        if std::mem::replace(&mut self.columns_sent, true) {
            one["columnDefinitions"] = Value::Null;
        }
        one
    }
}

fn error_line(error: &ApiError) -> Bytes {
    answer::event_line("ERROR", error.to_status().to_string().as_bytes())
}

/// The changes after `known`, even when the watchers' side of the store is an instant behind its snapshots.
fn subscribe(registry: &Registry, kind: &'static Kind, known: Revision) -> Result<Watch, ApiError> {
    let store = registry.store();
    match store.watch(kind, known) {
        Ok(watch) => Ok(watch),
        Err(WatchError::Expired { from, oldest }) => Err(too_old(from, oldest)),
        // Events that come before `known` are skipped by the feed.
        Err(WatchError::Future { current, .. }) => {
            store.watch(kind, current).map_err(|error| ApiError::new(Reason::Expired, error.to_string()))
        }
    }
}

/// The changes of one batch share a revision, so a watcher that was cut off among them cannot say how many it has heard.
/// When it comes back with that revision it hears all of them again, which to it is the same states once more. Lists and
/// bookmarks give the revision of a whole state, which such a batch's objects never have: who comes with one of those
/// hears nothing twice.
fn batch_at(
    registry: &Registry,
    kind: &'static Kind,
    filter: &Filter,
    known: Revision,
) -> VecDeque<(&'static str, Arc<Object>)> {
    let changes = registry.store().changed_at(kind, known);
    let seen: VecDeque<_> = changes.iter().filter_map(|event| seen_through(filter, event)).collect();
    if seen.len() > 1 { seen } else { VecDeque::new() }
}

/// What a change is to a watcher that sees a part of the collection only: an object that starts to match
/// is added, one that stops to match is deleted (and shown as it was, at the revision of the change).
fn seen_through(filter: &Filter, event: &Event) -> Option<(&'static str, Arc<Object>)> {
    let before = event.previous.as_ref().filter(|o| filter.matches(o));
    let after = (event.change != Change::Deleted && filter.matches(&event.object)).then_some(&event.object);
    match (before, after) {
        (None, None) => None,
        (None, Some(now)) => Some(("ADDED", now.clone())),
        (Some(_), Some(now)) => Some(("MODIFIED", now.clone())),
        (Some(_), None) if event.change == Change::Deleted => Some(("DELETED", event.object.clone())),
        (Some(last), None) => {
            let at_change = Draft::new(last.key.kind, &last.value()).seal(event.revision);
            Some(("DELETED", Arc::new(at_change)))
        }
    }
}
