//! How long a Deployment of 1,000 replicas takes from its creation until every pod exists and has its node, with the
//! controllers and the scheduler at work on 1,000 and 5,000 nodes, on a store in memory.
//! `cargo bench --bench rollout`

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use windlass::cluster::controllers;
use windlass::cluster::registry::{Author, Registry, WriteOptions};
use windlass::cluster::scheduler;
use windlass::cluster::store::Store;
use windlass::object::{Clock, Kind, kinds};
use windlass::tasks::Tasks;

const REPLICAS: usize = 1000;

fn node(number: usize) -> Value {
    let name = format!("node-{number:05}");
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name,
        "topology.kubernetes.io/zone": format!("zone-{}", number % 3)}},
        "status": {"allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"}}})
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": REPLICAS, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app",
                "image": "app:1", "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}}}]}}}})
}

async fn create(registry: &Registry, kind: &'static Kind, object: Value) {
    let author = Author { user: "bench".into(), manager: "bench".into(), ..Author::default() };
    let namespace = if kind.namespaced { "default" } else { "" };
    registry.create(&author, kind, namespace, object, WriteOptions::default()).await.expect("a valid object");
}

async fn roll_out(nodes: usize) -> Duration {
    let tasks = Tasks::default();
    let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
    create(&registry, kinds::NAMESPACE, json!({"metadata": {"name": "default"}})).await;
    for number in 0..nodes {
        create(&registry, kinds::NODE, node(number)).await;
    }
    controllers::start_workloads(&registry, &tasks);
    scheduler::start(registry.clone(), &tasks);
    // They have read the cluster; what is measured is the rollout.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut watch = registry.store().watch(kinds::POD, registry.store().revision()).expect("the latest revision");
    let started = Instant::now();
    create(&registry, kinds::DEPLOYMENT, deployment()).await;
    let mut bound = std::collections::HashSet::new();
    while bound.len() < REPLICAS {
        let event = watch.next().await.expect("a watch that keeps up");
        if event.object.meta.node.is_some() {
            bound.insert(event.object.meta.uid.clone());
        }
    }
    let took = started.elapsed();
    tasks.stop().await;
    took
}

fn rollouts(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("rollout");
    group.sample_size(10).throughput(Throughput::Elements(REPLICAS as u64));
    for nodes in [1000, 5000] {
        group.bench_function(BenchmarkId::new("1,000 replicas bound, nodes", nodes), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| runtime.block_on(roll_out(nodes))).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, rollouts);
criterion_main!(benches);
