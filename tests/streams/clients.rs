//! The kube crate's exec, attach and port-forward.

use kube::api::AttachParams;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn the_kube_crate_runs_commands_and_forwards_ports() {
    let world = World::start().await;
    for node in ["n1", "n2"] {
        let name = format!("web-{node}");
        world.run(&name, node, json!({"stdin": true})).await;
        let pods = world.pods();
        let mut exec = pods.exec(&name, ["cat"], &AttachParams::default().stdin(true).stderr(false)).await.unwrap();
        let (mut stdin, mut stdout) = (exec.stdin().unwrap(), exec.stdout().unwrap());
        stdin.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        stdout.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"hello");
        stdin.shutdown().await.unwrap();
        let status = exec.take_status().unwrap().await.unwrap();
        assert_eq!(status.status.as_deref(), Some("Success"));

        let mut failing = pods.exec(&name, ["exit", "7"], &AttachParams::default()).await.unwrap();
        let status = failing.take_status().unwrap().await.unwrap();
        assert_eq!(status.reason.as_deref(), Some("NonZeroExitCode"));

        let mut attached = pods.attach(&name, &AttachParams::default().stdin(true).stderr(false)).await.unwrap();
        attached.stdin().unwrap().write_all(b"to the container").await.unwrap();
        let mut back = [0; 16];
        attached.stdout().unwrap().read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"to the container");
        drop(attached);

        let mut forwarder = pods.portforward(&name, &[8080, 9]).await.unwrap();
        let mut port = forwarder.take_stream(8080).unwrap();
        let body = vec![5; 200_000];
        let (mut reader, mut writer) = tokio::io::split(&mut port);
        let sending = async { writer.write_all(&body).await.unwrap() };
        let hearing = async {
            let mut back = vec![0; body.len()];
            reader.read_exact(&mut back).await.unwrap();
            assert!(back == body);
        };
        futures::join!(sending, hearing);
        let refused = forwarder.take_error(9).unwrap().await.unwrap();
        assert!(refused.contains("connection refused"), "{refused}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_lost_ends_its_streams_and_says_so() {
    let world = World::start().await;
    world.run("web", "n2", json!({})).await;
    let pods = world.pods();
    let mut exec = pods.exec("web", ["sleep"], &AttachParams::default()).await.unwrap();
    let status = exec.take_status().unwrap();
    world.lose_far_node().await;
    let status = tokio::time::timeout(super::world::PATIENCE, status).await.unwrap().unwrap();
    assert_eq!(status.status.as_deref(), Some("Failure"));
    let refused = pods.logs("web", &Default::default()).await.unwrap_err().to_string();
    assert!(refused.contains("node \"n2\" is not connected"), "{refused}");
    world.stop().await;
}
