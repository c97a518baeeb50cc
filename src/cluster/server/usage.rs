//! `metrics.k8s.io/v1beta1`: what nodes and pods use, as `kubectl top` and autoscalers read it.
//! (Kubernetes, `k8s.io/metrics`; names, units and refusals as its metrics server has them.)

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::answer;
use super::fields::Filter;
use super::query::{ListQuery, Parameters};
use crate::cluster::registry::Registry;
use crate::cluster::usage::{NodeUsage, PodUsage, Usage, Usages};
use crate::object::error::About;
use crate::object::{ApiError, Kind, Object, ObjectKey, Reason, clock, kinds};

pub const GROUP: &str = "metrics.k8s.io";
pub const VERSION: &str = "v1beta1";

/// A resource of the group, for discovery.
pub struct Resource {
    pub plural: &'static str,
    pub kind: &'static str,
    pub namespaced: bool,
}

pub const RESOURCES: [Resource; 2] = [
    Resource { plural: "nodes", kind: "NodeMetrics", namespaced: false },
    Resource { plural: "pods", kind: "PodMetrics", namespaced: true },
];

#[derive(Clone)]
struct Source {
    registry: Registry,
    usages: Usages,
}

/// The routes of the group; they go through the authorisation of whoever merges them.
pub fn routes(registry: Registry, usages: Usages) -> Router {
    let path = |rest: &str| format!("/apis/{GROUP}/{VERSION}/{rest}");
    Router::new()
        .route(&path("nodes"), get(nodes))
        .route(&path("nodes/{name}"), get(node))
        .route(&path("pods"), get(all_pods))
        .route(&path("namespaces/{namespace}/pods"), get(pods))
        .route(&path("namespaces/{namespace}/pods/{name}"), get(pod))
        .with_state(Source { registry, usages })
}

async fn nodes(State(source): State<Source>, uri: Uri) -> Response {
    list(&source, kinds::NODE, "", &uri, "NodeMetricsList", |object| {
        source.usages.node(&object.key.name).map(|usage| node_metrics(object, &usage))
    })
}

async fn all_pods(State(source): State<Source>, uri: Uri) -> Response {
    pods_in(&source, "", &uri)
}

async fn pods(State(source): State<Source>, Path(namespace): Path<String>, uri: Uri) -> Response {
    pods_in(&source, &namespace, &uri)
}

async fn node(State(source): State<Source>, Path(name): Path<String>) -> Response {
    let object = source.registry.get(&ObjectKey::new(kinds::NODE, "", name.clone()));
    let found = object.ok().and_then(|object| Some(node_metrics(&object, &*source.usages.node(&name)?)));
    one("NodeMetrics", found, "nodes", name)
}

async fn pod(State(source): State<Source>, Path((namespace, name)): Path<(String, String)>) -> Response {
    let object = source.registry.get(&ObjectKey::new(kinds::POD, namespace.clone(), name.clone()));
    let found = object.ok().and_then(|object| pod_metrics(&object, &source.usages));
    one("PodMetrics", found, "pods", format!("{namespace}/{name}"))
}

fn pods_in(source: &Source, namespace: &str, uri: &Uri) -> Response {
    list(source, kinds::POD, namespace, uri, "PodMetricsList", |object| pod_metrics(object, &source.usages))
}

/// What is measured of the objects that the request selects; those that are not measured yet are left out.
fn list(
    source: &Source,
    kind: &'static Kind,
    namespace: &str,
    uri: &Uri,
    named: &str,
    metrics: impl Fn(&Object) -> Option<Value>,
) -> Response {
    let read = || {
        let query = ListQuery::of(&Parameters::of(uri)?)?;
        Filter::new(kind, namespace, query.labels, query.fields)
    };
    let filter = match read() {
        Ok(filter) => filter,
        Err(error) => return error.into_response(),
    };
    let snapshot = source.registry.snapshot();
    let selected = snapshot.list(kind, namespace).filter(|object| filter.matches(object));
    let items: Vec<Value> = selected.filter_map(|object| metrics(object)).collect();
    let list = json!({"kind": named, "apiVersion": format!("{GROUP}/{VERSION}"), "metadata": {}, "items": items});
    answer::value(StatusCode::OK, &list)
}

fn one(kind: &str, found: Option<Value>, plural: &str, name: String) -> Response {
    let Some(mut metrics) = found else {
        let message = format!("{plural}.{GROUP} {name:?} not found");
        let about = About { name, group: GROUP.into(), kind: plural.into(), ..About::default() };
        let error = ApiError { about: Some(Box::new(about)), ..ApiError::new(Reason::NotFound, message) };
        return error.into_response();
    };
    metrics["kind"] = json!(kind);
    metrics["apiVersion"] = json!(format!("{GROUP}/{VERSION}"));
    answer::value(StatusCode::OK, &metrics)
}

fn node_metrics(object: &Object, of: &NodeUsage) -> Value {
    json!({"metadata": metadata(object, of.timestamp), "timestamp": clock::rfc3339(of.timestamp),
        "window": window(of.window), "usage": usage(of.usage)})
}

fn pod_metrics(object: &Object, usages: &Usages) -> Option<Value> {
    let of = usages.pod(&object.key.namespace, &object.key.name)?;
    // The figures of a pod that had this name before are not this one's.
    let PodUsage { uid, timestamp, window: over, containers, .. } = &*of;
    if !uid.is_empty() && *uid != object.meta.uid {
        return None;
    }
    let containers: Vec<Value> = containers.iter().map(|c| json!({"name": c.name, "usage": usage(c.usage)})).collect();
    Some(json!({"metadata": metadata(object, *timestamp), "timestamp": clock::rfc3339(*timestamp),
        "window": window(*over), "containers": containers}))
}

fn metadata(object: &Object, at: jiff::Timestamp) -> Value {
    let value = object.value();
    let mut metadata = json!({"name": object.key.name, "creationTimestamp": clock::rfc3339(at)});
    if !object.key.namespace.is_empty() {
        metadata["namespace"] = json!(object.key.namespace);
    }
    if let Some(labels) = value["metadata"].get("labels") {
        metadata["labels"] = labels.clone();
    }
    metadata
}

/// As Go writes durations of whole milliseconds: `10.025s`.
fn window(window: std::time::Duration) -> String {
    format!("{}s", window.as_millis() as f64 / 1000.0)
}

fn usage(usage: Usage) -> Value {
    let cpu = match usage.cpu_nanocores {
        0 => "0".to_owned(),
        nanocores => format!("{nanocores}n"),
    };
    json!({"cpu": cpu, "memory": format!("{}Ki", usage.memory_bytes / 1024)})
}
