//! The proxy subresource, and containers that are added to a pod that runs.

use k8s_openapi::api::core::v1::Service;
use kube::api::Api;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use windlass::agent::runtime::scripted::Script;
use windlass::tasks::Tasks;

use super::world::{PATIENCE, World, programs};

/// A service that answers with the request that it got, and redirects from `/go`.
async fn web(listener: TcpListener, tasks: Tasks) {
    while let Ok((mut socket, _)) = listener.accept().await {
        tasks.spawn_once("web connection", async move {
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                let mut piece = [0; 1024];
                match socket.read(&mut piece).await {
                    Ok(read @ 1..) => request.extend_from_slice(&piece[..read]),
                    _ => return,
                }
            }
            let head = if request.starts_with(b"GET /go ") { "302 Found\r\nLocation: /there" } else { "200 OK" };
            let length = request.len();
            let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n");
            let _ = socket.write_all(&[answer.as_bytes(), &request].concat()).await;
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_services_and_nodes_are_reached_through_the_api() {
    let world = World::start().await;
    let tasks = Tasks::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn("web", web(listener, tasks.clone()));
    for engine in [&world.engine, &world.far_engine] {
        engine.script("web:1", Script { ports: [(8080, address)].into(), ..Script::default() });
    }
    for node in ["n1", "n2"] {
        let container = json!({"image": "web:1", "ports": [{"containerPort": 8080}]});
        world.run(&format!("web-{node}"), node, container).await;
    }
    let services: Api<Service> = Api::namespaced(world.client.clone(), "default");
    let service = json!({"metadata": {"name": "svc"}, "spec": {"selector": {"app": "web-n2"},
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}});
    services.create(&Default::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
    let Some(program) = programs().pop() else { return };
    let raw = async |path: &str| world.kubectl(&program, &["get", "--raw", path], b"").await;
    let namespace = "/api/v1/namespaces/default";
    for (path, want) in
        [("pods/web-n1/proxy/a/b?c=d", "GET /a/b?c=d HTTP/1.1"), ("pods/web-n2:8080/proxy/", "GET / HTTP/1.1")]
    {
        let said = raw(&format!("{namespace}/{path}")).await;
        assert!(said.text().starts_with(want), "{path}: {said:?}");
        assert!(!said.text().to_lowercase().contains("authorization:"), "{said:?}");
    }
    let through_service = async {
        loop {
            let said = raw(&format!("{namespace}/services/svc:http/proxy/x")).await;
            if said.text().starts_with("GET /x HTTP/1.1") {
                return;
            }
            assert!(said.err.contains("no endpoints available for service \"svc\""), "{said:?}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, through_service).await.unwrap();
    for (path, complaint) in [
        ("pods/web-n1:9/proxy/", "error trying to reach service: dial tcp 10.88.0.2:9: connect: connection refused"),
        ("services/svc:81/proxy/", "no service port 81 found for service \"svc\""),
        ("services/none/proxy/", "services \"none\" not found"),
        ("pods/web-n1/proxy/go", "the server could not find the requested resource"),
    ] {
        let said = raw(&format!("{namespace}/{path}")).await;
        if path.ends_with("go") {
            // kubectl follows the redirect, which leads back through the proxy.
            assert!(said.text().starts_with("GET /there HTTP/1.1"), "{said:?}");
        } else {
            assert!(said.err.contains(complaint), "{path}: {said:?}");
        }
    }
    for node in ["n1", "n2"] {
        assert_eq!(raw(&format!("/api/v1/nodes/{node}/proxy/healthz")).await.text(), "ok");
        let stats = raw(&format!("/api/v1/nodes/{node}/proxy/stats/summary")).await;
        let stats: serde_json::Value = serde_json::from_slice(&stats.out).unwrap();
        assert_eq!(stats["pods"][0]["podRef"]["name"], format!("web-{node}"));
    }
    tasks.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_added_to_a_pod_that_runs() {
    let world = World::start().await;
    world.run("web", "n2", json!({})).await;
    for (n, program) in programs().into_iter().enumerate() {
        let name = format!("look-{n}");
        let arguments = ["debug", "web", "--image=app:1", "-i", "-q", "-c", &name, "--target=c"];
        let said = world.kubectl(&program, &arguments, b"who is there\n").await;
        assert!(said.text().contains("who is there\n"), "{}: {said:?}", program.display());
        let status = |pod: &serde_json::Value| {
            let all = pod["status"]["ephemeralContainerStatuses"].as_array().cloned().unwrap_or_default();
            all.into_iter().find(|status| status["name"] == name.as_str()).unwrap_or_default()
        };
        world.until("web", |pod| !status(pod)["containerID"].is_null()).await;
        world.until("web", |pod| pod["status"]["phase"] == "Running").await;
    }
    let pod = json!(world.pods().get("web").await.unwrap());
    let count = programs().len();
    assert_eq!(pod["spec"]["ephemeralContainers"].as_array().map_or(0, Vec::len), count);
    let without = json!({"spec": {"ephemeralContainers": []}});
    let patch = kube::api::Patch::Merge(&without);
    let refused = world.pods().patch_subresource("ephemeralcontainers", "web", &Default::default(), &patch).await;
    if count > 0 {
        assert!(refused.unwrap_err().to_string().contains("may not be removed"));
    }
    world.stop().await;
}
