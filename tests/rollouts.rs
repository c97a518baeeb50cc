//! `kubectl rollout` and its neighbours of every kind that rolls, as people type them: an unmodified kubectl against the
//! whole program with scripted containers.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{TestRepo, Windlass};
use tempfile::TempDir;

/// The newest kubectl of this machine, and the oldest when there are several.
fn programs() -> Vec<PathBuf> {
    let sdk = Path::new("/usr/lib/google-cloud-sdk/bin");
    let mut found: Vec<PathBuf> =
        [27, 33].map(|minor| sdk.join(format!("kubectl.1.{minor}"))).into_iter().filter(|p| p.exists()).collect();
    if found.is_empty() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        found.extend(std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|p| p.exists()));
    }
    if found.is_empty() {
        eprintln!("\n*** SKIPPED: no kubectl on this machine; this test has tested nothing ***\n");
    }
    found
}

struct Kubectl<'a> {
    program: &'a Path,
    windlass: &'a Windlass,
    home: &'a Path,
}

impl Kubectl<'_> {
    #[track_caller]
    fn ok(&self, line: &str) -> String {
        let mut command = Command::new(self.program);
        command.env("KUBECONFIG", self.windlass.kubeconfig()).env("HOME", self.home);
        let output = command.args(line.split(' ')).output().unwrap();
        let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
        assert!(output.status.success(), "kubectl {line}: {said}");
        said
    }

    #[track_caller]
    fn says(&self, line: &str, words: &[&str]) {
        let said = self.ok(line);
        for word in words {
            assert!(said.contains(word), "kubectl {line}: {word:?} is not in\n{said}");
        }
    }
}

fn workload(kind: &str, name: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}, namespace: default}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  {more}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: app, image: 'app:1'}}]
"
    )
}

#[test]
fn every_kind_that_rolls_is_watched_recorded_and_taken_back() {
    for program in programs() {
        let (repo, data, home) = (TestRepo::new(), TempDir::new().unwrap(), TempDir::new().unwrap());
        repo.write("rest.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: rest, namespace: default}\n");
        repo.commit("nothing that rolls");
        let windlass = Windlass::up(repo.path(), data.path(), &["--runtime", "scripted", "--node-name", "one"]);
        let kubectl = Kubectl { program: &program, windlass: &windlass, home: home.path() };
        for (kind, short, more) in [
            ("Deployment", "deployment", "replicas: 3"),
            ("StatefulSet", "statefulset", "serviceName: web\n  replicas: 3"),
            ("DaemonSet", "daemonset", "revisionHistoryLimit: 5"),
        ] {
            let file = home.path().join("web.yaml");
            std::fs::write(&file, workload(kind, "web", more)).unwrap();
            let web = format!("{short}/web");
            let image = |tag: &str| {
                let shown = kubectl.ok(&format!("get {web} -o jsonpath={{.spec.template.spec.containers[0].image}}"));
                assert_eq!(shown, format!("app:{tag}"), "{kind}");
                let pods = "get pods -l app=web -o jsonpath={.items[*].spec.containers[0].image}";
                assert!(kubectl.ok(pods).split(' ').all(|image| image == format!("app:{tag}")), "{kind}");
            };
            kubectl.ok(&format!("create -f {}", file.display()));
            let done = match kind {
                "Deployment" => "successfully rolled out",
                "StatefulSet" => "partitioned roll out complete|statefulset rolling update complete 3 pods at revision",
                _ => "successfully rolled out",
            };
            let status = |line: &str| {
                let said = kubectl.ok(line);
                assert!(done.split('|').any(|words| said.contains(words)), "kubectl {line}: {said}");
            };
            status(&format!("rollout status {web} --timeout=60s"));
            kubectl.ok(&format!("annotate {web} kubernetes.io/change-cause=first"));
            kubectl.ok(&format!("set image {web} app=app:2"));
            kubectl.ok(&format!("annotate --overwrite {web} kubernetes.io/change-cause=second"));
            status(&format!("rollout status {web} --timeout=60s"));
            image("2");
            kubectl.says(&format!("rollout history {web}"), &["REVISION", "CHANGE-CAUSE", "1 ", "2 "]);
            kubectl.says(&format!("rollout history {web} --revision=1"), &["app:1"]);
            kubectl.says(&format!("rollout undo {web}"), &["rolled back"]);
            status(&format!("rollout status {web} --timeout=60s"));
            image("1");
            kubectl.says(&format!("rollout history {web}"), &["2 ", "3 "]);
            kubectl.says(&format!("rollout undo {web} --to-revision=2"), &["rolled back"]);
            status(&format!("rollout status {web} --timeout=60s"));
            image("2");
            kubectl.says(&format!("rollout restart {web}"), &["restarted"]);
            status(&format!("rollout status {web} --timeout=60s"));
            kubectl.ok(&format!("delete {web} --timeout=60s"));
            kubectl.ok("wait --for=delete pod -l app=web --timeout=60s");
        }
        assert_eq!(windlass.stop(), Some(0));
    }
}
