//! Every verb of kubectl: a row says what it does against windlass, and a row that says "works" is driven here, by the
//! oldest, a middle and the newest kubectl of the machine, against the whole program with scripted containers.
//! `docs/kubectl.md` is this table; `UPDATE_DOCS=1 cargo test --test kubectl` writes it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::rows::{ROWS, Row, Verdict};
use super::world::{PATIENCE, World, programs};

const HEAD: &str = "\
# kubectl

What kubectl does against windlass. A test drives the rows with kubectl 1.27, 1.30, 1.31 and 1.33 and writes this page.

| verb | | |
|---|---|---|
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for Row { verb, verdict } in ROWS {
        let (word, detail) = match verdict {
            Verdict::Works(commands) => ("works", format!("driven: {} commands", commands.len())),
            Verdict::WorksIn(file, _) => ("works", format!("driven in `{file}`")),
            Verdict::Differs(_, how) => ("differs", (*how).to_owned()),
            Verdict::Absent(why) => ("absent", (*why).to_owned()),
        };
        let _ = writeln!(page, "| `{verb}` | {word} | {detail} |");
    }
    page
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, image: 'app:1', ports: [{containerPort: 8080}]}]
";

const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reconciled, namespace: default}
rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]
";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_verbs_says_what_kubectl_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for Row { verb, verdict } in ROWS {
        if let Verdict::WorksIn(file, name) = verdict {
            let text = fs::read_to_string(root.join(file)).unwrap_or_default();
            assert!(text.contains(&format!("fn {name}(")), "{verb}: {file} has no {name}");
        }
    }
    let all = programs();
    futures::future::join_all(all.iter().map(|program| drive(program))).await;
    let path = root.join("docs/kubectl.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page(), "write it anew: UPDATE_DOCS=1 cargo test --test kubectl");
}

/// What the words of the rows stand for.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.write("web.yaml", DEPLOYMENT);
        files.write("two.yaml", &DEPLOYMENT.replace("app:1", "app:2"));
        files.write("role.yaml", ROLE);
        files.write("kustomization.yaml", "resources: [web.yaml]\n");
        // An editor that changes the one number that there is to change.
        let editor = files.write("editor", "#!/bin/sh\nsed -i 's/replicas: 1$/replicas: 2/' \"$1\"\n");
        fs::set_permissions(editor, fs::Permissions::from_mode(0o755)).unwrap();
        files
    }

    fn write(&self, name: &str, content: &str) -> String {
        fs::write(self.folder.path().join(name), content).unwrap();
        self.path(name)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn of_word(&self, word: &str) -> String {
        match word {
            "FILE" => self.path("web.yaml"),
            "CHANGED" => self.path("two.yaml"),
            "ROLE" => self.path("role.yaml"),
            "FOLDER" => self.path(""),
            "DUMP" => self.path("dump"),
            // A blank inside a word.
            word => word.replace("FILE", &self.path("web.yaml")).replace('~', " "),
        }
    }
}

async fn drive(program: &Path) {
    let (world, files) = (World::start().await, Files::new());
    let old = program.to_string_lossy().ends_with("1.27");
    for row in ROWS {
        let (Verdict::Works(commands) | Verdict::Differs(commands, _)) = row.verdict else { continue };
        for line in commands {
            // It asks for versions that Kubernetes 1.33 does not serve either.
            if old && *line == "auth whoami" {
                continue;
            }
            let (line, code) = line.strip_prefix("! ").map_or((*line, 0), |line| (line, 1));
            let words: Vec<String> = line.split(' ').map(|word| files.of_word(word)).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut command = world.command(program, &words);
            command.env("KUBE_EDITOR", files.path("editor")).stdin(std::process::Stdio::null());
            let output = tokio::time::timeout(PATIENCE, command.output()).await;
            let output = output.unwrap_or_else(|_| panic!("{} {line} hangs", program.display())).unwrap();
            let said =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            assert_eq!(output.status.code(), Some(code), "{} {line}\n{said}", program.display());
        }
    }
    world.stop().await;
}
