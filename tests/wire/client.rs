//! A client of the router in this process, which speaks HTTP without a network.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;
use windlass::cluster::registry::{self, Registry};
use windlass::cluster::server::{Api, Identity, Metrics, NoNodes, NodeStreams, Tokens, in_process, router};
use windlass::cluster::store::Store;
use windlass::object::Clock;
use windlass::tasks::Tasks;

pub struct Client {
    pub router: Router,
    pub clock: Clock,
    _tasks: Tasks,
    _ready: watch::Sender<bool>,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&self.body)))
    }

    /// The Warning header, its values joined.
    pub fn warnings(&self) -> String {
        let values = self.headers.get_all("warning").into_iter().map(|value| value.to_str().unwrap());
        values.collect::<Vec<_>>().join(", ")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A request by its parts.
#[derive(Default)]
pub struct Ask<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub content_type: &'a str,
    pub accept: &'a str,
    pub body: Vec<u8>,
}

impl Client {
    /// An administrator of a cluster with the namespaces of the recordings.
    pub async fn new() -> Self {
        Self::with(Arc::new(NoNodes), Some(Identity::admin("golden"))).await
    }

    pub async fn with(nodes: Arc<dyn NodeStreams>, identity: Option<Identity>) -> Self {
        let tasks = Tasks::default();
        let clock = Clock::start();
        let addresses = "10.99.0.0/16".parse().unwrap();
        let registry = Registry::new(Store::in_memory(&tasks), clock).with_services(addresses);
        registry::bootstrap(&registry).await.unwrap();
        let (ready, is_ready) = watch::channel(true);
        let tokens = Arc::new(Tokens::ephemeral().unwrap());
        let metrics = Metrics::default();
        let api = Api { registry, nodes, metrics, tokens, audit: None, ready: is_ready, tasks: tasks.clone() };
        let open = router(api, Router::new());
        let admin = in_process(open.clone(), Identity::admin("golden"), "golden");
        let mut client = Self { router: admin, clock, _tasks: tasks, _ready: ready };
        for name in ["golden", "gtab", "gwatch", "gsel"] {
            client.create("/api/v1/namespaces", &json!({"metadata": {"name": name}})).await;
        }
        client.router = match identity {
            Some(identity) => in_process(open, identity, "golden"),
            None => open,
        };
        client
    }

    pub async fn open(&self, ask: Ask<'_>) -> Response<Body> {
        let mut request = Request::builder().method(ask.method).uri(ask.path).header("user-agent", "golden");
        for (name, value) in [("content-type", ask.content_type), ("accept", ask.accept)] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        self.router.clone().oneshot(request.body(Body::from(ask.body)).unwrap()).await.unwrap()
    }

    pub async fn ask(&self, ask: Ask<'_>) -> Answer {
        let (parts, body) = self.open(ask).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Ask { method: "GET", path, ..Ask::default() }).await
    }

    /// A write with the content type that its method usually has.
    pub async fn write(&self, method: &str, path: &str, body: &Value) -> Answer {
        let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.ask(Ask { method, path, content_type, body, ..Ask::default() }).await
    }

    /// Creates a CustomResourceDefinition and waits until its kind is served.
    pub async fn define(&self, definition: &Value) -> Result<(), String> {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let created = self.write("POST", path, definition).await;
        if created.status != 201 {
            return Err(format!("definition refused with {}: {}", created.status, created.json()["message"]));
        }
        let one = format!("{path}/{}", definition["metadata"]["name"].as_str().unwrap_or_default());
        for _ in 0..100 {
            let object = self.get(&one).await.json();
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            if conditions.iter().any(|c| c["type"] == "Established" && c["status"] == "True") {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Err("the definition was not established".to_owned())
    }

    pub async fn create(&self, path: &str, body: &Value) -> Answer {
        let answer = self.write("POST", path, body).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.json());
        answer
    }
}
