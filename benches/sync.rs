//! From a commit to the stored object, in one process with the store on disk: `cargo bench --bench sync`.
//! The clock starts when git has moved the branch. The repository grows from run to run; the cost must not.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use git2::{Oid, Repository, Signature};
use tempfile::TempDir;
use windlass::cluster::registry::{self, Registry};
use windlass::cluster::store::{Redb, Store};
use windlass::object::{Clock, kinds};
use windlass::sync::{RepoLocation, SyncConfig};
use windlass::tasks::Tasks;

/// Commits that are timed, a size.
const RUNS: usize = 31;
const SIZES: &[usize] = &[10, 1000, 5000];

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    for size in SIZES {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (first, mut latencies) = runtime.block_on(measure(*size))?;
        latencies.sort();
        println!(
            "{size:>6} manifests: first sync {first:>9.1?}, a commit of one of them {:>8.2?} (from {:.2?} to {:.2?}, {RUNS} runs)",
            latencies[RUNS / 2],
            latencies[0],
            latencies[RUNS - 1]
        );
    }
    Ok(())
}

fn manifest(index: usize, replicas: usize) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web-{index}\nspec:\n  replicas: {replicas}\n  selector:\n    \
         matchLabels: {{app: web-{index}}}\n  template:\n    metadata:\n      labels: {{app: web-{index}}}\n    spec:\n      \
         containers:\n      - name: web\n        image: web:v1\n"
    )
}

/// Writes the tree without a work tree: what is measured is windlass, not the disk under git's index.
fn commit(repository: &Repository, parent: Option<Oid>, files: &[(String, String)]) -> anyhow::Result<Oid> {
    let parent = parent.map(|id| repository.find_commit(id)).transpose()?;
    let base = match &parent {
        Some(parent) => parent.tree()?,
        None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
    };
    let mut update = git2::build::TreeUpdateBuilder::new();
    for (path, text) in files {
        update.upsert(path, repository.blob(text.as_bytes())?, git2::FileMode::Blob);
    }
    let tree = repository.find_tree(update.create_updated(repository, &base)?)?;
    let who = Signature::now("Bench", "bench@example.com")?;
    let parents: Vec<_> = parent.iter().collect();
    Ok(repository.commit(Some("refs/heads/main"), &who, &who, "Bench", &tree, &parents)?)
}

async fn measure(size: usize) -> anyhow::Result<(Duration, Vec<Duration>)> {
    let folder = TempDir::new()?;
    let path = folder.path().join("shop.git");
    let repository = Repository::init_bare(&path)?;
    let file =
        |index: usize, replicas| (format!("apps/team-{}/web-{index}.yaml", index % 50), manifest(index, replicas));
    let files: Vec<_> = (0..size).map(|index| file(index, 1)).collect();
    let mut tip = commit(&repository, None, &files)?;
    let tasks = Tasks::default();
    let store = Store::open(Redb::open(folder.path().join("store.redb"))?, &tasks)?;
    let registry = Registry::new(store.clone(), Clock::start());
    registry::bootstrap(&registry).await?;
    let began = Instant::now();
    let syncer = windlass::sync::start(registry, config(&path, folder.path()), &tasks).await?;
    let mut progress = syncer.progress();
    progress.wait_for(|progress| progress.deployed.is_some()).await.context("the syncer ended")?;
    let first = began.elapsed();
    let mut latencies = Vec::with_capacity(RUNS);
    for run in 0..RUNS {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut watch = store.watch(kinds::DEPLOYMENT, store.revision())?;
        tip = commit(&repository, Some(tip), &[file(run % size, run + 2)])?;
        let began = Instant::now();
        tokio::time::timeout(Duration::from_secs(30), watch.next())
            .await
            .context("no sync")?
            .ok()
            .context("no event")?;
        latencies.push(began.elapsed());
    }
    tasks.stop().await;
    Ok((first, latencies))
}

fn config(repository: &Path, data_dir: &Path) -> SyncConfig {
    SyncConfig {
        repo: RepoLocation::Local(repository.to_owned()),
        branch: Some("main".to_owned()),
        path: String::new(),
        application: "shop".to_owned(),
        data_dir: data_dir.to_owned(),
        webhook_secret: None,
        loopback: true,
        poll_interval: Duration::from_secs(3600),
        age_key: data_dir.join("age.key"),
        tools_path: std::env::var_os("PATH").unwrap_or_default(),
    }
}
