//! An API server of some hundred lines for tests of the agent alone: keeps objects as JSON, lists, watches, patches by
//! merge, and deletes pods with grace. No validation, no defaults.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use windlass::object::{Clock, clock};

/// Clones share the objects.
#[derive(Clone)]
pub struct FakeApi {
    clock: Clock,
    state: Arc<Mutex<Objects>>,
    events: broadcast::Sender<Event>,
}

#[derive(Clone)]
struct Event {
    revision: u64,
    collection: String,
    namespace: String,
    type_: &'static str,
    before: Option<Value>,
    object: Value,
}

#[derive(Default)]
struct Objects {
    revision: u64,
    /// By collection (`/api/v1/pods`), namespace and name.
    all: BTreeMap<(String, String, String), Value>,
    log: Vec<Event>,
}

/// What a request's path names.
struct Target {
    collection: String,
    namespace: String,
    name: String,
}

impl FakeApi {
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Arc::default(), events: broadcast::Sender::new(65_536) }
    }

    /// A client of this API, in process.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(Router::new().fallback(handle).with_state(self.clone()), "default")
    }

    fn state(&self) -> MutexGuard<'_, Objects> {
        self.state.lock().unwrap()
    }

    /// Creates or replaces an object.
    pub fn put(&self, collection: &str, mut object: Value) -> Value {
        let text = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = (collection.to_owned(), text(&object, "namespace"), text(&object, "name"));
        let mut state = self.state();
        let before = state.all.get(&key).cloned();
        state.revision += 1;
        let revision = state.revision;
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(uuid::Uuid::new_v4().to_string());
        }
        if object["metadata"]["creationTimestamp"].is_null() {
            object["metadata"]["creationTimestamp"] = json!(clock::rfc3339(self.clock.now()));
        }
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        let type_ = if before.is_some() { "MODIFIED" } else { "ADDED" };
        state.all.insert(key.clone(), object.clone());
        let event = Event { revision, collection: key.0, namespace: key.1, type_, before, object: object.clone() };
        state.log.push(event.clone());
        let _ = self.events.send(event);
        object
    }

    pub fn get(&self, collection: &str, namespace: &str, name: &str) -> Option<Value> {
        self.state().all.get(&(collection.to_owned(), namespace.to_owned(), name.to_owned())).cloned()
    }

    pub fn list(&self, collection: &str) -> Vec<Value> {
        self.state().all.iter().filter(|((of, ..), _)| of == collection).map(|(_, object)| object.clone()).collect()
    }

    pub fn remove(&self, collection: &str, namespace: &str, name: &str) -> Option<Value> {
        let mut state = self.state();
        let key = (collection.to_owned(), namespace.to_owned(), name.to_owned());
        let mut object = state.all.remove(&key)?;
        state.revision += 1;
        let revision = state.revision;
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        let before = Some(object.clone());
        let event =
            Event { revision, collection: key.0, namespace: key.1, type_: "DELETED", before, object: object.clone() };
        state.log.push(event.clone());
        let _ = self.events.send(event);
        Some(object)
    }

    /// Deletes a pod as kubectl does: it goes when its node says so.
    pub fn delete_pod(&self, namespace: &str, name: &str, grace: Option<i64>) -> Option<Value> {
        let mut pod = self.get("/api/v1/pods", namespace, name)?;
        let grace = grace.or(pod["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30);
        if grace == 0 || pod["spec"]["nodeName"].is_null() {
            return self.remove("/api/v1/pods", namespace, name);
        }
        let at = self.clock.now() + SignedDuration::from_secs(grace);
        pod["metadata"]["deletionTimestamp"] = json!(clock::rfc3339(at));
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        Some(self.put("/api/v1/pods", pod))
    }
}

fn target(path: &str) -> Target {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let root = if parts[0] == "api" { 2 } else { 3 };
    let prefix = parts[..root].join("/");
    let (namespace, rest) = match parts.get(root) {
        Some(&"namespaces") if parts.len() > root + 2 => (parts[root + 1].to_owned(), &parts[root + 2..]),
        _ => (String::new(), &parts[root..]),
    };
    let collection = format!("/{prefix}/{}", rest[0]);
    Target { collection, namespace, name: rest.get(1).copied().unwrap_or_default().to_owned() }
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason,
        "message": reason, "code": status.as_u16()});
    (status, axum::Json(body)).into_response()
}

