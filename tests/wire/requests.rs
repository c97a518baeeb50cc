//! Rules of single requests: who may ask, what bodies may be, what answers carry.

use std::io::Read;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use windlass::cluster::server::{Identity, NoNodes, NodeStreams};
use windlass::streams::{LogRequest, Message, OpenError, Opened, Request as Asked, StreamPair, pair};

use super::client::{Ask, Client};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

#[tokio::test]
async fn strangers_see_health_and_version_only() {
    let client = Client::with(Arc::new(NoNodes), None).await;
    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    for path in ["/api", "/apis", "/metrics", "/openapi/v3", "/api/v1/pods", "/openid/v1/jwks", "/nonsense"] {
        let answer = client.get(path).await;
        assert_eq!((answer.status, answer.json()["reason"].clone()), (403, json!("Forbidden")), "{path}");
    }
}

#[tokio::test]
async fn others_can_check_the_tokens_of_service_accounts_themselves() {
    let client = Client::new().await;
    client.create("/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "ci"}})).await;
    let asked = json!({"spec": {"audiences": ["vault"], "expirationSeconds": 3600}});
    let token = client.create("/api/v1/namespaces/default/serviceaccounts/ci/token", &asked).await.json();
    let token = token["status"]["token"].as_str().unwrap_or_default().to_owned();

    let configuration = client.get("/.well-known/openid-configuration").await.json();
    assert!(configuration["jwks_uri"].as_str().unwrap().ends_with("/openid/v1/jwks"), "{configuration}");
    let over_http2 = client.get("https://api.example.com:6443/.well-known/openid-configuration").await.json();
    assert_eq!(over_http2["jwks_uri"], "https://api.example.com:6443/openid/v1/jwks");
    let answer = client.get("/openid/v1/jwks").await;
    assert_eq!(answer.header("content-type"), "application/jwk-set+json");
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(answer.json()).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).expect("the key that the token names");
    let key = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
    let mut wanted = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    wanted.set_audience(&["vault"]);
    wanted.set_issuer(&[configuration["issuer"].as_str().unwrap()]);
    let claims = jsonwebtoken::decode::<Value>(&token, &key, &wanted).unwrap().claims;
    assert_eq!(claims["sub"], "system:serviceaccount:default:ci");
}

#[tokio::test]
async fn a_node_writes_its_own_status_only() {
    let client = Client::with(Arc::new(NoNodes), Some(Identity::node("n1"))).await;
    let node = json!({"metadata": {"name": "n1"}});
    assert_eq!(client.write("POST", "/api/v1/nodes", &node).await.status, 201);
    let status = json!({"status": {"nodeInfo": {"architecture": "x"}}});
    assert_eq!(client.write("PATCH", "/api/v1/nodes/n1/status", &status).await.status, 200);
    assert_eq!(client.write("PATCH", "/api/v1/nodes/n2/status", &status).await.status, 403);
    assert_eq!(client.write("DELETE", "/api/v1/nodes/n1", &Value::Null).await.status, 403);
}

#[tokio::test]
async fn bodies_are_taken_in_json_yaml_and_protobuf_and_nothing_else() {
    let client = Client::new().await;
    let protobuf = "6b3873000a0f0a0276311209436f6e6669674d6170121d0a130a03636d7812001a0022002a0032003800420012060a01611201621a002200";
    let protobuf: Vec<u8> =
        (0..protobuf.len()).step_by(2).map(|i| u8::from_str_radix(&protobuf[i..i + 2], 16).unwrap()).collect();
    let cases: [(&str, Vec<u8>, u16); 7] = [
        ("application/json", config_map("a").to_string().into(), 201),
        ("", config_map("b").to_string().into(), 201),
        ("application/yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {on: 'yes'}\n".into(), 201),
        ("application/vnd.kubernetes.protobuf", protobuf, 201),
        ("text/plain", config_map("d").to_string().into(), 415),
        ("application/json", b"{".to_vec(), 400),
        ("application/json", vec![b' '; 4 * 1024 * 1024], 413),
    ];
    for (content_type, body, want) in cases {
        let answer = client.ask(Ask { method: "POST", path: CONFIG_MAPS, content_type, body, ..Ask::default() }).await;
        assert_eq!(answer.status, want, "{content_type}: {}", answer.json());
    }
}

#[tokio::test]
async fn patches_need_a_type_and_apply_needs_a_manager() {
    let client = Client::new().await;
    client.create(CONFIG_MAPS, &config_map("a")).await;
    let path = format!("{CONFIG_MAPS}/a");
    let patch = |content_type: &'static str, query: &'static str| {
        let (client, path) = (&client, format!("{path}{query}"));
        async move {
            let body = config_map("a").to_string().into_bytes();
            client.ask(Ask { method: "PATCH", path: &path, content_type, body, ..Ask::default() }).await.status
        }
    };
    assert_eq!(patch("application/json", "").await, 415);
    assert_eq!(patch("application/apply-patch+yaml", "").await, 422);
    assert_eq!(patch("application/apply-patch+yaml", "?fieldManager=me").await, 200);
    assert_eq!(patch("application/strategic-merge-patch+json", "").await, 200);
}

#[tokio::test]
async fn dry_runs_store_nothing() {
    let client = Client::new().await;
    let dry = format!("{CONFIG_MAPS}?dryRun=All");
    assert_eq!(client.write("POST", &dry, &config_map("a")).await.status, 201);
    assert_eq!(client.get(&format!("{CONFIG_MAPS}/a")).await.status, 404);
    client.create(CONFIG_MAPS, &config_map("a")).await;
    let path = format!("{CONFIG_MAPS}/a");
    assert_eq!(client.write("DELETE", &path, &json!({"dryRun": ["All"]})).await.status, 200);
    assert_eq!(client.get(&path).await.status, 200);
}

