//! Port-forwards: several connections at once, large bodies, ports that do not answer.

use std::path::Path;

use futures::future::join_all;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout};

use super::world::{PATIENCE, World, programs};

async fn forward(world: &World, program: &Path, target: &str, port: &str) -> (Child, BufReader<ChildStdout>, u16) {
    let mut child = world.command(program, &["port-forward", target, port]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    tokio::time::timeout(PATIENCE, lines.read_line(&mut line)).await.unwrap().unwrap();
    let local = line.strip_prefix("Forwarding from 127.0.0.1:").and_then(|rest| rest.split_once(' '));
    let local = local.unwrap_or_else(|| panic!("{}: {line}", program.display())).0.parse().unwrap();
    (child, lines, local)
}

async fn echoed(port: u16, size: usize, salt: u8) {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let sent: Vec<u8> = (0..size).map(|n| (n % 251) as u8 ^ salt).collect();
    let expected = sent.clone();
    let talking = async {
        let sending = async { writer.write_all(&sent).await.unwrap() };
        let hearing = async {
            let mut back = vec![0; size];
            reader.read_exact(&mut back).await.unwrap();
            assert!(back == expected, "what came back is not what was sent");
        };
        futures::join!(sending, hearing);
    };
    tokio::time::timeout(PATIENCE, talking).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_carried_side_by_side() {
    let world = World::start().await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "svc", "namespace": "default"},
        "spec": {"selector": {"app": "web-n1"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    let services: kube::Api<k8s_openapi::api::core::v1::Service> =
        kube::Api::namespaced(world.client.clone(), "default");
    services.create(&Default::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
    for node in ["n1", "n2"] {
        world.run(&format!("web-{node}"), node, json!({"ports": [{"containerPort": 8080}]})).await;
    }
    for program in programs() {
        for (target, port) in [("pod/web-n1", ":8080"), ("pod/web-n2", ":8080"), ("svc/svc", ":80")] {
            let (mut child, _out, local) = forward(&world, &program, target, port).await;
            join_all((0..5_u8).map(|n| echoed(local, 400_000, n))).await;
            echoed(local, 10, 9).await;
            child.kill().await.unwrap();
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_does_not_answer_is_an_error_of_its_connection() {
    let world = World::start().await;
    world.run("web", "n2", json!({})).await;
    for program in programs() {
        let (mut child, _out, local) = forward(&world, &program, "pod/web", ":9").await;
        let mut stream = TcpStream::connect(("127.0.0.1", local)).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut rest = Vec::new();
        // However it ends, nothing comes.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty());
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, errors.next_line()).await.unwrap().unwrap().unwrap();
        assert!(line.contains("error forwarding port 9 to pod web_default"), "{}: {line}", program.display());
        assert!(line.contains("connection refused"), "{}: {line}", program.display());
        child.kill().await.unwrap();
    }
    world.stop().await;
}
