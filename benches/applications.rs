//! Many Applications in one repository, in one process with the store on disk: `cargo bench --bench applications`.
//! Sizes by argument: `-- 1000x4`.
//! First sync, a commit of one file against `git diff --name-only` of the same commit, a start on what is there, memory.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use git2::{Oid, Repository, Signature};
use tempfile::TempDir;
use tikv_jemallocator::Jemalloc;
use windlass::cluster::registry::{self, Registry};
use windlass::cluster::store::{Redb, Store};
use windlass::object::{Clock, kinds};
use windlass::sync::{RepoLocation, SyncConfig, Syncer};
use windlass::tasks::Tasks;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Commits that are timed, a size.
const RUNS: usize = 21;
/// Starts on what is there that are timed.
const STARTS: usize = 5;
/// Applications and objects of each.
const SIZES: &[(usize, usize)] = &[(1000, 4), (20, 50), (200, 50), (1000, 50)];

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    let asked = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).map(|arg| {
        let (apps, objects) = arg.split_once('x').with_context(|| format!("{arg}: write it as 1000x4"))?;
        Ok((apps.parse()?, objects.parse()?))
    });
    let asked = asked.collect::<anyhow::Result<Vec<(usize, usize)>>>()?;
    for (apps, objects) in if asked.is_empty() { SIZES } else { &asked } {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(*apps, *objects))?;
    }
    Ok(())
}

fn manifest(index: usize, value: usize) -> String {
    let name = format!("o-{index}");
    match index % 4 {
        0 => format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: 0\n  selector: {{matchLabels: {{app: {name}}}}}\n  \
             template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      containers: [{{name: main, image: 'web:{value}'}}]\n"
        ),
        1 => {
            format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, labels: {{value: '{value}'}}}}\n")
        }
        2 => format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, labels: {{value: '{value}'}}}}\nspec:\n  clusterIP: None\n  \
             selector: {{app: {name}}}\n  ports: [{{port: 80}}]\n"
        ),
        _ => format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: '{value}'}}\n"),
    }
}

fn application(repository: &Path, index: usize) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: app-{index}, namespace: argocd}}\nspec:\n  project: default\n  \
         source: {{repoURL: '{}', path: teams/app-{index}, targetRevision: main}}\n  destination: {{namespace: ns-{index}}}\n  \
         syncPolicy: {{automated: {{prune: true, selfHeal: true}}, syncOptions: [CreateNamespace=true]}}\n",
        repository.display()
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

async fn measure(apps: usize, objects: usize) -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("shop.git");
    let repository = Repository::init_bare(&path)?;
    let place = |index: usize, value| (format!("teams/app-{}/o-{index}.yaml", index / objects), manifest(index, value));
    let mut files: Vec<_> = (0..apps * objects).map(|index| place(index, 0)).collect();
    files.extend((0..apps).map(|index| (format!("root/app-{index}.yaml"), application(&path, index))));
    let mut tip = commit(&repository, None, &files)?;
    // As a clone leaves it, and `git gc` any repository of this size.
    let packed = Command::new("git").arg("-C").arg(&path).args(["gc", "--quiet"]).status()?;
    ensure!(packed.success(), "git gc failed");
    let before = resident();
    let (tasks, store, registry) = open(folder.path()).await?;
    let began = Instant::now();
    let syncer = start(&registry, &path, folder.path(), &tasks).await?;
    deployed(&store, apps, objects).await?;
    let first = began.elapsed();
    println!(
        "{apps} Applications of {objects} objects: first sync {first:.2?}, {:.1} MiB more resident",
        resident() - before
    );

    tokio::time::sleep(Duration::from_secs(5)).await;
    let (mut latencies, mut diffs) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        tokio::time::sleep(Duration::from_millis(300)).await;
        // A ConfigMap of some Application.
        let index = (run * 7919 % (apps * objects)) / 4 * 4 + 3;
        let mut watch = store.watch(kinds::CONFIG_MAP, store.revision())?;
        let parent = tip;
        tip = commit(&repository, Some(tip), &[place(index, run + 1)])?;
        let began = Instant::now();
        tokio::time::timeout(Duration::from_secs(30), watch.next())
            .await
            .context("no sync")?
            .ok()
            .context("no event")?;
        latencies.push(began.elapsed());
        let began = Instant::now();
        let output = Command::new("git")
            .arg("-C")
            .arg(&path)
            .args(["diff", "--name-only"])
            .args([parent.to_string(), tip.to_string()])
            .output()?;
        diffs.push(began.elapsed());
        ensure!(output.status.success(), "git diff failed");
    }
    let median = |values: &mut Vec<Duration>| {
        values.sort();
        values[values.len() / 2]
    };
    let (latency, diff) = (median(&mut latencies), median(&mut diffs));
    let ratio = latency.as_secs_f64() / diff.as_secs_f64();
    println!(
        "    a commit of one of {} files to stored {latency:.2?}, git diff --name-only {diff:.2?}: {ratio:.1} times",
        files.len()
    );
    println!("    {:.1} MiB more resident than before the start", resident() - before);

    drop(syncer);
    tasks.stop().await;
    store.close().await;
    drop(registry);
    let (mut starts, mut written) = (Vec::new(), 0);
    for _ in 0..STARTS {
        let (tasks, store, registry) = open(folder.path()).await?;
        let revision = store.revision();
        let began = Instant::now();
        let syncer = start(&registry, &path, folder.path(), &tasks).await?;
        let mut verified = syncer.verified();
        let wait = verified.wait_for(|count| *count >= apps * objects);
        tokio::time::timeout(Duration::from_secs(120), wait).await.context("never verified")??;
        starts.push(began.elapsed());
        written += store.revision().0 - revision.0;
        drop(syncer);
        tasks.stop().await;
        store.close().await;
    }
    println!(
        "    {} unchanged objects verified after a start in {:.2?} (median of {STARTS}); {written} revisions were written for all",
        apps * objects,
        median(&mut starts)
    );
    Ok(())
}

async fn open(folder: &Path) -> anyhow::Result<(Tasks, Store, Registry)> {
    let tasks = Tasks::default();
    let store = Store::open(Redb::open(folder.join("store.redb"))?, &tasks)?;
    let registry = Registry::new(store.clone(), Clock::start());
    registry::bootstrap(&registry).await?;
    Ok((tasks, store, registry))
}

async fn start(registry: &Registry, repository: &Path, data_dir: &Path, tasks: &Tasks) -> anyhow::Result<Syncer> {
    let config = SyncConfig {
        repo: RepoLocation::Local(repository.to_owned()),
        branch: Some("main".to_owned()),
        path: "root".to_owned(),
        application: "shop".to_owned(),
        data_dir: data_dir.to_owned(),
        webhook_secret: None,
        loopback: true,
        poll_interval: Duration::from_secs(3600),
        age_key: data_dir.join("age.key"),
        tools_path: std::env::var_os("PATH").unwrap_or_default(),
    };
    Ok(windlass::sync::start(registry.clone(), config, tasks).await?)
}

async fn deployed(store: &Store, apps: usize, objects: usize) -> anyhow::Result<()> {
    let done = async {
        let count = |kind| store.snapshot().list(kind, "").filter(|object| object.key.name.starts_with("o-")).count();
        loop {
            let all = [kinds::DEPLOYMENT, kinds::SERVICE_ACCOUNT, kinds::SERVICE, kinds::CONFIG_MAP].map(count);
            if all.iter().sum::<usize>() >= apps * objects {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), done).await.context("never deployed")
}

fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0
}
