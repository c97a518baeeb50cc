//! Sends a recorded request through the registry, in process, as the HTTP server would.

use serde_json::{Value, json};
use windlass::cluster::registry::{
    Author, DeleteOptions, FieldValidation, Patch, Preconditions, Registry, Target, WriteOptions, Written,
};
use windlass::cluster::store::Store;
use windlass::object::kinds::{self, Subresource};
use windlass::object::{ApiError, Clock, Kind, ObjectKey};
use windlass::tasks::Tasks;

pub enum Reply {
    Answer { status: u16, body: Value },
    AbsentKind,
    NotHere,
}

pub struct Cluster {
    pub registry: Registry,
}

/// A request's path, taken apart.
struct Place {
    kind: &'static Kind,
    namespace: String,
    name: String,
    subresource: Option<Subresource>,
    query: Vec<(String, String)>,
}

impl Cluster {
    /// An empty cluster with the namespaces that the recordings were made in.
    pub async fn new() -> Self {
        let store = Store::in_memory(&Tasks::default());
        let addresses = "10.99.0.0/16".parse().expect("a range");
        let cluster = Self { registry: Registry::new(store, Clock::start()).with_services(addresses) };
        for name in ["default", "kube-system", "golden", "gtab", "gwatch", "gsel"] {
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            cluster.create("/api/v1/namespaces", &body).await;
        }
        cluster
    }

    pub async fn create(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, "application/json", Some(&body.to_string())).await
    }

    pub async fn send(&self, method: &str, path: &str, content_type: &str, body: Option<&str>) -> Reply {
        let place = match Place::parse(path) {
            Ok(place) => place,
            Err(reply) => return reply,
        };
        let body = match body.map(|text| parse(text, content_type)) {
            None => Value::Null,
            Some(Some(body)) => body,
            Some(None) => return Reply::NotHere,
        };
        match self.perform(method, &place, content_type, body).await {
            Some(Ok((status, body))) => Reply::Answer { status, body },
            Some(Err(error)) => Reply::Answer { status: error.reason.code(), body: error.to_status() },
            None => Reply::NotHere,
        }
    }

    async fn perform(
        &self,
        method: &str,
        place: &Place,
        content_type: &str,
        body: Value,
    ) -> Option<Result<(u16, Value), ApiError>> {
        let manager = place.param("fieldManager").unwrap_or("golden").to_owned();
        let author = Author { user: "golden".into(), client: "golden".into(), manager, ..Author::default() };
        let options = WriteOptions {
            validation: match place.param("fieldValidation") {
                Some("Strict") => FieldValidation::Strict,
                Some("Ignore") => FieldValidation::Ignore,
                _ => FieldValidation::Warn,
            },
            force: place.param("force") == Some("true"),
            dry_run: place.param("dryRun").is_some(),
        };
        let key = ObjectKey::new(place.kind, &place.namespace, &place.name);
        let target = Target { key: key.clone(), subresource: place.subresource };
        let registry = &self.registry;
        let written =
            |done: Result<Written, ApiError>| done.map(|w| (if w.created { 201 } else { 200 }, json_of(w.body())));
        Some(match (method, place.name.is_empty()) {
            ("POST", true) => written(registry.create(&author, place.kind, &place.namespace, body, options).await),
            ("POST", false) if place.subresource == Some(Subresource::Binding) => {
                let bound = registry.bind(&author, &key, &body, options).await;
                bound.map(|w| (201, json_of(w.body())))
            }
            ("POST", false) if place.subresource == Some(Subresource::Eviction) => {
                let evicted = registry.evict(&author, &key, &body, &DeleteOptions::default()).await;
                evicted.map(|w| (201, json_of(w.body())))
            }
            ("PUT", false) => written(registry.update(&author, &target, body, options).await),
            ("PATCH", false) => {
                let patch = match content_type {
                    "application/json-patch+json" => Patch::Json(body),
                    "application/merge-patch+json" => Patch::Merge(body),
                    "application/strategic-merge-patch+json" => Patch::Strategic(body),
                    "application/apply-patch+yaml" => Patch::Apply(body),
                    _ => return None,
                };
                written(registry.patch(&author, &target, patch, options).await)
            }
            ("GET", false) if place.subresource == Some(Subresource::Scale) => registry.scale(&key).map(|s| (200, s)),
            ("GET", false) => registry.get(&key).map(|object| (200, object.value())),
            ("DELETE", false) => {
                let uid = body["preconditions"]["uid"].as_str().map(str::to_owned);
                let preconditions = Preconditions { uid, revision: None };
                let options = DeleteOptions { preconditions, ..DeleteOptions::default() };
                registry.delete(&author, &key, &options).await.map(|_| (200, Value::Null))
            }
            _ => return None,
        })
    }
}

impl Place {
    fn parse(path: &str) -> Result<Self, Reply> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version) = match *parts.as_slice() {
            ["api", version, ..] => {
                parts.drain(..2);
                ("", version)
            }
            ["apis", group, version, ..] => {
                parts.drain(..3);
                (group, version)
            }
            _ => return Err(Reply::NotHere),
        };
        let namespace = match *parts.as_slice() {
            ["namespaces", namespace, plural, ..] if !matches!(plural, "status" | "finalize") => {
                parts.drain(..2);
                namespace
            }
            _ => "",
        };
        let [plural, rest @ ..] = parts.as_slice() else { return Err(Reply::NotHere) };
        let kind = kinds::by_plural(group, version, plural).ok_or(Reply::AbsentKind)?;
        let name = rest.first().copied().unwrap_or_default().to_owned();
        let subresource = match rest.get(1) {
            None => None,
            Some(part) => {
                let known = kind.subresources.iter().copied().find(|s| s.as_str() == *part);
                Some(known.ok_or(Reply::NotHere)?)
            }
        };
        Ok(Self { kind, namespace: namespace.to_owned(), name, subresource, query })
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }
}

/// The body as JSON; `None` when reading it is the HTTP server's business.
fn parse(text: &str, content_type: &str) -> Option<Value> {
    match content_type {
        "application/apply-patch+yaml" | "application/yaml" => serde_yaml::from_str(text).ok(),
        _ => serde_json::from_str(text).ok(),
    }
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("answers are JSON")
}
