//! What must stay secret, and whom to trust: SOPS, credentials out of Secrets, signed commits.

use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::*;
use crate::cluster::registry::{Patch, Target};
use crate::sync::credentials;
use crate::sync::render::sops_tests::encrypted;
use crate::sync::signature::SIGNED_BY_ANNOTATION;

#[tokio::test(start_paused = true)]
async fn an_encrypted_secret_is_opened_in_memory_and_shown_nowhere() {
    let world = World::new().await;
    let identity = age::x25519::Identity::generate();
    let text = encrypted(&identity, "db", "canary-4711");
    let first = world.commit("Secret", &[("db.yaml", Some(&text)), ("conf.yaml", Some(&config_map("conf", "1")))]);
    let syncer = world.start().await;
    let progress = settled(&syncer, first).await;
    assert!(
        progress.errors[0].starts_with("db.yaml:1: it is encrypted with SOPS, and there is no age key"),
        "{progress:?}"
    );

    let key = identity.to_string();
    std::fs::write(world.folder.path().join("age.key"), age::secrecy::ExposeSecret::expose_secret(&key)).unwrap();
    let second = world.commit("Again", &[("conf.yaml", Some(&config_map("conf", "2")))]);
    settled(&syncer, second).await;
    let secret = world.find(kinds::SECRET, "db").unwrap();
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode("canary-4711");
    assert_eq!(secret["data"]["password"], encoded.as_str());
    let snapshot = world.registry.snapshot();
    for object in snapshot.iter().filter(|object| object.key.kind != kinds::SECRET) {
        let text = String::from_utf8_lossy(object.json()).into_owned();
        assert!(!text.contains("canary-4711") && !text.contains(&encoded), "{} shows it", object.key);
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_may_be_in_a_secret_of_windlass_and_may_come_later() {
    let world = World::new().await;
    let identity = age::x25519::Identity::generate();
    let text = encrypted(&identity, "db", "canary-4711");
    let first = world.commit("Secret", &[("deep/er/db.yaml", Some(&text))]);
    let syncer = world.start().await;
    assert!(settled(&syncer, first).await.errors[0].contains("windlass.dev/secret-type: sops-age"));
    let key = identity.to_string();
    let key = format!("# a comment\n{}\n", age::secrecy::ExposeSecret::expose_secret(&key));
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "sops-age", "labels": {"windlass.dev/secret-type": "sops-age"}},
        "data": {"age.agekey": encode(&key)}});
    let author = Author::controller("test");
    world.registry.create(&author, kinds::SECRET, SYSTEM_NAMESPACE, secret, WriteOptions::default()).await.unwrap();
    let target = Target::new(kinds::APPLICATION, SYSTEM_NAMESPACE, "shop");
    let refresh = Patch::Merge(json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}));
    world.registry.patch(&author, &target, refresh, WriteOptions::default()).await.unwrap();
    world.until("the secret is opened", |w| w.find(kinds::SECRET, "db").is_some()).await;
}

fn encode(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test(start_paused = true)]
async fn credentials_are_found_by_url_and_by_the_longest_prefix() {
    let world = World::new().await;
    let author = Author::controller("test");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}});
    world.registry.create(&author, kinds::NAMESPACE, "", namespace, WriteOptions::default()).await.unwrap();
    for (name, kind, url, user) in [
        ("team", "repo-creds", "https://h/team", "team"),
        ("all", "repo-creds", "https://h", "all"),
        ("one", "repository", "https://h/team/shop.git", "one"),
    ] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "labels": {"argocd.argoproj.io/secret-type": kind}},
            "data": {"url": encode(url), "username": encode(user), "password": encode("p")}});
        world.registry.create(&author, kinds::SECRET, "argocd", secret, WriteOptions::default()).await.unwrap();
    }
    let live = world.registry.snapshot();
    for (url, user) in [
        ("https://h/team/shop", "one"),
        ("https://h/team/web.git", "team"),
        ("https://h/other/x", "all"),
        ("https://elsewhere/x", ""),
    ] {
        assert_eq!(credentials::find(&live, &url.parse().unwrap(), credentials::Purpose::Read).username, user, "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unsigned_commit_is_not_deployed_where_signatures_are_asked_for() {
    let world = World::new().await;
    let first = world.commit("Start", &[("README.md", Some("x"))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&[9; 32]));
    let signers = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "signers"},
        "data": {"allowed_signers": format!("ada@example.com {}", key.public_key().to_openssh().unwrap())}});
    let author = Author::controller("test");
    world
        .registry
        .create(&author, kinds::CONFIG_MAP, SYSTEM_NAMESPACE, signers, WriteOptions::default())
        .await
        .unwrap();
    let target = Target::new(kinds::APPLICATION, SYSTEM_NAMESPACE, "shop");
    let patch = Patch::Merge(json!({"metadata": {"annotations": {SIGNED_BY_ANNOTATION: "signers"}}}));
    world.registry.patch(&author, &target, patch, WriteOptions::default()).await.unwrap();

    let unsigned = world.commit("Unsigned", &[("a.yaml", Some(&config_map("a", "1")))]);
    let progress = settled(&syncer, unsigned).await;
    assert!(progress.errors[0].contains("not trusted: it is not signed"), "{progress:?}");
    assert!(world.find(kinds::CONFIG_MAP, "a").is_none());
    world.until("the condition says so", |w| w.conditions().iter().any(|c| c.contains("not signed"))).await;

    let commit = world.repository.find_commit(unsigned).unwrap();
    let who = Signature::now("Ada", "ada@example.com").unwrap();
    let buffer =
        world.repository.commit_create_buffer(&who, &who, "Signed", &commit.tree().unwrap(), &[&commit]).unwrap();
    let signature = key.sign("git", HashAlg::Sha512, &buffer).unwrap().to_pem(LineEnding::LF).unwrap();
    let signed = world.repository.commit_signed(std::str::from_utf8(&buffer).unwrap(), &signature, None).unwrap();
    world.repository.reference("refs/heads/main", signed, true, "signed").unwrap();
    let progress = settled(&syncer, signed).await;
    assert_eq!(progress.errors, [""; 0]);
    assert!(world.find(kinds::CONFIG_MAP, "a").is_some());
}
