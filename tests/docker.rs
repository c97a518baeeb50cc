//! The agent on a real Docker engine and the kernel of this machine, with an API of JSON objects. Each test has an agent
//! of its own and removes all that it has made. Without an engine the tests say so loudly and pass.

#[path = "support/fake_api.rs"]
mod fake_api;
#[path = "support/streams.rs"]
mod streams;

use std::panic::AssertUnwindSafe;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fake_api::FakeApi;
use futures::FutureExt;
use serde_json::{Value, json};
use streams::ask;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use windlass::agent::runtime::{Container, Docker, Label, Runtime};
use windlass::agent::{Agent, AgentConfig, AgentHandle, images, network};
use windlass::object::Clock;
use windlass::streams::{LogRequest, Refusal, Request, Target};
use windlass::tasks::Tasks;

const PODS: &str = "/api/v1/pods";
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";

struct World {
    api: FakeApi,
    docker: Docker,
    clock: Clock,
    data_dir: tempfile::TempDir,
    tasks: Tasks,
    agent: AgentHandle,
}

/// Runs a test against an agent of its own, and removes what it has made, also when it fails.
async fn on_docker(test: impl AsyncFnOnce(&mut World)) {
    let Ok(docker) = Docker::connect().await else {
        eprintln!("\n*** SKIPPED: no Docker engine answers; this test has tested nothing ***\n");
        return;
    };
    images::ensure_demo(&docker).await.unwrap();
    let clock = Clock::start();
    let api = FakeApi::new(clock);
    let data_dir = tempfile::tempdir().unwrap();
    let (tasks, agent) = agent(&api, &docker, clock, data_dir.path()).await;
    let mut world = World { api, docker, clock, data_dir, tasks, agent };
    let outcome = AssertUnwindSafe(test(&mut world)).catch_unwind().await;
    world.tasks.stop().await;
    for container in world.containers().await {
        world.docker.remove(&container.id).await.unwrap();
    }
    network::remove_all(world.agent.id(), &world.docker).await.unwrap();
    if let Err(panic) = outcome {
        eprintln!("{:#}", json!({"pods": world.api.list(PODS), "events": world.api.list("/api/v1/events")}));
        std::panic::resume_unwind(panic);
    }
}

async fn agent(api: &FakeApi, docker: &Docker, clock: Clock, data_dir: &std::path::Path) -> (Tasks, AgentHandle) {
    let tasks = Tasks::default();
    let config = AgentConfig {
        node_name: "n1".into(),
        data_dir: data_dir.to_owned(),
        client: api.client(),
        runtime: Arc::new(docker.clone()),
        clock,
        network: true,
        control_plane: true,
    };
    let agent = Agent::start(config, &tasks).await.unwrap();
    agent.registered().await;
    (tasks, agent)
}

impl World {
    async fn containers(&self) -> Vec<Container> {
        let ours = Label { key: "windlass.dev/agent", value: self.agent.id().to_owned() };
        self.docker.containers(&ours).await.unwrap()
    }