#[tokio::test]
async fn unknown_fields_are_refused_warned_of_or_dropped() {
    let client = Client::new().await;
    let mut object = config_map("a");
    object["dta"] = json!({});
    let strict = client.write("POST", &format!("{CONFIG_MAPS}?fieldValidation=Strict"), &object).await;
    assert_eq!((strict.status, strict.json()["reason"].clone()), (400, json!("BadRequest")));
    let warned = client.write("POST", CONFIG_MAPS, &object).await;
    assert_eq!((warned.status, warned.header("warning")), (201, "299 - \"unknown field \\\"dta\\\"\""));
}

#[tokio::test]
async fn pages_show_one_revision_and_end() {
    let client = Client::new().await;
    for name in ["a", "b", "c"] {
        client.create(CONFIG_MAPS, &config_map(name)).await;
    }
    let first = client.get(&format!("{CONFIG_MAPS}?limit=2")).await.json();
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    client.create(CONFIG_MAPS, &config_map("bb")).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let rest = client.get(&format!("{CONFIG_MAPS}?limit=2&continue={token}")).await.json();
    assert_eq!(rest["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(rest["items"].as_array().unwrap().len(), 1, "what came later is not in it");
    assert_eq!(rest["metadata"]["continue"], Value::Null);
    assert_eq!(client.get(&format!("{CONFIG_MAPS}?continue=nonsense")).await.status, 400);
}

#[tokio::test]
async fn a_list_of_any_length_is_whole() {
    let client = Client::new().await;
    for n in 0..40 {
        let mut object = config_map(&format!("m{n:02}"));
        object["data"] = json!({"k": "x".repeat(4000)});
        client.create(CONFIG_MAPS, &object).await;
    }
    let list = client.get(CONFIG_MAPS).await.json();
    assert_eq!(list["kind"], "ConfigMapList");
    assert_eq!(list["items"].as_array().unwrap().len(), 40);
    // Long ones are compressed for those who can read that.
    let request = http::Request::get(CONFIG_MAPS).header("accept-encoding", "gzip").body(axum::body::Body::empty());
    let answer = client.router.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let packed = answer.into_body().collect().await.unwrap().to_bytes();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*packed).read_to_string(&mut text).unwrap();
    assert!(packed.len() < text.len() / 10 && text.trim_end().ends_with("]}"), "{}", packed.len());
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["items"], list["items"]);
}

#[tokio::test]
async fn collections_are_deleted_by_selector() {
    let client = Client::new().await;
    for name in ["a", "b"] {
        let mut object = config_map(name);
        object["metadata"]["labels"] = json!({"name": name});
        client.create(CONFIG_MAPS, &object).await;
    }
    let deleted = client.write("DELETE", &format!("{CONFIG_MAPS}?labelSelector=name%3Da"), &Value::Null).await;
    assert_eq!((deleted.status, deleted.json()["items"].as_array().unwrap().len()), (200, 1));
    assert_eq!(client.get(CONFIG_MAPS).await.json()["items"].as_array().unwrap().len(), 1);
    assert_eq!(client.write("DELETE", "/api/v1/configmaps", &Value::Null).await.status, 405);
}

#[tokio::test]
async fn discovery_is_answered_by_its_etag() {
    let client = Client::new().await;
    let first = client.get("/apis").await;
    let request = http::Request::get("/apis").header("if-none-match", first.header("etag"));
    let again = tower::ServiceExt::oneshot(client.router.clone(), request.body(axum::body::Body::empty()).unwrap());
    assert_eq!(again.await.unwrap().status(), 304);
}

/// A node whose containers say what was asked of them, and then go on saying nothing.
#[derive(Default)]
struct Echo {
    /// The ends of followed logs, which never end.
    open: Mutex<Vec<StreamPair>>,
}

impl NodeStreams for Echo {
    fn open(&self, node: &str, asked: Asked) -> BoxFuture<'_, Result<Opened, OpenError>> {
        let Asked::Logs(LogRequest { target, tail_lines, follow, .. }) = asked else { panic!("{asked:?}") };
        let line = format!("{node} {} {} {tail_lines:?}\n", target.pod, target.container);
        let (near, far) = pair();
        Box::pin(async move {
            far.sender.send(Message::Output(line.into())).await;
            if follow {
                self.open.lock().unwrap().push(far);
            }
            Ok(near.into())
        })
    }
}

#[tokio::test]
async fn logs_come_from_the_pods_node_and_followed_ones_at_once() {
    let client = Client::with(Arc::new(Echo::default()), Some(Identity::admin("golden"))).await;
    let pods = "/api/v1/namespaces/default/pods";
    let pod = |name: &str, node: Option<&str>| json!({"metadata": {"name": name}, "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}});
    client.create(pods, &pod("bound", Some("n1"))).await;
    client.create(pods, &pod("loose", None)).await;
    let plain = client.get(&format!("{pods}/bound/log?tailLines=3")).await;
    assert_eq!((plain.status, plain.body), (200, b"n1 bound c Some(3)\n".to_vec()));
    let path = format!("{pods}/bound/log?follow=true");
    let mut followed = client.open(Ask { method: "GET", path: &path, ..Ask::default() }).await.into_body();
    let frame = followed.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(frame, "n1 bound c None\n");
    assert_eq!(client.get(&format!("{pods}/loose/log")).await.status, 204);
    for (path, complaint) in [
        ("bound/log?container=x", "container x is not valid for pod bound"),
        ("bound/log?previous=true", "previous terminated container \"c\" in pod \"bound\" not found"),
    ] {
        let answer = client.get(&format!("{pods}/{path}")).await;
        assert_eq!((answer.status, answer.json()["message"].clone()), (400, json!(complaint)));
    }
}
