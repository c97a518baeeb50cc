//! What the world outside is told: git notes, commit statuses, notifications, plans on pull requests.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::StatusCode;

use super::*;

/// One call of a fake host's API.
#[derive(Clone, Debug)]
struct Called {
    what: String,
    headers: http::HeaderMap,
    body: Value,
    raw: Vec<u8>,
}

/// A git host and a receiver of notifications that writes down what it is told.
#[derive(Clone, Default)]
struct Fake {
    calls: Arc<Mutex<Vec<Called>>>,
    comments: Arc<Mutex<Vec<Value>>>,
    /// The next answers are refusals.
    refusals: Arc<Mutex<usize>>,
}

impl Fake {
    /// Serves; gives the address.
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(self.clone());
        Tasks::default().spawn_once("fake host", async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    fn calls(&self, part: &str) -> Vec<Called> {
        self.calls.lock().unwrap().iter().filter(|call| call.what.contains(part)).cloned().collect()
    }
}

async fn answer(State(fake): State<Fake>, request: Request) -> axum::response::Response {
    let what = format!("{} {}", request.method(), request.uri());
    let headers = request.headers().clone();
    let raw = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap().to_vec();
    let body: Value = serde_json::from_slice(&raw).unwrap_or_default();
    fake.calls.lock().unwrap().push(Called { what: what.clone(), headers, body: body.clone(), raw });
    let mut refusals = fake.refusals.lock().unwrap();
    if *refusals > 0 {
        *refusals -= 1;
        return (StatusCode::BAD_GATEWAY, axum::Json(json!({"message": "try later"}))).into_response();
    }
    let mut comments = fake.comments.lock().unwrap();
    if what.starts_with("GET ") {
        let page = if what.contains("page=1") { comments.clone() } else { Vec::new() };
        return axum::Json(page).into_response();
    }
    let what = what.replace("/notes", "/comments");
    if what.ends_with("/comments") {
        let id = comments.len() + 1;
        comments.push(json!({"id": id, "body": body["body"]}));
    } else if let Some((_, id)) = what.split_once("/comments/") {
        let id: usize = id.parse().unwrap();
        comments[id - 1]["body"] = body["body"].clone();
    }
    (StatusCode::CREATED, axum::Json(json!({}))).into_response()
}

impl World {
    async fn secret(&self, name: &str, kind: &str, data: Value) {
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name,
            "labels": {"windlass.dev/secret-type": kind}}, "stringData": data});
        let author = Author::controller("test");
        let options = WriteOptions::default();
        self.registry.create(&author, kinds::SECRET, SYSTEM_NAMESPACE, object, options).await.unwrap();
    }

    fn note(&self, commit: Oid) -> String {
        let note = self.repository.find_note(Some("refs/notes/windlass"), commit);
        note.map(|note| note.message().unwrap().to_owned()).unwrap_or_default()
    }
}

#[tokio::test(start_paused = true)]
async fn each_commit_has_a_note_with_its_outcome() {
    let world = World::new().await;
    let good = world.commit("Good", &[("a.yaml", Some(&config_map("a", "1")))]);
    let _syncer = world.start().await;
    world.until("the good one has a note", |w| !w.note(good).is_empty()).await;
    assert!(world.note(good).starts_with("shop deployed at 20"), "{}", world.note(good));
    assert!(world.note(good).ends_with("1 changed\n"));
    let bad = world.commit("Bad", &[("a.yaml", Some("a: ["))]);
    world.until("the bad one, too", |w| w.note(bad).starts_with("shop failed at 20")).await;
    assert!(world.note(bad).contains("a.yaml:"), "{}", world.note(bad));

    // Others come before anybody has written down what became of the first.
    let mut quick = Vec::new();
    for value in ["2", "3", "4"] {
        quick.push(world.commit(value, &[("a.yaml", Some(&config_map("a", value)))]));
        let is_deployed = |w: &World| w.find(kinds::CONFIG_MAP, "a").is_some_and(|a| a["data"]["key"] == value);
        world.until("it is deployed", is_deployed).await;
    }
    world.until("each has a note", |w| quick.iter().all(|commit| w.note(*commit).starts_with("shop deployed"))).await;
}

