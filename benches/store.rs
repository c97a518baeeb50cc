//! What the store does in a second: durable commits by some writers at once, and lists out of a snapshot.
//! `cargo bench --bench store`. The disk is that of the temporary folder.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use tokio::runtime::Runtime;
use windlass::cluster::store::{Batch, Op, Precondition, Redb, Store};
use windlass::object::{Draft, kinds};
use windlass::tasks::Tasks;

/// A ConfigMap of about 1 KiB.
fn put(name: &str) -> Op {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "x".repeat(1000)},
        "metadata": {"name": name, "namespace": "default", "uid": "00000000-0000-0000-0000-000000000000"}});
    Op::Put { draft: Box::new(Draft::new(kinds::CONFIG_MAP, &object)), expect: Precondition::Any }
}

/// `commits` commits of one object each, shared among `writers`.
async fn write(store: &Store, writers: u64, commits: u64) {
    let each = (0..writers).map(|writer| async move {
        for turn in (writer..commits).step_by(usize::try_from(writers).unwrap_or(1)) {
            let batch = Batch { ops: vec![put(&format!("w{}", turn % 10_000))] };
            store.commit(batch).await.expect("the disk works");
        }
    });
    futures::future::join_all(each).await;
}

fn commits(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let tasks = Tasks::default();
    let store = runtime.block_on(async {
        let file = Redb::open(folder.path().join("store.redb")).expect("a file");
        Store::open(file, &tasks).expect("an empty store")
    });
    let mut group = criterion.benchmark_group("durable commits");
    group.sample_size(10).measurement_time(Duration::from_secs(5)).throughput(Throughput::Elements(1));
    for writers in [1, 16, 64, 256] {
        group.bench_function(BenchmarkId::new("writers", writers), |bencher| {
            bencher.iter_custom(|commits| {
                let started = Instant::now();
                runtime.block_on(write(&store, writers, commits));
                started.elapsed()
            });
        });
    }
    group.finish();
    runtime.block_on(store.close());
}

fn lists(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let tasks = Tasks::default();
    let store = runtime.block_on(async {
        let store = Store::in_memory(&tasks);
        write(&store, 64, 10_000).await;
        store
    });
    let mut group = criterion.benchmark_group("reads");
    group.bench_function("snapshot and list of 10,000", |bencher| {
        bencher.iter(|| store.snapshot().list(kinds::CONFIG_MAP, "").map(|o| black_box(o.json()).len()).sum::<usize>());
    });
    group.bench_function("snapshot and get", |bencher| {
        bencher.iter(|| black_box(store.snapshot().find(kinds::CONFIG_MAP, "default", "w5000").is_some()));
    });
    group.finish();
}

/// Starting on a file of 35,000 objects: every checksum is read, every object decoded.
fn starts(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("store.redb");
    let open = || async {
        let tasks = Tasks::default();
        let store = Store::open(Redb::open(&file).expect("a file"), &tasks).expect("a store");
        (store, tasks)
    };
    runtime.block_on(async {
        let (store, _tasks) = open().await;
        for batch in 0..35 {
            let ops = (0..1000).map(|n| put(&format!("w{batch}-{n}"))).collect();
            store.commit(Batch { ops }).await.expect("the disk works");
        }
        store.close().await;
    });
    let mut group = criterion.benchmark_group("starts");
    group.sample_size(10).bench_function("open 35,000 objects and close", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let (store, _tasks) = open().await;
                assert_eq!(store.snapshot().len(), 35_000);
                store.close().await;
            });
        });
    });
    group.finish();
}

criterion_group!(benches, commits, lists, starts);
criterion_main!(benches);
