//! The commands as a user types them, against a running `windlass up` with the scripted runtime.

mod support;

use std::path::Path;
use std::process::Output;

use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::api::{Api, ListParams};
use serde_json::Value;
use support::{TestRepo, Windlass, eventually};
use tempfile::TempDir;

const SETTINGS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: default
data:
  colour: blue
";

fn windlass(repo: &Path, data: &Path, args: &[&str]) -> Output {
    let mut command = Windlass::command();
    command.current_dir(repo).env("WINDLASS_DATA_DIR", data).env("HOME", data);
    command.env("GIT_AUTHOR_NAME", "Ann").env("GIT_AUTHOR_EMAIL", "ann@example.com");
    command.env("GIT_COMMITTER_NAME", "Ann").env("GIT_COMMITTER_EMAIL", "ann@example.com");
    command.args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    said.concat()
}

#[track_caller]
fn expect(output: Output, code: i32, words: &[&str]) -> String {
    let said = text(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in:\n{said}");
    }
    said
}

/// A running cluster whose first commit is deployed.
async fn cluster() -> (TestRepo, TempDir, Windlass, kube::Client) {
    let (repo, data) = (TestRepo::new(), TempDir::new().unwrap());
    repo.git(&["config", "user.name", "Ann"]);
    repo.git(&["config", "user.email", "ann@example.com"]);
    repo.write("settings.yaml", SETTINGS);
    repo.commit("settings: blue");
    let windlass = Windlass::up(repo.path(), data.path(), &["--runtime", "scripted", "--node-name", "cli"]);
    let client = windlass.client().await;
    deployed(&client, "blue").await;
    (repo, data, windlass, client)
}

