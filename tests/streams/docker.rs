//! The same on a real Docker engine: a shell to run commands in, files to copy, the demo application to connect to.
//! The image with the shell is made out of programs of this machine, so no registry is needed.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use futures::FutureExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use windlass::agent::images;
use windlass::agent::runtime::Docker;
use windlass::app::{self, Config, Storage};

use super::support::docker::{SHELL_IMAGE as SHELL, make_image, make_shell_image};
use super::world::{Kubectl, PATIENCE, client_of, programs};

struct OnDocker {
    kubectl: Kubectl,
    pods: Api<Pod>,
    program: std::path::PathBuf,
}

impl OnDocker {
    async fn run(&self, name: &str, container: serde_json::Value) {
        let mut definition = json!({"name": "c", "image": SHELL, "imagePullPolicy": "Never"});
        definition.as_object_mut().unwrap().extend(container.as_object().cloned().unwrap());
        let pod = json!({"metadata": {"name": name}, "spec": {"nodeName": "n1", "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0, "containers": [definition]}});
        self.pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
        let running = async {
            loop {
                let pod = json!(self.pods.get(name).await.unwrap());
                if pod["status"]["phase"] == "Running" {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, running).await.unwrap_or_else(|_| panic!("{name} does not run"));
    }

    async fn ok(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let said = self.kubectl.run(&self.program, arguments, input).await;
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        said.out
    }
}

async fn on_docker(test: impl AsyncFnOnce(&OnDocker, &Path)) {
    let (Ok(docker), Some(program)) = (Docker::connect().await, programs().pop()) else {
        eprintln!("\n*** SKIPPED: no Docker engine answers, or no kubectl; this test has tested nothing ***\n");
        return;
    };
    make_shell_image();
    images::ensure_demo(&docker).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let running = app::build(Config {
        repo: None,
        data_dir: folder.path().join("plane"),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        node_name: "n1".into(),
        storage: Storage::Memory,
        runtime: Arc::new(docker),
        network: true,
        webhook_secret: None,
        audit_log: None,
    })
    .await
    .unwrap();
    let client = client_of(&running.kubeconfig).await;
    let kubectl = Kubectl { home: folder.path().to_owned(), kubeconfig: running.kubeconfig.clone() };
    let world = OnDocker { kubectl, pods: Api::namespaced(client, "default"), program };
    let outcome = AssertUnwindSafe(test(&world, folder.path())).catch_unwind().await;
    let node = running.node.clone();
    running.stop().await;
    node.teardown().await.unwrap();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

const LASTING: &str = "echo began; sleep 4321";

const CLIENT: &str = "windlass-test-client:1";

/// Asks the API as client libraries do, by what is mounted into every pod.
const ASK: &str = "T=/var/run/secrets/kubernetes.io/serviceaccount; wget -q -O - --content-on-error --tries=3 \
    --timeout=10 --ca-certificate=$T/ca.crt --header \"Authorization: Bearer $(cat $T/token)\" \
    https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/api/v1/namespaces/default/pods?pretty=false";

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_reaches_the_api_by_its_service_and_its_token() {
    const WGET: &str = "/usr/bin/wget";
    if !Path::new(WGET).exists() {
        eprintln!("\n*** SKIPPED: no wget to put into a pod; this test has tested nothing ***\n");
        return;
    }
    on_docker(async |world, _| {
        make_image(CLIENT, WGET);
        world.run("client", json!({"image": CLIENT, "command": ["sleep", "600"]})).await;
        let ask = ["exec", "client", "--", "sh", "-c", ASK];
        let refused = world.kubectl.run(&world.program, &ask, b"").await;
        let words = "User \\\"system:serviceaccount:default:default\\\" cannot list resource \\\"pods\\\"";
        assert!(refused.text().contains(words), "{refused:?}");
        let bind = ["create", "rolebinding", "see", "--clusterrole=view", "--serviceaccount=default:default"];
        world.ok(&bind, b"").await;
        let list: serde_json::Value = serde_json::from_slice(&world.ok(&ask, b"").await).unwrap();
        assert_eq!(list["items"][0]["metadata"]["name"], "client");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_files_terminals_and_ports_of_real_containers() {
    on_docker(async |world, folder| {
        world.run("shell", json!({"command": ["sh", "-c", "echo began; sleep 600"]})).await;
        assert_eq!(world.ok(&["exec", "shell", "--", "sh", "-c", "echo out; echo err >&2"], b"").await, b"out\n");
        let failed = world.kubectl.run(&world.program, &["exec", "shell", "--", "sh", "-c", "exit 4"], b"").await;
        assert_eq!(failed.code, 4, "{failed:?}");
        let missing = world.kubectl.run(&world.program, &["exec", "shell", "--", "nonsense"], b"").await;
        let said = format!("{}{}", missing.text(), missing.err);
        assert!(missing.code != 0 && said.contains("executable file not found in $PATH"), "{missing:?}");
        let large: Vec<u8> = (0..500_000_u32).flat_map(u32::to_be_bytes).collect();
        assert!(world.ok(&["exec", "-i", "shell", "--", "cat"], &large).await == large);
        // Both ways, through tar.
        let (there, back) = (folder.join("there"), folder.join("back"));
        std::fs::write(&there, &large).unwrap();
        world.ok(&["cp", &there.display().to_string(), "shell:/copied"], b"").await;
        world.ok(&["cp", "shell:/copied", &back.display().to_string()], b"").await;
        assert!(std::fs::read(&back).unwrap() == large);
        assert_eq!(world.ok(&["logs", "shell"], b"").await, b"began\n");
        assert_eq!(world.ok(&["logs", "shell", "--since=1h", "--tail=1"], b"").await, b"began\n");

        // A terminal, with its size.
        let command =
            format!("stty rows 31 cols 71; {} exec -it shell -- sh -c 'sleep 1; stty size'", world.program.display());
        let mut script = tokio::process::Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).kill_on_drop(true).stdin(std::process::Stdio::piped());
        for (name, value) in world.kubectl.command(&world.program, &[]).as_std().get_envs() {
            script.env(name, value.unwrap_or_default());
        }
        let mut child = script.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
        drop(stdin);
        assert!(String::from_utf8_lossy(&output.stdout).contains("31 71"), "{output:?}");

        // What a terminal shows is nobody's frames.
        let bytes = format!("{} exec -t shell -- sh -c 'printf \"\\001\\002abc\"'", world.program.display());
        let mut script = tokio::process::Command::new("script");
        script.args(["-qec", &bytes, "/dev/null"]).kill_on_drop(true).stdin(std::process::Stdio::null());
        for (name, value) in world.kubectl.command(&world.program, &[]).as_std().get_envs() {
            script.env(name, value.unwrap_or_default());
        }
        let output = tokio::time::timeout(PATIENCE, script.output()).await.unwrap().unwrap();
        assert!(output.stdout.windows(5).any(|seen| seen == b"\x01\x02abc"), "{output:?}");

        // A command whose client leaves is ended.
        let mut child =
            world.kubectl.command(&world.program, &["exec", "shell", "--", "sh", "-c", LASTING]).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, lines.read_line(&mut line)).await.unwrap().unwrap();
        assert_eq!(line, "began\n");
        child.kill().await.unwrap();
        let running = |command: &str| {
            let listed = Command::new("ps").args(["-eo", "args"]).output().unwrap();
            String::from_utf8_lossy(&listed.stdout).contains(command)
        };
        let ended = async {
            while running("sleep 4321") {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("the command outlives its client");

        world.run("talk", json!({"command": ["cat"], "stdin": true, "stdinOnce": true})).await;
        assert_eq!(world.ok(&["attach", "-i", "-q", "talk"], b"hello\n").await, b"hello\n");

        let image = format!("{}:v1.0", images::DEMO_IMAGE);
        world.run("web", json!({"image": image})).await;
        let mut child = world.kubectl.command(&world.program, &["port-forward", "web", ":8080"]).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, lines.read_line(&mut line)).await.unwrap().unwrap();
        let local = line.strip_prefix("Forwarding from 127.0.0.1:").unwrap().split(' ').next().unwrap();
        let mut stream = tokio::net::TcpStream::connect(format!("127.0.0.1:{local}")).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.contains("demo v1.0"), "{answer}");
        child.kill().await.unwrap();

        let looking = ["debug", "shell", "--image", SHELL, "-i", "-q", "-c", "look", "--image-pull-policy=Never"];
        // Its input stays open, so it has to end by itself.
        let looked = [&looking[..], &["--", "sh", "-c", "read line; echo $line"]].concat();
        let said = world.kubectl.run(&world.program, &looked, b"inside\n").await;
        assert_eq!((said.text().as_str(), said.code), ("inside\n", 0), "{said:?}");
        let measured = async {
            loop {
                let top = world.kubectl.run(&world.program, &["top", "pods", "--no-headers"], b"").await;
                if top.text().contains("shell") {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            }
        };
        tokio::time::timeout(PATIENCE, measured).await.unwrap();
    })
    .await;
}
