//! Many clients at once, and such as are slow or silent: nobody else waits for them, and what they may hold is bounded.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use windlass::cluster::server::{Identity, NoNodes};

use super::client::{Ask, Client};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const WATCHERS: usize = 10_000;
/// Writes of so many bytes each: together more than a watcher may lag behind (16 MiB).
const WRITES: usize = 1_200;
const BYTES: usize = 16 << 10;

fn resident_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"x": "y".repeat(BYTES)}})
}

#[tokio::test]
async fn ten_thousand_watchers_that_read_nothing_hold_up_nobody_and_hold_little() {
    let client = Client::new().await;
    let path = format!("{CONFIG_MAPS}?watch=1&resourceVersion=0&timeoutSeconds=600");
    let open = || client.open(Ask { method: "GET", path: &path, ..Ask::default() });
    let before = resident_mib();
    let mut silent = Vec::with_capacity(WATCHERS);
    for _ in 0..WATCHERS {
        let answer = open().await;
        assert_eq!(answer.status(), 200);
        silent.push(answer.into_body());
    }
    let attentive = open().await.into_body();
    let hears_all = async {
        let mut heard = 0;
        let mut text = attentive.into_data_stream();
        while heard < WRITES {
            let line = text.next().await.unwrap().unwrap();
            heard += line.windows(7).filter(|window| *window == b"\"ADDED\"").count();
            assert!(!line.windows(7).any(|window| window == b"\"ERROR\""), "{}", String::from_utf8_lossy(&line));
        }
    };
    let writes = async {
        for number in 0..WRITES {
            client.create(CONFIG_MAPS, &config_map(&format!("c{number}"))).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(300), async { tokio::join!(hears_all, writes) }).await.unwrap();
    let grown = resident_mib().saturating_sub(before);
    assert!(grown < 500, "{WATCHERS} watchers hold {grown} MiB");
    // Who begins to read so late is told that it is too late.
    let late = silent.pop().unwrap().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&late);
    assert!(text.contains("\"ERROR\"") && text.contains("\"code\":410"), "{} bytes: {text:.500}", text.len());
}

/// A body of which a part comes, and no more.
fn unfinished() -> Body {
    let first = stream::once(async { Ok::<_, std::convert::Infallible>(Bytes::from_static(b"{\"kind\":")) });
    Body::from_stream(first.chain(stream::pending()))
}

fn review(body: Body) -> http::Request<Body> {
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    http::Request::post(path).header("content-type", "application/json").body(body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    let client = Client::new().await;
    let answer = client.router.clone().oneshot(review(unfinished())).await.unwrap();
    assert_eq!(answer.status(), 504);
    let body: Value = serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(body["reason"], "Timeout", "{body}");
}

#[tokio::test(start_paused = true)]
async fn too_many_at_once_are_told_to_come_back_and_administrators_are_not() {
    let ada = Identity::authenticated("ada", Vec::new());
    let client = Client::with(Arc::new(NoNodes), Some(ada)).await;
    let mut held: Vec<_> = (0..200).map(|_| Box::pin(client.router.clone().oneshot(review(unfinished())))).collect();
    for request in &mut held {
        assert!(futures::poll!(request).is_pending());
    }
    let whole = || {
        let ask = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}});
        review(Body::from(ask.to_string()))
    };
    let refused = client.router.clone().oneshot(whole()).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"1".parse().unwrap()));
    assert_eq!(client.get("/version").await.status, 200, "reading has places of its own");
    held.truncate(199);
    assert_eq!(client.router.clone().oneshot(whole()).await.unwrap().status(), 201);
}