async fn deployed(client: &kube::Client, colour: &str) {
    let api = Api::<ConfigMap>::default_namespaced(client.clone());
    eventually(&format!("the settings are {colour}"), || async {
        let data = api.get_opt("settings").await.ok()??.data?;
        (data["colour"] == colour).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_user_previews_deploys_looks_and_rolls_back() {
    let (repo, data, windlass_up, client) = cluster().await;
    let run = |args: &[&str]| windlass(repo.path(), data.path(), args);

    expect(run(&["diff"]), 0, &["1 unchanged"]);
    repo.write("settings.yaml", &SETTINGS.replace("blue", "green"));
    expect(run(&["diff"]), 1, &["ConfigMap default/settings", "data.colour", "blue", "green", "1 to update"]);
    let json: Value = serde_json::from_slice(&run(&["diff", "-o", "json"]).stdout).unwrap();
    assert_eq!(json["steps"][0]["changes"][0]["path"], "data.colour");
    expect(run(&["diff", "-o", "markdown"]), 1, &["settings"]);
    deployed(&client, "blue").await;

    repo.commit("settings: green");
    deployed(&client, "green").await;
    expect(run(&["diff", "HEAD~1..HEAD"]), 1, &["blue", "green"]);
    expect(run(&["diff", "HEAD"]), 0, &[]);
    expect(run(&["diff", "no-such-branch"]), 2, &["no-such-branch"]);

    expect(run(&["sync"]), 0, &["Synced"]);
    expect(run(&["status"]), 0, &["Synced", "settings: green", "ConfigMap"]);
    expect(run(&["history"]), 0, &["settings: blue", "settings: green", "Ann"]);

    expect(run(&["rollback"]), 0, &["takes HEAD back"]);
    deployed(&client, "blue").await;
    assert_eq!(repo.git(&["log", "-1", "--format=%s"]), "Revert \"settings: green\"");
    assert_eq!(windlass_up.stop(), Some(0));
}

#[tokio::test]
async fn a_bad_commit_is_reported_everywhere_and_changes_nothing() {
    let (repo, data, windlass_up, client) = cluster().await;
    let run = |args: &[&str]| windlass(repo.path(), data.path(), args);
    let wrong = SETTINGS.replace("\ndata:\n", "\ncolours: red\ndata:\n");
    repo.write("settings.yaml", &wrong);
    repo.write("broken.yaml", "a: [1\n");
    repo.write("unknown.yaml", "apiVersion: v9\nkind: Nothing\nmetadata: {name: x}\n");
    let places = ["settings.yaml:6", "unknown field \"colours\"", "broken.yaml:", "unknown.yaml:1"];

    expect(run(&["lint", "."]), 1, &places);
    expect(run(&["diff"]), 2, &places);
    repo.commit("all wrong");
    let application = eventually("the errors show in the Application", || async {
        let status: Value = serde_json::from_slice(&run(&["status", "-o", "json"]).stdout).ok()?;
        (!status["conditions"].as_array()?.is_empty()).then_some(status)
    })
    .await;
    let conditions = application["conditions"].as_array().unwrap();
    let message: String = conditions.iter().map(|condition| condition["message"].as_str().unwrap()).collect();
    assert!(places.iter().all(|place| message.contains(place)), "{message}");
    expect(run(&["status"]), 0, &places);
    let events = Api::<Event>::namespaced(client.clone(), "windlass-system");
    eventually("an event tells of it", || async {
        let all = events.list(&ListParams::default()).await.ok()?.items;
        all.iter().any(|e| e.message.as_deref().is_some_and(|m| m.contains("settings.yaml:6"))).then_some(())
    })
    .await;
    deployed(&client, "blue").await;
    assert_eq!(windlass_up.stop(), Some(0));
}

#[test]
fn lint_knows_policies_and_needs_no_cluster() {
    let dir = TempDir::new().unwrap();
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let example = |name: &str, file: &str| policies.join(name).join(file).display().to_string();
    let lint = |path: &str, policy: &str| {
        let policy = example(policy, "policy.yaml");
        windlass(dir.path(), dir.path(), &["lint", "--policies", &policy, path])
    };
    expect(lint(&example("no-privileged", "pass.yaml"), "no-privileged"), 0, &["0 errors"]);
    expect(
        lint(&example("no-privileged", "fail.yaml"), "no-privileged"),
        1,
        &["fail.yaml:", "ValidatingAdmissionPolicy 'no-privileged'"],
    );
    expect(windlass(dir.path(), dir.path(), &["lint", "nowhere"]), 2, &["nowhere"]);
}

#[test]
fn commands_without_a_server_say_what_to_do() {
    let dir = TempDir::new().unwrap();
    for command in ["status", "history", "sync", "diff"] {
        expect(windlass(dir.path(), dir.path(), &[command]), 2, &["is `windlass up` running?"]);
    }
    expect(windlass(dir.path(), dir.path(), &["up"]), 2, &["git"]);
    expect(windlass(dir.path(), dir.path(), &["version", "-o", "json"]), 0, &["\"kubernetes\":\"v1.33.0\""]);
    expect(windlass(dir.path(), dir.path(), &["completions", "bash"]), 0, &["windlass"]);
    expect(windlass(dir.path(), dir.path(), &["man", "pages"]), 0, &[]);
    assert!(dir.path().join("pages/windlass-up.1").exists());
}

#[test]
fn a_reader_that_leaves_early_ends_the_command_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Windlass::command();
    let output = command.args(["completions", "bash"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_application_is_planned_with_the_files_that_are_its_own() {
    let (repo, data, windlass_up, client) = cluster().await;
    let child = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: team, namespace: argocd}}\nspec:\n  project: default\n  \
         source: {{repoURL: '{}', path: .team, targetRevision: main}}\n  destination: {{namespace: default}}\n  \
         syncPolicy: {{automated: {{prune: true}}}}\n",
        repo.path().display()
    );
    repo.write("team.yaml", &child);
    repo.write(".team/own.yaml", &SETTINGS.replace("settings", "own"));
    repo.write(".team/deeper/not.yaml", &SETTINGS.replace("settings", "deeper"));
    repo.commit("team: first");
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    eventually("the team's is deployed", || async { maps.get("own").await.ok() }).await;
    for name in ["team", "argocd/team"] {
        expect(windlass(repo.path(), data.path(), &["diff", "--application", name]), 0, &["1 unchanged"]);
        expect(windlass(repo.path(), data.path(), &["status", "--application", name]), 0, &["team", "Synced"]);
    }
    expect(windlass(repo.path(), data.path(), &["sync", "--application", "team"]), 0, &[]);
    // Without a name, it is the repository's own.
    expect(windlass(repo.path(), data.path(), &["status"]), 0, &["settings"]);
    let said = windlass(repo.path(), data.path(), &["status", "--application", "other"]);
    expect(said, 2, &["there is no Application \"other\"; there are", "argocd/team"]);
    assert_eq!(windlass_up.stop(), Some(0));
}