async fn handle(State(api): State<FakeApi>, request: Request) -> Response {
    let target = target(request.uri().path());
    let query: BTreeMap<String, String> = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.replace("%3D", "=").replace("%2C", ",")))
        .collect();
    let method = request.method().clone();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    match method {
        Method::GET if target.name.is_empty() && query.contains_key("watch") => watch(&api, &target, &query),
        Method::GET if target.name.is_empty() => list(&api, &target, &query),
        Method::GET => match api.get(&target.collection, &target.namespace, &target.name) {
            Some(object) => axum::Json(object).into_response(),
            None => refuse(StatusCode::NOT_FOUND, "NotFound"),
        },
        Method::POST => {
            let mut object = body;
            object["metadata"]["namespace"] = json!(target.namespace);
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if api.get(&target.collection, &target.namespace, &name).is_some() {
                return refuse(StatusCode::CONFLICT, "AlreadyExists");
            }
            (StatusCode::CREATED, axum::Json(api.put(&target.collection, object))).into_response()
        }
        Method::PATCH => {
            let Some(mut object) = api.get(&target.collection, &target.namespace, &target.name) else {
                return refuse(StatusCode::NOT_FOUND, "NotFound");
            };
            let uid = &body["metadata"]["uid"];
            if !uid.is_null() && *uid != object["metadata"]["uid"] {
                return refuse(StatusCode::CONFLICT, "Conflict");
            }
            json_patch::merge(&mut object, &body);
            axum::Json(api.put(&target.collection, object)).into_response()
        }
        Method::DELETE => {
            let grace = body["gracePeriodSeconds"].as_i64();
            let gone = match target.collection.as_str() {
                "/api/v1/pods" => api.delete_pod(&target.namespace, &target.name, grace),
                _ => api.remove(&target.collection, &target.namespace, &target.name),
            };
            gone.map_or_else(|| refuse(StatusCode::NOT_FOUND, "NotFound"), |object| axum::Json(object).into_response())
        }
        _ => refuse(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

fn selects(query: &BTreeMap<String, String>, object: &Value) -> bool {
    let node = query.get("fieldSelector").and_then(|fields| fields.strip_prefix("spec.nodeName="));
    node.is_none_or(|node| object["spec"]["nodeName"] == node)
}

fn list(api: &FakeApi, target: &Target, query: &BTreeMap<String, String>) -> Response {
    let state = api.state();
    let ours = |((collection, namespace, _), object): &(&(String, String, String), &Value)| {
        *collection == target.collection
            && (target.namespace.is_empty() || *namespace == target.namespace)
            && selects(query, object)
    };
    let items: Vec<&Value> = state.all.iter().filter(ours).map(|(_, object)| object).collect();
    let revision = state.revision.to_string();
    axum::Json(json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": revision}, "items": items}))
        .into_response()
}

fn watch(api: &FakeApi, target: &Target, query: &BTreeMap<String, String>) -> Response {
    let since: u64 = query.get("resourceVersion").and_then(|r| r.parse().ok()).unwrap_or_default();
    let (missed, live) = {
        let state = api.state();
        (state.log.iter().filter(|e| e.revision > since).cloned().collect::<Vec<_>>(), api.events.subscribe())
    };
    let live = tokio_stream::wrappers::BroadcastStream::new(live).filter_map(|event| async { event.ok() });
    let (collection, namespace, query) = (target.collection.clone(), target.namespace.clone(), query.clone());
    let lines = futures::stream::iter(missed).chain(live).filter_map(move |event| {
        let ours = event.collection == collection && (namespace.is_empty() || event.namespace == namespace);
        let is = selects(&query, &event.object) && event.type_ != "DELETED";
        let was = event.before.as_ref().is_some_and(|before| selects(&query, before));
        let type_ = match (was, is) {
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
            (false, false) => None,
        };
        let line = type_.filter(|_| ours).map(|type_| {
            let line = json!({"type": type_, "object": event.object});
            Ok::<_, Infallible>(Bytes::from(format!("{line}\n")))
        });
        futures::future::ready(line)
    });
    Response::new(Body::from_stream(lines))
}