    fn run(&self, name: &str, image: &str, more: &Value) {
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default",
            "labels": {"app": "web"}}, "spec": {"nodeName": "n1", "terminationGracePeriodSeconds": 10, "containers":
            [{"name": "web", "image": format!("{}:{image}", images::DEMO_IMAGE), "imagePullPolicy": "IfNotPresent",
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1}}]},
            "status": {"phase": "Pending"}});
        json_patch::merge(&mut pod["spec"]["containers"][0], more);
        self.api.put(PODS, pod);
    }

    fn pod(&self, name: &str) -> Value {
        self.api.get(PODS, "default", name).unwrap_or_default()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) -> Duration {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < Duration::from_secs(60), "{what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }

    async fn until_ready(&self, name: &str) -> Duration {
        self.until("the pod gets ready", |world| is_ready(&world.pod(name))).await
    }

    fn service(&self, name: &str, ip: &str, node_port: u16) {
        self.api.put("/api/v1/services", json!({"metadata": {"name": name, "namespace": "default"}, "spec":
            {"clusterIP": ip, "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080, "nodePort": node_port}]}}));
        self.endpoints(name);
    }

    /// What the endpoints controller would write.
    fn endpoints(&self, service: &str) {
        let pods = self.api.list(PODS);
        let endpoints: Vec<Value> = pods
            .iter()
            .filter(|pod| pod["status"]["podIP"].is_string())
            .map(|pod| {
                let leaving = !pod["metadata"]["deletionTimestamp"].is_null();
                json!({"addresses": [pod["status"]["podIP"]], "targetRef": {"kind": "Pod", "uid": pod["metadata"]["uid"]},
                    "conditions": {"ready": is_ready(pod) && !leaving, "serving": is_ready(pod), "terminating": leaving}})
            })
            .collect();
        let present = self.api.get(SLICES, "default", service).unwrap_or_default();
        if present["endpoints"] != json!(endpoints) {
            self.api.put(
                SLICES,
                json!({"metadata": {"name": service, "namespace": "default",
                "labels": {"kubernetes.io/service-name": service}}, "addressType": "IPv4",
                "ports": [{"name": "", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints}),
            );
        }
    }

    async fn log(&self, pod: &str, previous: bool) -> Result<String, Refusal> {
        let target =
            Target { namespace: "default".into(), pod: pod.into(), container: "web".into(), ..Target::default() };
        let request = Request::Logs(LogRequest { target, previous, ..LogRequest::default() });
        let heard = ask(&self.agent.streams(), request, vec![]).await?;
        Ok(String::from_utf8(heard.output).unwrap())
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

fn restarts(pod: &Value) -> i64 {
    pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap_or_default()
}

async fn get(address: &str, path: &str) -> Result<String, String> {
    let exchange = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match tokio::time::timeout(Duration::from_secs(3), exchange).await {
        Ok(Ok(answer)) => match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
            _ => Err(format!("answered {answer:?}")),
        },
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in 3 s".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_answers_and_logs() {
    on_docker(async |world: &mut World| {
        world.run(
            "web-1",
            "v1.0",
            &json!({"env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
        );
        let took = world.until_ready("web-1").await;
        eprintln!("ready after {took:?}");
        let ip = world.pod("web-1")["status"]["podIP"].as_str().unwrap().to_owned();
        let answer = get(&format!("{ip}:8080"), "/").await.unwrap();
        assert!(answer.starts_with("demo v1.0 !! ClientIP: "), "{answer}");
        assert!(answer.contains(&format!("ServerName: web-1, ServerIP: {ip}!")), "{answer}");
        assert!(get(&format!("{ip}:8080"), "/env").await.unwrap().contains("POD=web-1\n"));
        let log = world.log("web-1", false).await.unwrap();
        assert!(log.contains("demo v1.0 listens on port 8080") && log.contains("GET / 200"), "{log}");
        world.api.delete_pod("default", "web-1", None);
        world.until("the pod is gone", |world| world.pod("web-1").is_null()).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(world.containers().await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_killed_behind_our_back_is_restarted() {
    on_docker(async |world: &mut World| {
        world.run("web-1", "v1.0", &json!({}));
        world.until_ready("web-1").await;
        let of = |c: &&Container| c.labels["io.kubernetes.container.name"] == "web";
        let id = world.containers().await.iter().find(of).unwrap().id.clone();
        assert!(Command::new("docker").args(["kill", &id]).output().unwrap().status.success());
        let noticed = world.until("it is seen", |world| {
            let state = &world.pod("web-1")["status"]["containerStatuses"][0]["state"];
            !state["terminated"].is_null() || restarts(&world.pod("web-1")) == 1
        });
        let noticed = noticed.await;
        world.until("it is restarted", |world| restarts(&world.pod("web-1")) == 1).await;
        world.until_ready("web-1").await;
        assert!(noticed < Duration::from_secs(1), "{noticed:?}");
        let last = world.pod("web-1")["status"]["containerStatuses"][0]["lastState"]["terminated"].clone();
        assert_eq!((&last["exitCode"], &last["reason"]), (&json!(137), &json!("Error")));
        assert!(world.log("web-1", true).await.is_ok(), "the log of the one before is kept");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_agent_adopts_what_runs() {
    on_docker(async |world: &mut World| {
        world.run("web-1", "v1.0", &json!({}));
        world.until_ready("web-1").await;
        let ids = |all: Vec<Container>| all.into_iter().map(|c| c.id).collect::<std::collections::BTreeSet<_>>();
        let before = ids(world.containers().await);
        world.tasks.stop().await;
        world.run("web-2", "v1.1", &json!({}));
        (world.tasks, world.agent) = agent(&world.api, &world.docker, world.clock, world.data_dir.path()).await;
        world.until_ready("web-2").await;
        let after = ids(world.containers().await);
        assert!(before.is_subset(&after));
        assert_eq!(after.len(), 4);
        assert_eq!(restarts(&world.pod("web-1")), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_answers_on_its_address_and_on_its_node_port() {
    on_docker(async |world: &mut World| {
        world.run("web-1", "v1.0", &json!({}));
        world.until_ready("web-1").await;
        let (ip, port) = ("10.96.77.1", 31_771);
        world.service("web", ip, port);
        let node = world.pod("web-1")["status"]["hostIP"].as_str().unwrap().to_owned();
        tokio::time::sleep(Duration::from_millis(500)).await;
        for address in [format!("{ip}:80"), format!("127.0.0.1:{port}"), format!("{node}:{port}")] {
            let answer = get(&address, "/").await;
            assert!(answer.as_ref().is_ok_and(|a| a.contains("ServerName: web-1")), "{address}: {answer:?}");
        }
        // From a pod, to itself, over the Service.
        let of = |c: &&Container| c.labels["io.kubernetes.container.name"] == "POD";
        let id = world.containers().await.iter().find(of).unwrap().id.clone();
        let pid = Command::new("docker").args(["inspect", "-f", "{{.State.Pid}}", &id]).output().unwrap().stdout;
        let pid = String::from_utf8(pid).unwrap().trim().to_owned();
        let script = format!("exec 3<>/dev/tcp/{ip}/80; printf 'GET / HTTP/1.1\\r\\n\\r\\n' >&3; cat <&3");
        let inside =
            Command::new("timeout").args(["3", "nsenter", "-t", &pid, "-n", "bash", "-c", &script]).output().unwrap();
        let inside = String::from_utf8_lossy(&inside.stdout).into_owned();
        assert!(inside.contains("ServerName: web-1"), "from the pod itself: {inside:?}");
        // Nobody there: refused at once, not after a time-out.
        world.api.delete_pod("default", "web-1", None);
        world.until("the pod is gone", |world| world.pod("web-1").is_null()).await;
        world.endpoints("web");
        tokio::time::sleep(Duration::from_millis(300)).await;
        let began = Instant::now();
        let refused = get(&format!("{ip}:80"), "/").await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(1) && refused.contains("refused"), "{refused}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_pods_are_replaced() {
    on_docker(async |world: &mut World| {
        for name in ["web-1", "web-2", "web-3"] {
            world.run(name, "v1.0", &json!({}));
        }
        for name in ["web-1", "web-2", "web-3"] {
            world.until_ready(name).await;
        }
        world.service("web", "10.96.77.2", 31_772);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let done = tokio_util::sync::CancellationToken::new();
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let done = done.clone();
                async move {
                    let (mut asked, mut failures, mut versions) = (0, Vec::new(), std::collections::BTreeSet::new());
                    while !done.is_cancelled() {
                        asked += 1;
                        match get("10.96.77.2:80", "/").await {
                            Ok(answer) => versions.extend(answer.split(' ').nth(1).map(str::to_owned)),
                            Err(error) => failures.push(error),
                        }
                        // Slow enough that no source port is used twice in two minutes: when a container goes, Docker deletes
                        // the kernel's record of each of its connections by addresses and ports, and so hits a new one
                        // of the same port as well.
                        tokio::time::sleep(Duration::from_millis(4)).await;
                    }
                    (asked, failures, versions)
                }
            })
            .collect();
        let replace = async {
            for n in 1..=3 {
                let (old, new) = (format!("web-{n}"), format!("new-{n}"));
                world.run(&new, "v1.1", &json!({}));
                world
                    .until("the new one is ready", |world| {
                        world.endpoints("web");
                        is_ready(&world.pod(&new))
                    })
                    .await;
                world.endpoints("web");
                world.api.delete_pod("default", &old, None);
                world
                    .until("the old one is gone", |world| {
                        world.endpoints("web");
                        world.pod(&old).is_null()
                    })
                    .await;
            }
            // Many changes of the rules, as a busy cluster makes them: each of them used to lose a first packet now and then.
            for _ in 0..150 {
                let mut fewer = world.api.get(SLICES, "default", "web").unwrap();
                fewer["endpoints"].as_array_mut().unwrap().pop();
                world.api.put(SLICES, fewer);
                tokio::time::sleep(Duration::from_millis(15)).await;
                world.endpoints("web");
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            done.cancel();
        };
        let (results, ()) = tokio::join!(futures::future::join_all(clients), replace);
        let asked: usize = results.iter().map(|(asked, ..)| asked).sum();
        let failures: Vec<_> = results.iter().flat_map(|(_, failures, _)| failures).collect();
        eprintln!("{asked} requests, {} failures", failures.len());
        assert!(asked > 100 && failures.is_empty(), "{asked} requests, failed: {failures:?}");
        assert!(results.iter().any(|(.., versions)| versions.contains("v1.0") && versions.contains("v1.1")));
    })
    .await;
}
