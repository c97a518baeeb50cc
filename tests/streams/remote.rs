//! exec, attach and logs with kubectl of each protocol, on the node of the process and on one that dials.

use futures::future::join_all;
use serde_json::json;

use super::world::{World, programs};

const NODES: [&str; 2] = ["n1", "n2"];

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_with_their_streams_apart_and_their_exit_codes() {
    let world = World::start().await;
    for node in NODES {
        world.run(&format!("web-{node}"), node, json!({})).await;
    }
    let large: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let programs = programs();
    let runs = programs.iter().flat_map(|program| NODES.map(|node| (program, format!("web-{node}"))));
    join_all(runs.map(|(program, pod)| {
        let (world, large) = (&world, &large);
        async move {
            let shown = program.display();
            let exec = async |command: &[&str], input: &[u8]| {
                let arguments = [&["exec", "-i", &pod, "--"], command].concat();
                world.kubectl(program, &arguments, input).await
            };
            let plain = world.kubectl(program, &["exec", &pod, "--", "echo", "hi", "there"], b"").await;
            assert_eq!((plain.text(), plain.code), ("hi there\n".into(), 0), "{shown}: {plain:?}");
            let failed = exec(&["exit", "3"], b"").await;
            assert_eq!(failed.code, 3, "{shown}: {failed:?}");
            assert!(failed.err.contains("command terminated with exit code 3"), "{shown}: {failed:?}");
            let complained = exec(&["err", "oops"], b"").await;
            assert_eq!((complained.text(), complained.err), (String::new(), "oops\n".into()), "{shown}");
            let copied = exec(&["cat"], large).await;
            assert!(copied.out == *large, "{shown}: {} bytes came back: {}", copied.out.len(), copied.err);
            let missing = exec(&["nonsense"], b"").await;
            assert_eq!(missing.code, 126, "{shown}: {missing:?}");
            assert!(missing.text().contains("executable file not found in $PATH"), "{shown}: {missing:?}");
            let elsewhere = world.kubectl(program, &["exec", &pod, "-c", "x", "--", "echo"], b"").await;
            assert!(
                elsewhere.err.contains("container x is not valid for pod")
                    || elsewhere.err.contains("container not found"),
                "{elsewhere:?}"
            );
        }
    }))
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_a_size_and_passes_input_on() {
    let world = World::start().await;
    world.run("web", "n2", json!({})).await;
    for program in programs() {
        // `script` gives kubectl a terminal.
        let command = format!("stty rows 33 cols 77; {} exec -it web -- size", program.display());
        let mut script = world.command("script".as_ref(), &[]);
        script = {
            let mut plain = tokio::process::Command::new("script");
            plain.args(["-qec", &command, "/dev/null"]).kill_on_drop(true);
            plain.env_clear();
            for (name, value) in script.as_std().get_envs() {
                plain.env(name, value.unwrap_or_default());
            }
            plain.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
            plain
        };
        let mut child = script.spawn().unwrap();
        // Its input stays open: a terminal has no end of input.
        let stdin = child.stdin.take();
        let output = tokio::time::timeout(super::world::PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
        drop(stdin);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("77x33"), "{}: {text}", program.display());
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attaching_gives_the_containers_own_streams() {
    let world = World::start().await;
    let programs = programs();
    join_all(programs.iter().enumerate().map(|(n, program)| {
        let world = &world;
        async move {
            let shown = program.display();
            let pod = format!("talk-{n}");
            world
                .run_pod(
                    &pod,
                    json!({"nodeName": NODES[n % 2], "restartPolicy": "Never",
                "containers": [{"name": "c", "image": "app:1", "stdin": true, "stdinOnce": true}]}),
                )
                .await;
            let said = world.kubectl(program, &["attach", "-i", &pod], b"hello\n").await;
            assert!(said.text().contains("hello\n"), "{shown}: {said:?}");
            world.until(&pod, |pod| pod["status"]["phase"] == "Succeeded").await;
            let name = format!("once-{n}");
            let arguments = ["run", &name, "-i", "--rm", "--restart=Never", "--image=app:1", "--quiet"];
            let said = world.kubectl(program, &arguments, b"run to the end\n").await;
            assert!(said.text().contains("run to the end\n"), "{shown}: {said:?}");
            assert_eq!(said.code, 0, "{shown}: {said:?}");
            world.until(&name, serde_json::Value::is_null).await;
        }
    }))
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_shown_as_asked_for() {
    let world = World::start().await;
    for node in NODES {
        let containers = json!([{"name": "a", "image": "app:1"}, {"name": "b", "image": "app:1"}]);
        world.run_pod(&format!("web-{node}"), json!({"nodeName": node, "containers": containers})).await;
    }
    let cases: [(&[&str], &str); 8] = [
        (&["web-n1", "-c", "a"], "one\ntwo\nthree\n"),
        (&["web-n2", "-c", "b", "--tail=1"], "three\n"),
        (&["web-n2", "-c", "b", "--tail=0"], ""),
        (&["web-n1", "-c", "a", "--limit-bytes=5"], "one\nt"),
        (&["web-n1", "-c", "a", "--since-time=2100-01-01T00:00:00Z"], ""),
        (&["web-n1", "-c", "a", "--since=1h"], "one\ntwo\nthree\n"),
        (&["web-n2", "--all-containers", "--tail=1"], "three\nthree\n"),
        (
            &["-l", "app=web-n2", "--all-containers", "--tail=1", "--prefix"],
            "[pod/web-n2/a] three\n[pod/web-n2/b] three\n",
        ),
    ];
    let refusals: [(&[&str], &str); 3] = [
        (&["web-n1", "-c", "x"], "container x is not valid for pod web-n1"),
        (&["web-n1", "-c", "a", "--previous"], "previous terminated container \"a\" in pod \"web-n1\" not found"),
        (&["none"], "pods \"none\" not found"),
    ];
    for program in programs() {
        let shown = program.display();
        for (arguments, want) in cases {
            let said = world.kubectl(&program, &[&["logs"], arguments].concat(), b"").await;
            // Of several containers at once, any may come first.
            let sorted = |text: &str| {
                let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
                if arguments.contains(&"-l") {
                    lines.sort();
                }
                lines.concat()
            };
            assert_eq!((sorted(&said.text()).as_str(), said.code), (want, 0), "{shown} {arguments:?}: {said:?}");
        }
        for (arguments, want) in refusals {
            let said = world.kubectl(&program, &[&["logs"], arguments].concat(), b"").await;
            assert!(said.code == 1 && said.err.contains(want), "{shown} {arguments:?}: {said:?}");
        }
        let stamped = world.kubectl(&program, &["logs", "web-n1", "-c", "a", "--timestamps", "--tail=1"], b"").await;
        let text = stamped.text();
        let (time, line) = text.split_once(' ').unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok() && line == "three\n", "{shown}: {text}");
    }
    // A followed log ends with its container.
    let program = programs();
    if let Some(program) = program.first() {
        let child = world.command(program, &["logs", "-f", "web-n2", "-c", "a"]).spawn().unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        world.delete("web-n2").await;
        let output = tokio::time::timeout(super::world::PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "one\ntwo\nthree\n");
    }
    world.stop().await;
}
