//! What a kubelet says over `nodes/NAME/proxy`, as far as it is known here: its health, its pods, its figures.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use crate::cluster::server::answer;
use crate::cluster::server::api::Server;
use crate::cluster::server::nodes;
use crate::object::{ApiError, clock};
use crate::streams::{Measurement, Request, measurement};

/// # Errors
/// When the node is away.
pub async fn answer(server: &Server, node: &str, path: &str) -> Result<Response, ApiError> {
    match path.trim_matches('/') {
        "healthz" => {
            measure(server, node).await?;
            Ok(answer::text(StatusCode::OK, "ok"))
        }
        "pods" => {
            let snapshot = server.registry.snapshot();
            let items: Vec<Value> = snapshot.pods_on(node).map(|pod| pod.value()).collect();
            let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items});
            Ok(answer::value(StatusCode::OK, &list))
        }
        "stats/summary" => Ok(answer::value(StatusCode::OK, &summary(node, &measure(server, node).await?))),
        "metrics/resource" => Ok(exposition(&measure(server, node).await?).into_response()),
        _ => Ok(answer::text(StatusCode::NOT_FOUND, "404 page not found\n")),
    }
}

async fn measure(server: &Server, node: &str) -> Result<Measurement, ApiError> {
    let opened = server.nodes.open(node, Request::Measure).await.map_err(|error| nodes::refusal(node, error))?;
    measurement(opened).await.map_err(ApiError::internal)
}

fn cpu(at: jiff::Timestamp, nanoseconds: Option<u64>) -> Value {
    json!({"time": clock::rfc3339(at), "usageCoreNanoSeconds": nanoseconds})
}

fn memory(at: jiff::Timestamp, bytes: Option<u64>) -> Value {
    json!({"time": clock::rfc3339(at), "workingSetBytes": bytes})
}

/// The kubelet's summary, with what is measured of it.
fn summary(node: &str, measured: &Measurement) -> Value {
    let mut pods: Vec<Value> = Vec::new();
    for container in &measured.containers {
        let stats = json!({"name": container.container, "cpu": cpu(container.at, Some(container.cpu_nanoseconds)),
            "memory": memory(container.at, Some(container.memory_bytes))});
        match pods.iter_mut().find(|pod| pod["podRef"]["uid"] == container.pod_uid) {
            Some(pod) => pod["containers"].as_array_mut().into_iter().for_each(|all| all.push(stats.clone())),
            None => pods.push(json!({"podRef": {"name": container.pod, "namespace": container.namespace,
                "uid": container.pod_uid}, "containers": [stats]})),
        }
    }
    json!({"node": {"nodeName": node, "cpu": cpu(measured.at, measured.node_cpu_nanoseconds),
        "memory": memory(measured.at, measured.node_memory_bytes)}, "pods": pods})
}

/// The same in the form of Prometheus.
fn exposition(measured: &Measurement) -> String {
    let mut text = String::new();
    let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
    text += "# TYPE node_cpu_usage_seconds_total counter\n";
    if let Some(used) = measured.node_cpu_nanoseconds {
        text += &format!("node_cpu_usage_seconds_total {}\n", seconds(used));
    }
    text += "# TYPE node_memory_working_set_bytes gauge\n";
    if let Some(bytes) = measured.node_memory_bytes {
        text += &format!("node_memory_working_set_bytes {bytes}\n");
    }
    let series = |name: &str, kind: &str, value: &dyn Fn(&crate::streams::MeasuredContainer) -> String| {
        let lines = measured.containers.iter().map(|c| {
            let labels = format!("container={:?},namespace={:?},pod={:?}", c.container, c.namespace, c.pod);
            format!("{name}{{{labels}}} {}\n", value(c))
        });
        format!("# TYPE {name} {kind}\n{}", lines.collect::<String>())
    };
    text += &series("container_cpu_usage_seconds_total", "counter", &|c| seconds(c.cpu_nanoseconds).to_string());
    text += &series("container_memory_working_set_bytes", "gauge", &|c| c.memory_bytes.to_string());
    text
}
