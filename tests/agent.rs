//! The agent in one process, under paused time: a scripted engine and an API of JSON objects. What is decided purely is
//! tested beside the decision; here it is that the parts play together.

#[path = "support/fake_api.rs"]
mod fake_api;
#[path = "support/streams.rs"]
mod streams;

use std::sync::Arc;
use std::time::Duration;

use fake_api::FakeApi;
use serde_json::{Value, json};
use streams::ask;
use windlass::agent::runtime::{Container, Scripted, scripted::Script};
use windlass::agent::{Agent, AgentConfig, AgentHandle};
use windlass::object::Clock;
use windlass::streams::{LogRequest, Request, Target};
use windlass::tasks::Tasks;

const PODS: &str = "/api/v1/pods";

struct World {
    api: FakeApi,
    engine: Scripted,
    clock: Clock,
    data_dir: tempfile::TempDir,
    tasks: Tasks,
    agent: AgentHandle,
}

impl World {
    async fn start() -> Self {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        let (api, engine) = (FakeApi::new(clock), Scripted::new(clock));
        let data_dir = tempfile::tempdir().unwrap();
        let (tasks, agent) = agent(&api, &engine, clock, data_dir.path()).await;
        Self { api, engine, clock, data_dir, tasks, agent }
    }

    /// The agent dies and another one starts in its place.
    async fn restart(&mut self) {
        self.tasks.stop().await;
        (self.tasks, self.agent) = agent(&self.api, &self.engine, self.clock, self.data_dir.path()).await;
    }

    fn run(&self, name: &str, spec: Value) {
        let mut spec = spec;
        spec["nodeName"] = json!("n1");
        self.api.put(
            PODS,
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": spec, "status": {"phase": "Pending", "qosClass": "BestEffort", "conditions":
            [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}),
        );
    }

    fn pod(&self, name: &str) -> Value {
        self.api.get(PODS, "default", name).unwrap_or_default()
    }

    fn container(&self, name: &str) -> Option<Container> {
        let of = |c: &Container| c.labels.get("io.kubernetes.container.name").is_some_and(|n| n == name);
        self.engine.all().into_iter().filter(of).max_by_key(|c| c.created)
    }

    /// Lets time pass until it is so; paused time makes this quick.
    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) -> Duration {
        let began = tokio::time::Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < Duration::from_secs(900), "{what}: {:#?}", self.api.list(PODS));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }

    async fn until_ready(&self, name: &str) -> Duration {
        self.until("the pod gets ready", |world| condition(&world.pod(name), "Ready") == "True").await
    }

    fn reasons(&self) -> Vec<String> {
        let text = |event: &Value| event["reason"].as_str().unwrap_or_default().to_owned();
        self.api.list("/api/v1/events").iter().map(text).collect()
    }
}

async fn agent(api: &FakeApi, engine: &Scripted, clock: Clock, data_dir: &std::path::Path) -> (Tasks, AgentHandle) {
    let tasks = Tasks::default();
    let config = AgentConfig {
        node_name: "n1".into(),
        data_dir: data_dir.to_owned(),
        client: api.client(),
        runtime: Arc::new(engine.clone()),
        clock,
        network: false,
        control_plane: true,
    };
    let agent = Agent::start(config, &tasks).await.unwrap();
    agent.registered().await;
    (tasks, agent)
}

fn condition(pod: &Value, type_: &str) -> String {
    let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|c| c["type"] == type_);
    found.and_then(|c| c["status"].as_str()).unwrap_or_default().to_owned()
}

fn one(name: &str) -> Value {
    json!({"containers": [{"name": name, "image": "app:1"}], "terminationGracePeriodSeconds": 30})
}

