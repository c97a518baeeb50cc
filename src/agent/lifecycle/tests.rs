//! The life of a pod as tables: what there is, and what follows from it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::probing::{ProbeKind, ProbeState};
use super::{Action, Failure, Hook, Seen, Stopping, Task, next, spec, status};
use crate::agent::labels;
use crate::agent::runtime::{Container, Exited, Signal, State};

const NOW: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(NOW + second).unwrap()
}

fn pod(spec: &Value) -> Pod {
    let meta = json!({"name": "web", "namespace": "default", "uid": "u1"});
    serde_json::from_value(json!({"metadata": meta, "spec": spec, "status": {"phase": "Pending"}})).unwrap()
}

fn plain() -> Pod {
    pod(&json!({"containers": [{"name": "c", "image": "app:1"}]}))
}

fn deleting(pod: Pod, in_seconds: i64) -> Pod {
    let mut value = json!(pod);
    value["metadata"]["deletionTimestamp"] = json!(at(in_seconds).to_string());
    value["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    serde_json::from_value(value).unwrap()
}

/// What a node has seen of a pod, put together piece by piece.
fn seen() -> Seen {
    let mut seen = Seen::default();
    seen.memory.volumes_ready = true;
    seen
}

fn with_sandbox(mut seen: Seen) -> Seen {
    let container = made("s1", "POD", "sandbox", 0, State::Running { started: at(-100) });
    seen.containers.insert(container.id.clone(), container);
    seen
}

fn made(id: &str, name: &str, role: &str, attempt: u32, state: State) -> Container {
    let image = "app:1".to_owned();
    let definition = k8s_openapi::api::core::v1::Container {
        name: name.to_owned(),
        image: Some(image.clone()),
        ..Default::default()
    };
    let labels = [
        (labels::ROLE, role.to_owned()),
        (labels::CONTAINER_NAME, name.to_owned()),
        (labels::ATTEMPT, attempt.to_string()),
        (labels::SANDBOX, "s1".to_owned()),
        (labels::BACKOFF, "0".to_owned()),
        (labels::DEFINITION, spec::definition(&definition)),
    ];
    Container {
        id: id.to_owned(),
        name: id.to_owned(),
        labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        image,
        image_id: "sha256:1".to_owned(),
        state,
        address: (role == "sandbox").then(|| "10.88.0.2".parse().unwrap()),
        created: at(-100),
    }
}

fn has(mut seen: Seen, name: &str, attempt: u32, state: State) -> Seen {
    let container = made(&format!("{name}{attempt}"), name, "container", attempt, state);
    seen.containers.insert(container.id.clone(), container);
    seen
}

fn with_backoff(mut seen: Seen, id: &str, seconds: i64) -> Seen {
    let container = seen.containers.get_mut(id).unwrap();
    container.labels.insert(labels::BACKOFF.to_owned(), seconds.to_string());
    seen
}

fn running() -> State {
    State::Running { started: at(-50) }
}

fn exited(code: i32, finished: i64) -> State {
    let started = Some(at(finished - 5));
    State::Exited(Exited { code, out_of_memory: false, started, finished: at(finished), message: String::new() })
}

/// The actions, in few words.
fn told(pod: &Pod, seen: &Seen) -> Vec<String> {
    let word = |action: Action| match action {
        Action::Volumes => "volumes".to_owned(),
        Action::CreateSandbox { attempt } => format!("sandbox {attempt}"),
        Action::Start { container, attempt, backoff } => format!("start {container} {attempt} {}", backoff.as_secs()),
        Action::Remove { id } => format!("remove {id}"),
        Action::Stop { id, .. } => format!("stop {id}"),
        Action::PostStart { id } => format!("post-start {id}"),
        Action::PreStop { id } => format!("pre-stop {id}"),
        Action::Signal { id, signal: Signal::Stop } => format!("term {id}"),
        Action::Signal { id, signal: Signal::Kill } => format!("kill {id}"),
        Action::Probe { id, kind } => format!("{} {id}", kind.word().to_lowercase()),
        Action::Drain => "drain".to_owned(),
        Action::Delete => "delete".to_owned(),
        Action::Clean => "clean".to_owned(),
    };
    next(pod, seen, at(0)).actions.into_iter().map(word).collect()
}

#[test]
fn a_pod_comes_up_step_by_step() {
    let two = pod(&json!({"containers": [{"name": "a", "image": "app:1"}, {"name": "b", "image": "app:1"}]}));
    let cases = [
        ("nothing is there", Seen::default(), vec!["volumes"]),
        ("volumes are there", seen(), vec!["sandbox 0"]),
        ("the sandbox runs", with_sandbox(seen()), vec!["start a 0 0", "start b 0 0"]),
        ("one runs", has(with_sandbox(seen()), "a", 0, running()), vec!["start b 0 0"]),
        ("both run", has(has(with_sandbox(seen()), "a", 0, running()), "b", 0, running()), vec![]),
        (
            "one was made and never started",
            has(with_sandbox(seen()), "a", 0, State::Created),
            vec!["remove a0", "start b 0 0"],
        ),
    ];
    for (case, seen, want) in cases {
        assert_eq!(told(&two, &seen), want, "{case}");
    }
}

#[test]
fn what_is_under_way_is_not_begun_again() {
    for (task, seen) in
        [(Task::Volumes, Seen::default()), (Task::Sandbox, seen()), (Task::Container("c".into()), with_sandbox(seen()))]
    {
        let mut busy = seen;
        busy.memory.busy.insert(task.clone());
        assert_eq!(told(&plain(), &busy), Vec::<String>::new(), "{task:?}");
    }
}

#[test]
fn a_restart_follows_policy_and_backoff() {
    let with_policy =
        |policy: &str| pod(&json!({"restartPolicy": policy, "containers": [{"name": "c", "image": "app:1"}]}));
    let cases = [
        ("Always", 0, 0, -1, vec!["start c 1 10"]),
        ("Always", 1, 0, -1, vec!["start c 1 10"]),
        ("Always", 1, 10, -9, vec![]),
        ("Always", 1, 10, -10, vec!["start c 1 20"]),
        ("Always", 1, 300, -300, vec!["start c 1 300"]),
        ("OnFailure", 1, 0, -1, vec!["start c 1 10"]),
        // It is over: nothing runs any more but the sandbox.
        ("OnFailure", 0, 0, -1, vec!["kill s1"]),
        ("Never", 1, 0, -1, vec!["kill s1"]),
    ];
    for (policy, code, backoff, finished, want) in cases {
        let seen = with_backoff(has(with_sandbox(seen()), "c", 0, exited(code, finished)), "c0", backoff);
        let case = format!("{policy}, exit code {code}, backoff {backoff} s, ended {finished} s ago");
        assert_eq!(told(&with_policy(policy), &seen), want, "{case}");
    }
}

#[test]
fn ten_minutes_of_running_forgive_the_crashes_before() {
    let state = State::Exited(Exited {
        code: 1,
        out_of_memory: false,
        started: Some(at(-601)),
        finished: at(-1),
        message: String::new(),
    });
    let seen = with_backoff(has(with_sandbox(seen()), "c", 7, state), "c7", 300);
    assert_eq!(told(&plain(), &seen), ["start c 8 10"]);
}

#[test]
fn only_the_last_ended_attempt_is_kept_for_its_log() {
    let mut all = with_sandbox(seen());
    for attempt in 0..3 {
        all = has(all, "c", attempt, exited(1, -20));
    }
    let all = has(all, "c", 3, running());
    assert_eq!(told(&plain(), &all), ["remove c1", "remove c0"]);
}

#[test]
fn a_container_removed_by_hand_counts_as_a_restart() {
    let mut recorded = plain();
    recorded.status =
        serde_json::from_value(json!({"phase": "Running", "containerStatuses": [{"name": "c", "image": "app:1",
        "imageID": "", "ready": true, "restartCount": 2, "containerID": "docker://lost"}]}))
        .unwrap();
    assert_eq!(told(&recorded, &with_sandbox(seen())), ["start c 3 0"]);
}

#[test]
fn init_containers_go_first_and_sidecars_stay() {
    let two = pod(&json!({"initContainers": [{"name": "i", "image": "app:1"}, {"name": "side", "image": "app:1",
        "restartPolicy": "Always", "startupProbe": {"tcpSocket": {"port": 1}}}], "containers": [{"name": "c", "image": "app:1"}]}));
    let base = || with_sandbox(seen());
    let done = || has(base(), "i", 0, exited(0, -9));
    let side_started = || {
        let mut seen = has(done(), "side", 0, running());
        let passed = ProbeState { due: at(5), successes: 1, failures: 0, passed: Some(true), early: 0 };
        seen.memory.probes.insert(("side0".into(), ProbeKind::Startup), passed);
        seen
    };
    let cases = [
        ("first the init container", base(), vec!["start i 0 0"]),
        ("which runs to its end", has(base(), "i", 0, running()), vec![]),
        ("and again if it fails", has(base(), "i", 0, exited(1, -1)), vec!["start i 1 10"]),
        ("then the sidecar", done(), vec!["start side 0 0"]),
        ("which has to start up", has(done(), "side", 0, running()), vec!["startup side0"]),
        ("then the others", side_started(), vec!["start c 0 0"]),
        (
            "a sidecar that ends runs again",
            has(has(done(), "side", 0, exited(0, -1)), "c", 0, running()),
            vec!["start side 1 10"],
        ),
        (
            "an init container that is lost later is not run again",
            has(has(base(), "side", 0, running()), "c", 0, running()),
            vec!["startup side0"],
        ),
    ];
    for (case, seen, want) in cases {
        assert_eq!(told(&two, &seen), want, "{case}");
    }
    let never = pod(&json!({"restartPolicy": "Never", "initContainers": [{"name": "i", "image": "app:1"}],
        "containers": [{"name": "c", "image": "app:1"}]}));
    let failed = has(base(), "i", 0, exited(1, -1));
    assert_eq!(told(&never, &failed), ["kill s1"]);
    assert_eq!(status(&never, &failed, None, at(0)).phase.as_deref(), Some("Failed"));
}

#[test]
fn containers_of_a_lost_sandbox_end_before_there_is_a_new_one() {
    let mut lost = has(with_sandbox(seen()), "c", 0, running());
    lost.containers.get_mut("s1").unwrap().state = exited(137, -1);
    assert_eq!(told(&plain(), &lost), ["stop c0"]);
    lost.containers.get_mut("c0").unwrap().state = exited(143, -1);
    assert_eq!(told(&plain(), &lost), ["sandbox 1"]);
}

#[test]
fn probes_decide_over_running_containers() {
    let probed = pod(&json!({"terminationGracePeriodSeconds": 30, "containers": [{"name": "c", "image": "app:1",
        "startupProbe": {"tcpSocket": {"port": 1}}, "readinessProbe": {"tcpSocket": {"port": 1}},
        "livenessProbe": {"tcpSocket": {"port": 1}, "terminationGracePeriodSeconds": 5}}]}));
    let state = |passed, due| ProbeState { due: at(due), successes: 0, failures: 0, passed, early: 0 };
    let with = |states: &[(ProbeKind, Option<bool>, i64)]| {
        let mut seen = has(with_sandbox(seen()), "c", 0, running());
        for (kind, passed, due) in states {
            seen.memory.probes.insert(("c0".into(), *kind), state(*passed, *due));
        }
        seen
    };
    use ProbeKind::{Liveness, Readiness, Startup};
    let cases = [
        ("startup first and alone", with(&[]), vec!["startup c0"], false),
        ("not before it is due", with(&[(Startup, None, 3)]), vec![], false),
        ("a failed startup ends it", with(&[(Startup, Some(false), 3)]), vec!["stop c0"], false),
        ("then the others", with(&[(Startup, Some(true), 0)]), vec!["readiness c0", "liveness c0"], false),
        ("ready", with(&[(Startup, Some(true), 0), (Readiness, Some(true), 5), (Liveness, None, 5)]), vec![], true),
        (
            "unready is left to run",
            with(&[(Startup, Some(true), 0), (Readiness, Some(false), 5), (Liveness, None, 5)]),
            vec![],
            false,
        ),
        (
            "dead is ended",
            with(&[(Startup, Some(true), 0), (Readiness, None, 5), (Liveness, Some(false), 5)]),
            vec!["stop c0"],
            false,
        ),
    ];
    for (case, seen, want, ready) in cases {
        assert_eq!(told(&probed, &seen), want, "{case}");
        assert_eq!(status(&probed, &seen, None, at(0)).container_statuses.unwrap()[0].ready, ready, "{case}");
        for action in next(&probed, &seen, at(0)).actions {
            if let Action::Stop { deadline, why, .. } = action {
                let own = if case.starts_with("dead") { 5 } else { 30 };
                assert_eq!(deadline, at(own), "{case}: {why}");
            }
        }
    }
}

#[test]
fn an_image_change_replaces_the_container() {
    let updated = pod(&json!({"containers": [{"name": "c", "image": "app:2"}]}));
    assert_eq!(told(&updated, &has(with_sandbox(seen()), "c", 0, running())), ["stop c0"]);
    assert_eq!(told(&plain(), &has(with_sandbox(seen()), "c", 0, running())), Vec::<String>::new());
}

#[test]
fn a_deleted_pod_is_drained_then_stopped_then_gone() {
    let ending = deleting(plain(), 30);
    let up = || has(with_sandbox(seen()), "c", 0, running());
    let stopping = |stop_sent: Option<i64>, deadline: i64| {
        let mut seen = up();
        seen.memory.drained = true;
        let stopping = Stopping { deadline: at(deadline), hook: None, stop_sent: stop_sent.map(at), kill_sent: None };
        seen.memory.stopping.insert("c0".into(), stopping);
        seen
    };
    let drained = || {
        let mut seen = up();
        seen.memory.drained = true;
        seen
    };
    let ended = |sandbox: bool| {
        let mut seen = has(with_sandbox(seen()), "c", 0, exited(0, -1));
        if !sandbox {
            seen.containers.get_mut("s1").unwrap().state = exited(0, -1);
        }
        seen
    };
    let mut deleted = ended(false);
    deleted.memory.deleted = true;
    let cases = [
        ("out of the Services first", up(), vec!["drain"]),
        ("then it is told", drained(), vec!["stop c0"]),
        ("by a signal", stopping(None, 30), vec!["term c0"]),
        ("and waited for", stopping(Some(-1), 30), vec![]),
        ("until its grace is over", stopping(Some(-30), 0), vec!["kill c0"]),
        ("then the sandbox", ended(true), vec!["kill s1"]),
        ("then the object", ended(false), vec!["delete"]),
        ("then what is left", deleted, vec!["clean"]),
        ("one that never ran", Seen::default(), vec!["delete"]),
    ];
    for (case, seen, want) in cases {
        assert_eq!(told(&ending, &seen), want, "{case}");
    }
}

#[test]
fn a_second_delete_with_less_grace_shortens_the_first() {
    let mut seen = has(with_sandbox(seen()), "c", 0, running());
    seen.memory.drained = true;
    let first = Stopping { deadline: at(30), hook: None, stop_sent: Some(at(-1)), kill_sent: None };
    seen.memory.stopping.insert("c0".into(), first);
    let actions = next(&deleting(plain(), 1), &seen, at(0)).actions;
    assert_eq!(actions, [Action::Stop { id: "c0".into(), deadline: at(1), why: String::new() }]);
}

#[test]
fn a_hook_runs_before_the_signal_and_within_the_grace() {
    let hooked = pod(&json!({"containers": [{"name": "c", "image": "app:1", "lifecycle":
        {"preStop": {"exec": {"command": ["x"]}}, "postStart": {"exec": {"command": ["y"]}}}}]}));
    let mut up = has(with_sandbox(seen()), "c", 0, running());
    assert_eq!(told(&hooked, &up), ["post-start c0"]);
    up.memory.hooks.insert("c0".into(), Hook::Done);
    assert_eq!(told(&hooked, &up), Vec::<String>::new());
    let ending = deleting(hooked, 30);
    up.memory.drained = true;
    let mut with = |hook, deadline| {
        let stopping = Stopping { deadline: at(deadline), hook, stop_sent: None, kill_sent: None };
        up.memory.stopping.insert("c0".into(), stopping);
        told(&ending, &up)
    };
    assert_eq!(with(None, 30), ["pre-stop c0"]);
    assert_eq!(with(Some(Hook::Running), 30), Vec::<String>::new());
    assert_eq!(with(Some(Hook::Done), 30), ["term c0"]);
    assert_eq!(with(Some(Hook::Running), 0), ["term c0"], "its time is up");
}

#[test]
fn waiting_containers_say_why() {
    let failure = |reason: &str, ago: i64| {
        let mut seen = with_sandbox(seen());
        let failure = Failure { reason: reason.into(), message: "why".into(), at: at(-ago), count: 1, retry_at: at(9) };
        seen.memory.failures.insert(Task::Container("c".into()), failure);
        seen
    };
    let crashed = |ago: i64| with_backoff(has(with_sandbox(seen()), "c", 1, exited(1, -ago)), "c1", 20);
    let cases = [
        (seen(), Some("ContainerCreating"), ""),
        (failure("ErrImagePull", 1), Some("ErrImagePull"), "why"),
        (failure("ErrImagePull", 3), Some("ImagePullBackOff"), "Back-off pulling image \"app:1\": ErrImagePull: why"),
        (failure("CreateContainerConfigError", 3), Some("CreateContainerConfigError"), "why"),
        (crashed(0), None, ""),
        (crashed(5), Some("CrashLoopBackOff"), "back-off 20s restarting failed container=c pod=web_default(u1)"),
    ];
    for (seen, reason, message) in cases {
        let state = status(&plain(), &seen, None, at(0)).container_statuses.unwrap()[0].state.clone().unwrap();
        let waiting = state.waiting.unwrap_or_default();
        assert_eq!(waiting.reason.as_deref(), reason);
        assert_eq!(waiting.message.unwrap_or_default(), message, "{reason:?}");
    }
}

#[test]
fn phases_and_reasons_are_a_kubelets() {
    let once = pod(&json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "app:1"}]}));
    let oom = State::Exited(Exited {
        code: 137,
        out_of_memory: true,
        started: Some(at(-9)),
        finished: at(-1),
        message: String::new(),
    });
    let unstartable = State::Exited(Exited {
        code: 128,
        out_of_memory: false,
        started: None,
        finished: at(-1),
        message: "no such file".into(),
    });
    let up = || with_sandbox(seen());
    let cases = [
        (&once, up(), "Pending", None),
        (&once, has(up(), "c", 0, running()), "Running", None),
        (&once, has(up(), "c", 0, exited(0, -1)), "Succeeded", Some("Completed")),
        (&once, has(up(), "c", 0, exited(2, -1)), "Failed", Some("Error")),
        (&once, has(up(), "c", 0, oom), "Failed", Some("OOMKilled")),
        (&once, has(up(), "c", 0, unstartable), "Failed", Some("ContainerCannotRun")),
        (&plain(), has(up(), "c", 0, exited(0, 0)), "Running", Some("Completed")),
    ];
    for (pod, seen, phase, reason) in cases {
        let status = status(pod, &seen, None, at(0));
        let state = status.container_statuses.unwrap()[0].state.clone().unwrap();
        assert_eq!(status.phase.as_deref(), Some(phase), "{reason:?}");
        assert_eq!(state.terminated.and_then(|t| t.reason).as_deref(), reason, "{phase}");
    }
}

#[test]
fn a_status_that_was_reported_is_not_reported_again() {
    let mut pod = plain();
    let seen =
        has(with_sandbox(seen()), "c", 0, State::Running { started: at(-50) + SignedDuration::from_millis(123) });
    let host = Some("192.0.2.2".parse().unwrap());
    let first = status(&pod, &seen, host, at(0));
    // It comes back over the wire, where times have whole seconds.
    pod.status = serde_json::from_value(json!(first)).unwrap();
    assert_eq!(status(&pod, &seen, host, at(10)), first);
    assert_eq!(pod.status.unwrap(), first);
}
