//! How fast pods get their node: the decision alone, and the whole way from created to bound through the registry.
//! `cargo bench --bench scheduler`

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use windlass::cluster::registry::{Author, Registry, WriteOptions};
use windlass::cluster::scheduler::{self, Cache, NodeSpec, PodInfo, Verdict, place};
use windlass::cluster::store::Store;
use windlass::object::{Clock, Draft, Kind, Revision, kinds};
use windlass::tasks::Tasks;

const PODS: usize = 3000;

fn node(number: usize) -> Value {
    let name = format!("node-{number:05}");
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name,
        "topology.kubernetes.io/zone": format!("zone-{}", number % 3)}},
        "status": {"allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"}}})
}

fn pod(number: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("pod-{number:05}"), "namespace": "default",
        "uid": format!("uid-{number}"), "labels": {"app": "web"}, "ownerReferences": [{"apiVersion": "apps/v1",
        "kind": "ReplicaSet", "name": "web", "uid": format!("rs-{}", number % 30), "controller": true}]},
        "spec": {"containers": [{"name": "app", "image": "app:1",
            "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}}}]}})
}

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scheduler");
    group.throughput(Throughput::Elements(1));
    for nodes in [1000, 5000] {
        let mut cache = Cache::default();
        for number in 0..nodes {
            let object = Draft::new(kinds::NODE, &node(number)).seal(Revision(1));
            cache.set_node(NodeSpec::of(&object).expect("a node"));
        }
        let pods = (0..PODS).map(|number| {
            let object = Draft::new(kinds::POD, &pod(number)).seal(Revision(1));
            Arc::new(PodInfo::of(&object).expect("a pod"))
        });
        let pods: Vec<_> = pods.collect();
        let mut turn = 0;
        group.bench_function(BenchmarkId::new("decisions, nodes", nodes), |bencher| {
            bencher.iter(|| {
                let pod = &pods[turn % PODS];
                turn += 1;
                if let Verdict::Placed(placed) = black_box(place(pod, cache.view())) {
                    cache.advance(placed.examined);
                    cache.set_pod(pod.clone(), &placed.node);
                }
            });
        });
    }
    group.finish();
}

async fn create(registry: &Registry, kind: &'static Kind, object: Value) {
    let author = Author { user: "bench".into(), manager: "bench".into(), ..Author::default() };
    let namespace = if kind.namespaced { "default" } else { "" };
    registry.create(&author, kind, namespace, object, WriteOptions::default()).await.expect("a valid object");
}

/// Creates the pods, then starts the scheduler, and waits until all are bound.
async fn bind_all(nodes: usize) -> Duration {
    let tasks = Tasks::default();
    let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
    create(&registry, kinds::NAMESPACE, json!({"metadata": {"name": "default"}})).await;
    for number in 0..nodes {
        create(&registry, kinds::NODE, node(number)).await;
    }
    for number in 0..PODS {
        create(&registry, kinds::POD, pod(number)).await;
    }
    let mut watch = registry.store().watch(kinds::POD, registry.store().revision()).expect("the latest revision");
    let started = Instant::now();
    scheduler::start(registry.clone(), &tasks);
    let mut bound = 0;
    while bound < PODS {
        let event = watch.next().await.expect("a watch that keeps up");
        bound += usize::from(event.object.meta.node.is_some());
    }
    let took = started.elapsed();
    tasks.stop().await;
    took
}

fn bindings(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("scheduler");
    group.sample_size(10).throughput(Throughput::Elements(PODS as u64));
    for nodes in [1000, 5000] {
        group.bench_function(BenchmarkId::new("3,000 pods bound, nodes", nodes), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| runtime.block_on(bind_all(nodes))).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, decisions, bindings);
criterion_main!(benches);