#[tokio::test(start_paused = true)]
async fn a_node_registers_and_renews_its_lease() {
    let world = World::start().await;
    let node = world.api.get("/api/v1/nodes", "", "n1").unwrap();
    assert_eq!(node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"], "");
    assert_eq!(condition(&node, "Ready"), "True");
    let lease = || world.api.get("/apis/coordination.k8s.io/v1/leases", "kube-node-lease", "n1").unwrap_or_default();
    world.until("there is a lease", |_| !lease().is_null()).await;
    let first = lease()["spec"]["renewTime"].clone();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_ne!(lease()["spec"]["renewTime"], first);
}

#[tokio::test(start_paused = true)]
async fn a_pod_runs_and_its_status_says_so() {
    let world = World::start().await;
    world.run("web", one("c"));
    world.until_ready("web").await;
    let status = world.pod("web")["status"].clone();
    assert_eq!(status["phase"], "Running");
    assert_eq!(status["podIP"], "10.88.0.2");
    assert_eq!(status["qosClass"], "BestEffort");
    let container = &status["containerStatuses"][0];
    assert_eq!((&container["ready"], &container["restartCount"]), (&json!(true), &json!(0)));
    assert!(container["containerID"].as_str().unwrap().starts_with("docker://"));
    assert_eq!(condition(&world.pod("web"), "PodScheduled"), "True", "what others set is kept");
    let mut reasons = world.reasons();
    reasons.sort();
    assert_eq!(reasons, ["Created", "Pulled", "Started"], "each was done once, and nothing failed");
}

#[tokio::test(start_paused = true)]
async fn a_container_killed_behind_our_back_runs_again_at_once() {
    let world = World::start().await;
    world.run("web", one("c"));
    world.until_ready("web").await;
    world.engine.kill(&world.container("c").unwrap().id, 137);
    let restarts = |world: &World| world.pod("web")["status"]["containerStatuses"][0]["restartCount"].clone();
    let took = world.until("it is restarted", |world| restarts(world) == 1).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    world.until_ready("web").await;
    let last = world.pod("web")["status"]["containerStatuses"][0]["lastState"]["terminated"].clone();
    assert_eq!((&last["exitCode"], &last["reason"]), (&json!(137), &json!("Error")));
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_backs_off_as_a_kubelet_does() {
    let world = World::start().await;
    world.engine.script("c", Script { exits_after: Some((Duration::from_secs(1), 1)), ..Script::default() });
    world.run("web", one("c"));
    let restarts = |world: &World| world.pod("web")["status"]["containerStatuses"][0]["restartCount"].as_i64();
    let mut waits = Vec::new();
    for n in 1..=4 {
        waits.push(world.until("restarted", |world| restarts(world) == Some(n)).await.as_secs());
    }
    // One second of running each, and waits of 0, 10, 20 and 40 seconds.
    assert_eq!(waits, [1, 11, 21, 41]);
    let waiting = |world: &World| world.pod("web")["status"]["containerStatuses"][0]["state"]["waiting"].clone();
    world.until("it waits", |world| waiting(world)["reason"] == "CrashLoopBackOff").await;
    let message = waiting(&world)["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("back-off 1m20s restarting failed container=c pod=web_default("), "{message}");
    assert_eq!(world.pod("web")["status"]["phase"], "Running");
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_agent_restarts_no_container() {
    let mut world = World::start().await;
    world.run(
        "web",
        json!({"containers": [{"name": "c", "image": "app:1", "readinessProbe": {"tcpSocket": {"port": 80}}}]}),
    );
    world.until_ready("web").await;
    let before: Vec<String> = world.engine.all().into_iter().map(|c| c.id).collect();
    world.restart().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let after: Vec<String> = world.engine.all().into_iter().map(|c| c.id).collect();
    assert_eq!(before, after);
    assert_eq!(condition(&world.pod("web"), "Ready"), "True");
}

#[tokio::test(start_paused = true)]
async fn what_runs_for_a_pod_that_is_gone_is_ended() {
    let mut world = World::start().await;
    world.run("web", one("c"));
    world.until_ready("web").await;
    world.tasks.stop().await;
    world.api.remove(PODS, "default", "web");
    world.restart().await;
    world.until("nothing is left", |world| world.engine.all().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_ends_gracefully_and_then_is_gone() {
    let world = World::start().await;
    world.engine.script("c", Script { ignores_stop: true, ..Script::default() });
    world.run("web", one("c"));
    world.until_ready("web").await;
    world.api.delete_pod("default", "web", Some(7));
    let took = world.until("the pod is gone", |world| world.pod("web").is_null()).await;
    assert!((7..9).contains(&took.as_secs()), "killed when its grace was over: {took:?}");
    world.until("nothing is left", |world| world.engine.all().is_empty()).await;
    assert!(world.reasons().iter().any(|reason| reason == "Killing"));
}

#[tokio::test(start_paused = true)]
async fn init_containers_run_in_order_before_the_others() {
    let world = World::start().await;
    for name in ["i1", "i2"] {
        world.engine.script(name, Script { exits_after: Some((Duration::from_secs(5), 0)), ..Script::default() });
    }
    world.run(
        "web",
        json!({"initContainers": [{"name": "i1", "image": "a"}, {"name": "i2", "image": "b"}],
        "containers": [{"name": "c", "image": "app:1"}]}),
    );
    world.until("the first runs", |world| world.container("i1").is_some_and(|c| c.is_running())).await;
    assert!(world.container("i2").is_none() && world.container("c").is_none());
    let took = world.until_ready("web").await;
    assert!((10..11).contains(&took.as_secs()), "{took:?}");
    assert_eq!(condition(&world.pod("web"), "Initialized"), "True");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_makes_the_pod_unready_and_a_liveness_probe_restarts_it() {
    let world = World::start().await;
    let probe = json!({"httpGet": {"port": 80, "path": "/"}, "periodSeconds": 1, "failureThreshold": 3});
    world.run(
        "web",
        json!({"containers": [{"name": "c", "image": "app:1", "readinessProbe": probe, "livenessProbe":
        {"httpGet": {"port": 80}, "periodSeconds": 10, "failureThreshold": 2}}]}),
    );
    world.until_ready("web").await;
    world
        .engine
        .script("c", Script { ill: Some("HTTP probe failed with statuscode: 503".into()), ..Script::default() });
    let took = world.until("unready", |world| condition(&world.pod("web"), "Ready") == "False").await;
    assert!(took <= Duration::from_secs(4), "{took:?}");
    let restarts = |world: &World| world.pod("web")["status"]["containerStatuses"][0]["restartCount"] == 1;
    world.until("restarted", restarts).await;
    assert!(world.reasons().iter().any(|reason| reason == "Unhealthy"));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_nowhere_is_an_error_first_and_then_a_wait() {
    let world = World::start().await;
    world.engine.script("app:1", Script { image_missing: true, ..Script::default() });
    world.run("web", one("c"));
    let reason =
        |world: &World| world.pod("web")["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].clone();
    world.until("an error", |world| reason(world) == "ErrImagePull").await;
    world.until("a wait", |world| reason(world) == "ImagePullBackOff").await;
    world.engine.script("app:1", Script::default());
    world.until_ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_config_map_is_waited_for() {
    let world = World::start().await;
    world.run(
        "web",
        json!({"containers": [{"name": "c", "image": "app:1", "env": [{"name": "A", "valueFrom":
        {"configMapKeyRef": {"name": "cm", "key": "a"}}}]}]}),
    );
    let waiting = |world: &World| world.pod("web")["status"]["containerStatuses"][0]["state"]["waiting"].clone();
    world.until("an error", |world| waiting(world)["reason"] == "CreateContainerConfigError").await;
    assert_eq!(waiting(&world)["message"], "configmap \"cm\" not found");
    world
        .api
        .put("/api/v1/configmaps", json!({"metadata": {"name": "cm", "namespace": "default"}, "data": {"a": "1"}}));
    world.until_ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_job_like_pod_ends_as_its_containers_do() {
    for (code, phase) in [(0, "Succeeded"), (3, "Failed")] {
        let world = World::start().await;
        world.engine.script("c", Script { exits_after: Some((Duration::from_secs(2), code)), ..Script::default() });
        world.run("job", json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "app:1"}]}));
        world.until("over", |world| world.pod("job")["status"]["phase"] == phase).await;
        world.until("its sandbox is stopped", |world| !world.engine.all().iter().any(Container::is_running)).await;
        let terminated = world.pod("job")["status"]["containerStatuses"][0]["state"]["terminated"].clone();
        assert_eq!(terminated["exitCode"], code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_engine_is_away_is_not_ready_and_recovers() {
    let world = World::start().await;
    world.run("web", one("c"));
    world.until_ready("web").await;
    let ready = |world: &World| condition(&world.api.get("/api/v1/nodes", "", "n1").unwrap_or_default(), "Ready");
    let before = world.container("c").unwrap().id;
    world.engine.set_down(true);
    world.until("not ready", |world| ready(world) == "False").await;
    world.engine.set_down(false);
    world.until("ready", |world| ready(world) == "True").await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(world.container("c").unwrap().id, before);
    assert_eq!(world.engine.all().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_log_is_that_of_the_container_asked_for() {
    let world = World::start().await;
    world.engine.script("c", Script { log: vec!["hello".into()], ..Script::default() });
    world.run("web", one("c"));
    world.until_ready("web").await;
    let target = Target { namespace: "default".into(), pod: "web".into(), container: "c".into(), ..Target::default() };
    let request = LogRequest { target, ..LogRequest::default() };
    let heard = ask(&world.agent.streams(), Request::Logs(request.clone()), vec![]).await.unwrap();
    assert_eq!(heard.output, b"hello\n");
    let none = ask(&world.agent.streams(), Request::Logs(LogRequest { previous: true, ..request }), vec![]).await;
    assert_eq!(none.unwrap_err().message, "previous terminated container \"c\" in pod \"web\" not found");
}

#[tokio::test(start_paused = true)]
async fn a_config_map_shown_as_files_is_followed() {
    let world = World::start().await;
    let config_map = |value: &str| json!({"metadata": {"name": "cm", "namespace": "default"}, "data": {"k": value}});
    world.api.put("/api/v1/configmaps", config_map("one"));
    world.run(
        "web",
        json!({"containers": [{"name": "c", "image": "app:1", "volumeMounts": [{"name": "v",
        "mountPath": "/etc/app"}]}], "volumes": [{"name": "v", "configMap": {"name": "cm"}}]}),
    );
    world.until_ready("web").await;
    let uid = world.pod("web")["metadata"]["uid"].as_str().unwrap().to_owned();
    let file = world.data_dir.path().join("pods").join(uid).join("volumes/v/k");
    let content = || std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(content(), "one");
    world.api.put("/api/v1/configmaps", config_map("two"));
    let took = world.until("the file has changed", |_| content() == "two").await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(world.engine.all().len(), 2, "nothing was restarted for it");
    world.api.delete_pod("default", "web", None);
    world.until("its files are gone", |_| !file.exists()).await;
}