#[tokio::test(start_paused = true)]
async fn commit_statuses_and_one_notification_a_release() {
    let world = World::new().await;
    let fake = Fake::default();
    let address = fake.start().await;
    let first = world.commit("One", &[("a.yaml", Some(&config_map("a", "1")))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    let url = world.path().display().to_string();
    let host = json!({"url": url, "provider": "forgejo", "api": format!("{address}/api/v1"), "token": "t0ken"});
    world.secret("host", "git-host", host).await;
    let receiver = json!({"url": format!("{address}/hook/s3cret"), "secret": "key"});
    world.secret("hook", "notification", receiver).await;
    *fake.refusals.lock().unwrap() = 1;
    let second = world.commit("Two", &[("a.yaml", Some(&config_map("a", "2")))]);
    settled(&syncer, second).await;
    let reported = |w: &World| {
        let application = w.application();
        let text = application.annotation("windlass.dev/reported").unwrap_or_default();
        text.matches(&second.to_string()).count() == 2
    };
    world.until("all is told", reported).await;
    let statuses = fake.calls("/statuses/");
    let last = statuses.last().unwrap();
    assert!(last.what.starts_with("POST /api/v1/repos/") && last.what.ends_with(&second.to_string()), "{}", last.what);
    assert_eq!((&last.body["state"], &last.body["context"]), (&json!("success"), &json!("windlass/shop")));
    assert_eq!(last.headers["authorization"], "token t0ken");
    let told: Vec<_> = fake.calls("/hook/").into_iter().filter(|c| c.body["revision"] == second.to_string()).collect();
    let keys: std::collections::BTreeSet<_> = told.iter().map(|c| c.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys.len(), 1, "what is sent again after a refusal is known by its key");
    let body = &told[0].body;
    assert_eq!((&body["subject"], &body["phase"], &body["changed"]), (&json!("Two"), &json!("Succeeded"), &json!(1)));
    assert_eq!(body["previousRevision"], first.to_string());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"key");
    let hex: String = ring::hmac::sign(&key, &told[0].raw).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(told[0].headers["x-signature"], format!("sha256={hex}").as_str());

    // Neither another start nor drift is another release.
    let before = fake.calls("").len();
    world.tasks.stop().await;
    let tasks = Tasks::default();
    super::super::start(world.registry.clone(), world.config(), &tasks).await.unwrap();
    let target = crate::cluster::registry::Target::new(kinds::CONFIG_MAP, "default", "a");
    let patch = crate::cluster::registry::Patch::Merge(json!({"data": {"key": "drifted"}}));
    let author = Author::controller("ada");
    world.registry.patch(&author, &target, patch, WriteOptions::default()).await.unwrap();
    world.until("it is healed", |w| w.find(kinds::CONFIG_MAP, "a").unwrap()["data"]["key"] == "2").await;
    for _ in 0..200 {
        a_moment().await;
    }
    assert_eq!(fake.calls("").len(), before);
    let bad = world.commit("Bad", &[("a.yaml", Some("a: ["))]);
    world.until("the failure is told", |_| fake.calls("/hook/").last().unwrap().body["phase"] == "Failed").await;
    let failure = fake.calls(&format!("/statuses/{bad}")).pop().unwrap();
    assert_eq!(failure.body["state"], "failure");
    tasks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pull_request_has_one_comment_with_its_plan() {
    let headers = [("x-github-event", "pull_request"), ("x-github-delivery", "")];
    let delivery = |url: &str, head: Oid| {
        json!({"action": "synchronize", "number": 7, "repository": {"clone_url": url},
            "pull_request": {"base": {"ref": "main"}, "head": {"sha": head.to_string()}}})
    };
    let fake = reviewed("github", headers, delivery).await;
    let update = &fake.calls("PATCH")[..];
    assert!(update.len() == 1 && update[0].headers["authorization"] == "Bearer t0ken");
    assert!(update[0].what.contains("/issues/comments/2"), "{}", update[0].what);
    assert_eq!(fake.calls("/statuses/").last().unwrap().body["state"], "success");
}

#[tokio::test(start_paused = true)]
async fn a_merge_request_has_one_note_with_its_plan() {
    let headers = [("x-gitlab-event", "Merge Request Hook"), ("x-gitlab-event-uuid", "")];
    let delivery = |url: &str, head: Oid| {
        json!({"object_kind": "merge_request", "project": {"git_http_url": url}, "object_attributes": {
            "action": "update", "iid": 7, "target_branch": "main", "last_commit": {"id": head.to_string()}}})
    };
    let fake = reviewed("gitlab", headers, delivery).await;
    let update = &fake.calls("PUT")[..];
    assert!(update.len() == 1 && update[0].headers["private-token"] == "t0ken");
    assert!(update[0].what.contains("/merge_requests/7/notes/2"), "{}", update[0].what);
    let status = fake.calls("/statuses/").pop().unwrap();
    assert!(status.what.starts_with("POST /projects/") && status.what.contains("%2F"), "{}", status.what);
    assert_eq!((&status.body["state"], &status.body["name"]), (&json!("success"), &json!("windlass/shop")));
}

/// A request to merge is told of twice, the second time with another commit.
async fn reviewed(provider: &str, [event, id]: [(&str, &str); 2], delivery: impl Fn(&str, Oid) -> Value) -> Fake {
    let world = World::new().await;
    let fake = Fake::default();
    let address = fake.start().await;
    let first = world.commit("One", &[("a.yaml", Some(&config_map("a", "1")))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    let url = world.path().display().to_string();
    let host = json!({"url": url, "provider": provider, "api": address, "token": "t0ken"});
    world.secret("host", "git-host", host).await;
    fake.comments.lock().unwrap().push(json!({"id": 1, "body": "Looks good"}));
    let branch = |text: &str| {
        world.repository.set_head("refs/heads/feature").unwrap();
        let blob = world.repository.blob(config_map("a", text).as_bytes()).unwrap();
        let mut tree = world.repository.treebuilder(None).unwrap();
        tree.insert("a.yaml", blob, 0o100_644).unwrap();
        let tree = world.repository.find_tree(tree.write().unwrap()).unwrap();
        let who = Signature::now("Eve", "eve@example.com").unwrap();
        let parent = world.repository.find_commit(first).unwrap();
        let head = world.repository.commit(None, &who, &who, "Feature", &tree, &[&parent]).unwrap();
        world.repository.set_head("refs/heads/main").unwrap();
        head
    };
    for (round, text) in ["2", "3"].into_iter().enumerate() {
        let head = branch(text);
        let request = http::Request::post("/api/webhook")
            .header(event.0, event.1)
            .header(id.0, round.to_string())
            .body(axum::body::Body::from(delivery(&url, head).to_string()))
            .unwrap();
        let answered = tower::ServiceExt::oneshot(syncer.routes(), request).await.unwrap();
        assert_eq!(answered.status(), 202);
        let wanted = format!("&quot;{text}&quot;");
        let is_there = |_: &World| {
            fake.comments.lock().unwrap().iter().any(|one| {
                let body = one["body"].as_str().unwrap();
                body.contains("ConfigMap default/a")
                    && (body.contains(&wanted) || body.contains(&format!("\"{text}\"")))
            })
        };
        world.until("the comment is there", is_there).await;
    }
    let comments = fake.comments.lock().unwrap().clone();
    assert_eq!(comments.len(), 2, "{comments:?}");
    assert_eq!(comments[0]["body"], "Looks good");
    assert_eq!(world.find(kinds::CONFIG_MAP, "a").unwrap()["data"]["key"], "1", "nothing is deployed");
    world.commit("Two", &[("a.yaml", Some(&config_map("a", "2")))]);
    world.until("the commit status is set", |_| !fake.calls("/statuses/").is_empty()).await;
    let succeeded = |_: &World| fake.calls("/statuses/").last().is_some_and(|call| call.body["state"] == "success");
    world.until("it succeeded", succeeded).await;
    fake
}
