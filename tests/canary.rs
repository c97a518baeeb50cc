//! Values that must stay secret: goes through everything that the whole program writes or serves for them, after it was made
//! to talk of them in every way that it has.

mod support;

use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use support::{TestRepo, Windlass, eventually};
use tempfile::TempDir;
use windlass::tasks::Tasks;

/// Each is in the process at some time, and none may come out of it but in a Secret.
const CANARIES: &[&str] = &[
    "canary-first-4711",
    "canary-second-4711",
    "canary-drift-4711",
    "canary-planned-4711",
    "canary-bad-4711",
    "canary-sops-4711",
    "canary-token-4711",
    "canary-hook-4711",
];

fn secret(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: api, namespace: default}}\nstringData: {{password: {value}}}\n"
    )
}

const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web:1
        env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: api, key: password}}}]
";

/// A git host and a receiver of notifications: keeps the bodies that it is sent.
async fn receiver() -> (String, Arc<Mutex<Vec<u8>>>) {
    async fn take(State(heard): State<Arc<Mutex<Vec<u8>>>>, body: Bytes) {
        heard.lock().unwrap().extend_from_slice(&body);
    }
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(take).with_state(heard.clone());
    Tasks::default().spawn_once("receiver", async move { axum::serve(listener, router).await.unwrap() });
    (address, heard)
}

