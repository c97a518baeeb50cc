//! Following a repository over HTTP, served by `git` on this machine: pushes, an outage, hostile answers, notes that are
//! pushed back.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::*;

/// A git host with one repository.
struct Host {
    path: std::path::PathBuf,
    /// Answered to everything, unless 0.
    broken: AtomicU16,
    packs: AtomicUsize,
}

async fn serve(State(host): State<Arc<Host>>, headers: HeaderMap, request: Request) -> Response {
    let broken = host.broken.load(Ordering::SeqCst);
    if broken != 0 {
        let elsewhere = [("location", "https://u:canary@elsewhere/x")];
        return (StatusCode::from_u16(broken).unwrap(), elsewhere, "broken").into_response();
    }
    if headers.get("authorization").is_none_or(|value| value != "Basic dTpzM2NyZXQ=") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let lists = request.uri().path().ends_with("/info/refs");
    let service = if request.uri().to_string().contains("receive-pack") { "receive-pack" } else { "upload-pack" };
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let answer = git(service, &host.path, lists, body).await;
    if lists {
        let head = format!("# service=git-{service}\n");
        let head = format!("{:04x}{head}0000", head.len() + 4).into_bytes();
        let kind = [("content-type", format!("application/x-git-{service}-advertisement"))];
        return (kind, [head, answer].concat()).into_response();
    }
    host.packs.fetch_add(1, Ordering::SeqCst);
    ([("content-type", format!("application/x-git-{service}-result"))], answer).into_response()
}

async fn git(service: &str, path: &Path, lists: bool, input: Bytes) -> Vec<u8> {
    let mut command = Command::new("git");
    command.args([service, "--stateless-rpc"]).args(lists.then_some("--advertise-refs")).arg(path);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&input).await.unwrap();
    drop(stdin);
    child.wait_with_output().await.unwrap().stdout
}

