//! What merging and comparing cost for an object of ordinary size: a Deployment with 5 containers of 20 variables.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use windlass::diff::apply::{Applier, apply};
use windlass::diff::{changes, managed, strategic};
use windlass::object::kinds;

const NOW: &str = "2026-11-21T08:00:00Z";

fn deployment(image: &str) -> Value {
    let env: Vec<Value> = (0..20).map(|n| json!({"name": format!("VARIABLE_{n}"), "value": "some value"})).collect();
    let container = |n: usize| {
        json!({"name": format!("c{n}"), "image": image, "env": env, "ports": [{"containerPort": 8000 + n}],
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}, "volumeMounts": [{"name": "v", "mountPath": "/v"}]})
    };
    let containers: Vec<Value> = (0..5).map(container).collect();
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": containers, "volumes": [{"name": "v", "emptyDir": {}}]}}}})
}

fn bench(criterion: &mut Criterion) {
    let kind = kinds::DEPLOYMENT;
    let by = Applier { manager: "windlass", force: false, subresource: None, now: NOW };
    let (old, new) = (deployment("web:1"), deployment("web:2"));
    let live = apply(kind, None, &old, &by).unwrap_or_default();
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "c3", "image": "web:2"}]}}}});

    criterion.bench_function("apply, nothing changes", |b| b.iter(|| apply(kind, Some(&live), &old, &by)));
    criterion.bench_function("apply, five images change", |b| b.iter(|| apply(kind, Some(&live), &new, &by)));
    criterion
        .bench_function("strategic merge patch of one image", |b| b.iter(|| strategic::merge(kind, &live, &patch)));
    criterion.bench_function("owners after an update", |b| {
        let update = |mut after: Value| managed::record_update(kind, Some(&live), &mut after, "kubectl", None, NOW);
        b.iter_batched(|| new.clone(), update, BatchSize::SmallInput);
    });
    criterion.bench_function("field changes", |b| b.iter(|| changes::between(kind, Some(&old), Some(&new))));
}

criterion_group!(benches, bench);
criterion_main!(benches);
