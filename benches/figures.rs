//! The figures of the README, measured on the whole program from outside, as it is released:
//! `cargo bench --bench figures`.
//! Machines differ and are noisy: each figure is the median of several runs, with the lowest and the highest.

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use support::{TestRepo, Windlass, eventually};
use tempfile::TempDir;

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: 'web:0'}]
";

/// Runs of each figure.
const RUNS: usize = 11;
/// How long an idle windlass is looked at.
const IDLE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let size = fs::metadata(Windlass::binary()).unwrap().len();
    row("release binary", &[size as f64 / 1024.0 / 1024.0], "MiB");
    row("up to ready, empty data directory", &(0..RUNS).map(|_| start_once()).collect::<Vec<_>>(), "ms");
    let (latencies, resident, busy) = one_cluster().await;
    row("commit to stored Deployment", &latencies, "ms");
    row("idle: resident", &[resident], "MiB");
    row("idle: processor", &[busy], "% of a core");
}

fn row(what: &str, values: &[f64], unit: &str) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (lowest, median, highest) = (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    match values.len() {
        1 => println!("{what:<36} {median:>8.1} {unit}"),
        runs => println!("{what:<36} {median:>8.1} {unit}   ({lowest:.1} to {highest:.1}, {runs} runs)"),
    }
}

/// Wall time from the start of the process to its ready line.
fn start_once() -> f64 {
    let (repo, data) = (repository(), TempDir::new().unwrap());
    let started = Instant::now();
    let windlass = up(&repo, &data);
    let took = started.elapsed();
    assert_eq!(windlass.stop(), Some(0));
    took.as_secs_f64() * 1000.0
}

fn repository() -> TestRepo {
    let repo = TestRepo::new();
    repo.write("web.yaml", DEPLOYMENT);
    repo.commit("web: first");
    repo
}

fn up(repo: &TestRepo, data: &TempDir) -> Windlass {
    Windlass::up(repo.path(), data.path(), &["--runtime", "scripted"])
}

async fn one_cluster() -> (Vec<f64>, f64, f64) {
    let (repo, data) = (repository(), TempDir::new().unwrap());
    let windlass = up(&repo, &data);
    let client = windlass.client().await;
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    eventually("the first commit is deployed", || async { deployments.get("web").await.ok() }).await;
    let mut latencies = Vec::new();
    for run in 1..=RUNS {
        repo.write("web.yaml", &DEPLOYMENT.replace("web:0", &format!("web:{run}")));
        repo.git(&["add", "--all"]);
        latencies.push(commit_to_stored(&repo, &deployments, run).await);
    }
    // Fill the caches that a user's look fills, then let it be.
    Api::<ConfigMap>::all(client).list(&ListParams::default()).await.unwrap();
    tokio::time::sleep(IDLE).await;
    let before = processor_seconds(windlass.pid());
    tokio::time::sleep(IDLE).await;
    let busy = (processor_seconds(windlass.pid()) - before) / IDLE.as_secs_f64() * 100.0;
    (latencies, resident_mib(windlass.pid()), busy)
}

/// From the moment that `git commit` has returned to the Deployment's change on a watch.
async fn commit_to_stored(repo: &TestRepo, deployments: &Api<Deployment>, run: usize) -> f64 {
    let wanted = format!("web:{run}");
    let version = deployments.get("web").await.unwrap().metadata.resource_version.unwrap();
    let mut events = Box::pin(deployments.watch(&WatchParams::default(), &version).await.unwrap());
    repo.git(&["commit", "--quiet", "--message", &wanted]);
    let started = Instant::now();
    while let Some(event) = events.try_next().await.unwrap() {
        let WatchEvent::Modified(deployment) = event else { continue };
        let image = deployment.spec.and_then(|s| s.template.spec).and_then(|s| s.containers[0].image.clone());
        if image.as_deref() == Some(&wanted) {
            return started.elapsed().as_secs_f64() * 1000.0;
        }
    }
    panic!("the watch ended");
}

fn processor_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Fields 14 and 15 (user and system time) in clock ticks of 1/100 s; the name before may hold spaces.
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks: f64 = after_name.split_whitespace().skip(11).take(2).map(|t| t.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

fn resident_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