/// Serves the world's repository; gives the host and the configuration that follows it.
async fn hosted(world: &World) -> (Arc<Host>, SyncConfig) {
    let host = Arc::new(Host { path: world.path(), broken: AtomicU16::new(0), packs: AtomicUsize::new(0) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(serve).with_state(host.clone());
    world._store_tasks.spawn("host", async move { axum::serve(listener, router).await.unwrap() });
    let repo = RepoLocation::Remote(format!("http://u:s3cret@{address}/team/shop.git"));
    (host, SyncConfig { repo, branch: None, ..world.config() })
}

#[tokio::test]
async fn a_push_to_a_remote_is_deployed_and_an_outage_changes_nothing() {
    let world = World::new().await;
    let (a, b) = (config_map("a", "1"), config_map("b", "1"));
    let first = world.commit("One", &[("a.yaml", Some(&a))]);
    let (host, config) = hosted(&world).await;
    let syncer = crate::sync::start(world.registry.clone(), config.clone(), &world.tasks).await.unwrap();
    settled(&syncer, first).await;
    assert_eq!(world.application().spec.source.target_revision, "main", "the remote's HEAD is followed");
    assert!(world.find(kinds::CONFIG_MAP, "a").is_some());

    let packs = host.packs.load(Ordering::SeqCst);
    syncer.trigger(Trigger::Poll);
    let second = world.commit("Two", &[("b.yaml", Some(&b))]);
    settled(&syncer, second).await;
    assert!(world.find(kinds::CONFIG_MAP, "b").is_some());
    assert_eq!(host.packs.load(Ordering::SeqCst), packs + 1, "objects are asked for only when the branch moved");

    for (code, says) in [(500, "answered 500"), (302, "https://elsewhere/x"), (404, "no such repository")] {
        host.broken.store(code, Ordering::SeqCst);
        syncer.trigger(Trigger::Poll);
        world.until("the outage shows", |w| w.conditions().iter().any(|c| c.contains(says))).await;
        let all = format!("{:?}", world.application());
        assert!(!all.contains("s3cret") && !all.contains("canary"), "credentials are shown: {all}");
    }
    assert!(world.find(kinds::CONFIG_MAP, "a").is_some());

    // Started again while the host is down: what was fetched is deployed, and healed.
    world.tasks.stop().await;
    let author = Author { manager: "eve".into(), ..Author::default() };
    let key = ObjectKey::new(kinds::CONFIG_MAP, "default", "b");
    world.registry.delete(&author, &key, &Default::default()).await.unwrap();
    let tasks = Tasks::default();
    let syncer = crate::sync::start(world.registry.clone(), config, &tasks).await.unwrap();
    world.until("it is healed from the copy", |w| w.find(kinds::CONFIG_MAP, "b").is_some()).await;

    host.broken.store(0, Ordering::SeqCst);
    let third = world.commit("Three", &[("a.yaml", None)]);
    settled(&syncer, third).await;
    world.until("the condition goes", |w| w.conditions().is_empty()).await;
    assert_eq!(world.find(kinds::CONFIG_MAP, "a"), None);
    tasks.stop().await;
}

#[tokio::test]
async fn a_force_push_is_followed_and_a_deleted_branch_is_not() {
    let world = World::new().await;
    let first = world.commit("One", &[("a.yaml", Some(&config_map("a", "1")))]);
    world.commit("Two", &[("a.yaml", Some(&config_map("a", "2")))]);
    let (_host, config) = hosted(&world).await;
    let config = SyncConfig { branch: Some("main".to_owned()), ..config };
    let syncer = crate::sync::start(world.registry.clone(), config, &world.tasks).await.unwrap();
    world.until("it is deployed", |w| w.find(kinds::CONFIG_MAP, "a").is_some_and(|o| o["data"]["key"] == "2")).await;
    world.repository.reference("refs/heads/main", first, true, "force").unwrap();
    settled(&syncer, first).await;
    assert_eq!(world.find(kinds::CONFIG_MAP, "a").unwrap()["data"]["key"], "1");
    world.repository.find_reference("refs/heads/main").unwrap().delete().unwrap();
    syncer.trigger(Trigger::Poll);
    world.until("the branch is missed", |w| w.conditions().iter().any(|c| c.contains("does not exist"))).await;
    assert!(world.find(kinds::CONFIG_MAP, "a").is_some());
}

#[tokio::test]
async fn notes_are_pushed_if_asked_and_join_those_of_others() {
    let world = World::new().await;
    let first = world.commit("One", &[("conf.yaml", Some(&config_map("conf", "1")))]);
    let (_host, config) = hosted(&world).await;
    let syncer = crate::sync::start(world.registry.clone(), config, &world.tasks).await.unwrap();
    world.until("it is deployed", |w| w.find(kinds::CONFIG_MAP, "conf").is_some()).await;
    let reference = "refs/notes/windlass";
    let note = |commit: Oid| -> Option<String> {
        let note = world.repository.find_note(Some(reference), commit).ok()?;
        note.message().ok().map(str::to_owned)
    };
    for _ in 0..40 {
        a_moment().await;
    }
    assert_eq!(note(first), None, "nobody asked");

    // Somebody else has notes there already.
    let who = Signature::now("Eve", "eve@example.com").unwrap();
    world.repository.note(&who, &who, Some(reference), first, "other deployed: elsewhere\n", false).unwrap();
    let target = crate::cluster::registry::Target::new(kinds::APPLICATION, SYSTEM_NAMESPACE, "shop");
    let asks = json!({"metadata": {"annotations": {"windlass.dev/push-notes": "true"}}});
    let patch = crate::cluster::registry::Patch::Merge(asks);
    world.registry.patch(&Author::controller("ada"), &target, patch, WriteOptions::default()).await.unwrap();
    world.until("both are there", |_| note(first).is_some_and(|note| note.contains("shop deployed at "))).await;
    assert!(note(first).unwrap().starts_with("other deployed: elsewhere\n"));

    let second = world.commit("Two", &[("conf.yaml", Some(&config_map("conf", "2")))]);
    world.repository.note(&who, &who, Some(reference), first, "other deployed: again\n", true).unwrap();
    syncer.trigger(Trigger::Poll);
    world.until("the next one is noted", |_| note(second).is_some_and(|note| note.contains("shop deployed"))).await;
    let joined = note(first).unwrap();
    assert!(joined.contains("shop deployed") && joined.contains("other deployed: again"), "{joined}");
}
