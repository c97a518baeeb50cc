//! Any request to the API server: it is answered, and never with an error of the server's own.
//! The input is a line of method, path, content type and accept with spaces between them; what follows is the body.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;
use windlass::cluster::registry::{self, Registry};
use windlass::cluster::server::{Api, Identity, Metrics, NoNodes, Tokens, in_process, router};
use windlass::cluster::store::Store;
use windlass::object::Clock;
use windlass::tasks::Tasks;

struct Server {
    runtime: Runtime,
    router: Router,
    _ready: tokio::sync::watch::Sender<bool>,
}

impl Server {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (ready, is_ready) = tokio::sync::watch::channel(true);
        let router = runtime.block_on(async {
            let tasks = Tasks::default();
            let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
            registry::bootstrap(&registry).await.expect("the first objects");
            let tokens = Arc::new(Tokens::ephemeral().expect("a key"));
            let nodes = Arc::new(NoNodes);
            let metrics = Metrics::default();
            let api = Api { registry, nodes, metrics, tokens, audit: None, ready: is_ready, tasks };
            in_process(router(api, Router::new()), Identity::admin("fuzz"), "fuzz")
        });
        Self { runtime, router, _ready: ready }
    }
}

thread_local! {
    static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
}

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, body) = (String::from_utf8_lossy(&input[..end]), input.get(end + 1..).unwrap_or_default());
    let words: Vec<&str> = line.split(' ').collect();
    let [method, path, content_type, accept] = words[..] else { return };
    let request = Request::builder().method(method).uri(path).header("content-type", content_type);
    let Ok(request) = request.header("accept", accept).body(Body::from(body.to_vec())) else { return };
    // A watch has no end.
    if path.contains("watch") || path.contains("follow") {
        return;
    }
    SERVER.with_borrow_mut(|server| {
        let server = server.get_or_insert_with(Server::start);
        let answer = server.runtime.block_on(async {
            let answer = tokio::time::timeout(Duration::from_secs(20), server.router.clone().oneshot(request)).await;
            let answer = answer.expect("an answer in time").expect("an answer");
            let status = answer.status();
            (status, answer.into_body().collect().await.expect("a body").to_bytes())
        });
        let text = String::from_utf8_lossy(&answer.1);
        assert!(answer.0 != 500 || !text.contains("InternalError"), "{line}: {text}");
    });
});
