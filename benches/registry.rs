//! What writes cost before they are stored: `cargo bench --bench registry`. Each is a transaction that is not committed.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use windlass::cluster::registry::{self, Author, Patch, Registry, Target, WriteOptions};
use windlass::cluster::store::Store;
use windlass::object::{ApiError, Clock, ObjectKey, kinds};
use windlass::tasks::Tasks;

const OLD: &str = "0123456789abcdef0123456789abcdef01234567";
const NEW: &str = "89abcdef0123456789abcdef0123456789abcdef";

fn application() -> Value {
    json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "shop", "namespace": "windlass-system"},
        "spec": {"project": "default", "source": {"repoURL": "/srv/shop.git", "path": "."}, "destination": {"namespace": "shop"}}})
}

fn deployed(revision: &str) -> Value {
    let resource = |n: usize| {
        json!({"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": format!("web-{n}"),
            "status": "Synced", "health": {"status": "Healthy"}})
    };
    let resources: Vec<Value> = (0..50).map(resource).collect();
    let result = |n: usize| {
        json!({"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": format!("web-{n}"),
            "status": "Synced", "message": "created"})
    };
    let results: Vec<Value> = (0..50).map(result).collect();
    json!({"sync": {"status": "Synced", "revision": revision}, "health": {"status": "Healthy"}, "resources": resources,
        "operationState": {"phase": "Succeeded", "startedAt": "2026-11-21T08:00:00Z", "finishedAt": "2026-11-21T08:00:01Z",
            "operation": {}, "syncResult": {"revision": revision, "resources": results}}})
}

fn bench(criterion: &mut Criterion) {
    let tasks = Tasks::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let author = Author::controller("windlass");
    let target = Target::status(ObjectKey::new(kinds::APPLICATION, "windlass-system", "shop"));
    let options = WriteOptions::default();
    let status = |status: &Value| Patch::Json(json!([{"op": "add", "path": "/status", "value": status}]));
    let registry = runtime.block_on(async {
        let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
        registry::bootstrap(&registry).await?;
        let mut transaction = registry.begin(&author);
        transaction.create(kinds::APPLICATION, "windlass-system", application(), options)?;
        transaction.patch(&target, status(&deployed(OLD)), options)?;
        transaction.commit().await?;
        Ok::<_, ApiError>(registry)
    });
    let registry = registry.expect("an Application");
    let next = deployed(NEW);
    criterion.bench_function("status of an Application of 50 objects, set", |b| {
        b.iter_batched(
            || next.clone(),
            |next| registry.begin(&author).set_status(&target.key, next),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("status of an Application of 50 objects, patched", |b| {
        b.iter(|| registry.begin(&author).patch(&target, status(&next), options));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