fn windlass(repo: &Path, data: &Path, args: &[&str]) -> Output {
    let mut command = Windlass::command();
    command.current_dir(repo).env("WINDLASS_DATA_DIR", data).env("HOME", data);
    command.args(args).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_shows_the_value_of_a_secret() {
    let (repo, data) = (TestRepo::new(), TempDir::new().unwrap());
    let (address, heard) = receiver().await;
    std::fs::write(data.path().join("age.key"), include_str!("data/sops/age.key")).unwrap();
    let url = repo.path().display();
    repo.write("api.yaml", &secret("canary-first-4711"));
    repo.write("web.yaml", WEB);
    repo.write("db.yaml", include_str!("data/sops/db.yaml"));
    let told = [
        (
            "host",
            "git-host",
            json!({"url": url.to_string(), "provider": "forgejo", "api": format!("{address}/api/v1"), "token": "canary-token-4711"}),
        ),
        ("hook", "notification", json!({"url": format!("{address}/hook"), "secret": "canary-hook-4711"})),
    ];
    for (name, kind, data) in told {
        let object = json!({"apiVersion": "v1", "kind": "Secret", "stringData": data,
            "metadata": {"name": name, "namespace": "windlass-system", "labels": {"windlass.dev/secret-type": kind}}});
        repo.write(&format!("{name}.yaml"), &object.to_string());
    }
    repo.commit("Ship");
    let audit = data.path().join("audit.log");
    let mut command = Windlass::command();
    command.env("WINDLASS_LOG", "trace");
    let args = ["--runtime", "scripted", "--audit-log", audit.to_str().unwrap()];
    let server = Windlass::up_from(command, repo.path(), data.path(), &args);
    let client = server.client().await;
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    let has = async |value: &str| {
        let found = secrets.get("api").await.ok()?.data?.remove("password")?;
        (found.0 == value.as_bytes()).then_some(())
    };
    eventually("the first is deployed", || has("canary-first-4711")).await;
    eventually("what was encrypted, too", || async { secrets.get("db").await.ok() }).await;

    let mut said = String::new();
    let mut run = |args: &[&str]| {
        let output = windlass(repo.path(), data.path(), args);
        said += &String::from_utf8_lossy(&output.stdout);
        said += &String::from_utf8_lossy(&output.stderr);
        output.status.code()
    };
    // A plan, a release, drift, a commit that is refused for the value itself.
    repo.write("api.yaml", &secret("canary-planned-4711"));
    assert_eq!(run(&["diff"]), Some(1));
    assert_eq!(run(&["diff", "-o", "markdown"]), Some(1));
    assert_eq!(run(&["diff", "-o", "json"]), Some(1));
    repo.write("api.yaml", &secret("canary-second-4711"));
    repo.commit("Turn the key");
    eventually("the second is deployed", || has("canary-second-4711")).await;
    let drift = json!({"stringData": {"password": "canary-drift-4711"}});
    secrets.patch("api", &PatchParams::apply("eve"), &Patch::Merge(drift)).await.unwrap();
    eventually("the drift is healed", || has("canary-second-4711")).await;
    let bad = [
        "apiVersion: v1\nkind: Secret\nmetadata: {name: api, namespace: default}\ndata: {password: canary-bad-4711!}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: api, namespace: default}\nstringData: {password: [canary-bad-4711]}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: api, namespace: default}\nstringData:\n  password: 'canary-bad-4711\n",
    ];
    for (number, text) in bad.iter().enumerate() {
        repo.write("api.yaml", text);
        assert_eq!(run(&["diff"]), Some(2), "bad {number}");
        assert_eq!(run(&["lint", "."]), Some(1), "bad {number}");
        let commit = repo.commit(&format!("Bad {number}"));
        let short = &commit[..7];
        eventually("it is refused", || async {
            let output = windlass(repo.path(), data.path(), &["status"]);
            let status = String::from_utf8_lossy(&output.stdout).into_owned();
            (status.contains(short) && status.contains("api.yaml")).then_some(())
        })
        .await;
        run(&["status"]);
    }
    repo.write("api.yaml", &secret("canary-second-4711"));
    repo.write("web.yaml", &WEB.replace("web:1", "web:2"));
    let last = repo.commit("Good again");
    eventually("everybody is told", || async {
        let heard = heard.lock().unwrap().clone();
        String::from_utf8_lossy(&heard).contains(&last).then_some(())
    })
    .await;
    run(&["history"]);
    said += &repo.git(&["log", "--all", "--notes=windlass", "--format=%N"]);
    said += &String::from_utf8_lossy(&heard.lock().unwrap());

    // Everything that the API lists but Secrets, and what it counts.
    let mut paths = vec!["/metrics".to_owned()];
    let groups = client.list_api_groups().await.unwrap().groups.into_iter().flat_map(|group| group.versions);
    let versions = groups.map(|version| format!("/apis/{}", version.group_version)).chain(["/api/v1".to_owned()]);
    for version in versions {
        let list = http::Request::get(&version).body(Vec::new()).unwrap();
        let list: serde_json::Value = client.request(list).await.unwrap();
        let names = list["resources"].as_array().unwrap().iter().filter(|one| {
            let verbs = one["verbs"].as_array().is_some_and(|verbs| verbs.contains(&json!("list")));
            verbs && one["name"] != "secrets"
        });
        paths.extend(names.map(|one| format!("{version}/{}", one["name"].as_str().unwrap())));
    }
    assert!(paths.len() > 40, "{paths:?}");
    for path in &paths {
        said += &client.request_text(http::Request::get(path).body(Vec::new()).unwrap()).await.unwrap();
    }
    assert!(said.contains("api.yaml") && said.contains("DriftHealed"), "the canaries were talked of");
    let logged = server.said().join("\n");
    assert!(logged.contains("drift healed") && logged.len() > 10_000, "{logged}");
    let mut everything = vec![("what it answers".to_owned(), said), ("the log".to_owned(), logged)];
    // Files, but for the store, which has the Secrets themselves.
    for file in files(data.path()).into_iter().filter(|file| file.extension().is_none_or(|e| e != "redb")) {
        let content = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        everything.push((file.display().to_string(), content));
    }
    assert!(everything.iter().any(|(name, text)| name.ends_with("audit.log") && text.len() > 1000));
    for (name, text) in &everything {
        for canary in CANARIES {
            for shape in [(*canary).to_owned(), STANDARD.encode(canary)] {
                let at =
                    text.find(&shape).map(|at| text[..at + shape.len()].chars().rev().take(400).collect::<String>());
                let before = at.map(|reversed| reversed.chars().rev().collect::<String>());
                assert!(before.is_none(), "{name} shows {canary}: {}", before.unwrap_or_default());
            }
        }
    }
    assert_eq!(server.stop(), Some(0));
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.is_file())
        .collect()
}
