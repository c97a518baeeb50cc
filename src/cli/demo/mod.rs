//! `windlass demo`: the whole story on the local Docker engine, told as it happens. Everything it claims it looks
//! at: a request that fails, or a state that is not reached, ends it with an error.

mod load;
mod stage;
mod story;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::args::{DemoArgs, Global};
use super::output::Paint;
use crate::agent::images;
use crate::agent::runtime::Docker;
use crate::app::{self, Config, Repo, Running, Storage};
use crate::sync::{RepoLocation, example};
use stage::{Narrator, Repository};
use story::Story;

pub async fn run(args: DemoArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let mut narrator = Narrator::new(Paint::for_stdout(global));
    let dir = folder(args.dir)?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interruption = async || {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    };
    let mut running = None;
    let told = tokio::select! {
        told = tell(&mut narrator, &dir, &mut running) => told,
        () = interruption() => Err(anyhow::anyhow!("interrupted")),
    };
    if told.is_ok() && args.keep {
        narrator.tell("It stays up until Ctrl-C.");
        interruption().await;
    }
    if let Some(running) = running {
        narrator.line(&format!("\nCleaning up: containers, network rules and {}.", dir.display()));
        clean_up(running).await?;
    }
    std::fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    told.map(|()| ExitCode::SUCCESS)
}

/// A folder of the demo's own, so that removing it at the end removes nothing else.
fn folder(parent: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let parent = parent.unwrap_or_else(std::env::temp_dir);
    let dir = parent.join(format!("windlass-demo-{}", std::process::id()));
    std::fs::create_dir_all(&parent).with_context(|| format!("cannot make {}", parent.display()))?;
    std::fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

async fn tell(narrator: &mut Narrator, dir: &std::path::Path, running: &mut Option<Running>) -> anyhow::Result<()> {
    let runtime = Arc::new(Docker::connect().await.context("the demo needs a Docker engine on this machine")?);
    narrator.line("windlass demo: git pushes deploy, git reverts roll back, kubectl looks.");

    narrator.step("A git repository of manifests, and a cluster that follows it");
    let repository = Repository::create(&dir.join("shop"), example::files()).await?;
    narrator.command("git init shop && cd shop && git add . && git commit -m 'shop: first version'");
    let first = repository.commit("shop: first version").await?;
    narrator.command("windlass up");
    images::ensure_demo(runtime.as_ref()).await.context("cannot load the demo's images")?;
    let started = Instant::now();
    let built = app::build(Config {
        repo: Some(Repo {
            location: RepoLocation::Local(repository.dir.clone()),
            branch: None,
            path: String::new(),
            poll_interval: Duration::from_secs(30),
            tools_path: std::env::var_os("PATH").unwrap_or_default(),
        }),
        data_dir: dir.join("data"),
        listen: ([127, 0, 0, 1], 0).into(),
        node_name: "demo".to_owned(),
        storage: Storage::Disk,
        runtime,
        network: true,
        webhook_secret: None,
        audit_log: None,
    })
    .await?;
    narrator.tell(&format!("ready https://{} in {} ms", built.address, started.elapsed().as_millis()));
    let kubeconfig = built.kubeconfig.clone();
    let kube = super::client::from_kubeconfig(&kubeconfig, None).await?;
    *running = Some(built);

    let story = Story { repository, kube, docker: connect_docker()? };
    story.first_commit(narrator, &first).await?;
    let (blue, green) = story.rolling_update(narrator).await?;
    story.revert(narrator, &blue, &green).await?;
    story.heal(narrator).await?;
    story.prune(narrator).await?;

    narrator.step("Look around");
    narrator.tell(&format!("export KUBECONFIG={}", kubeconfig.display()));
    for line in [
        "kubectl get applications -A",
        "kubectl get all -n shop -o wide",
        "kubectl rollout history deployment/web -n shop",
    ] {
        narrator.command(line);
    }
    Ok(())
}

fn connect_docker() -> anyhow::Result<bollard::Docker> {
    Ok(bollard::Docker::connect_with_defaults()?)
}

async fn clean_up(running: Running) -> anyhow::Result<()> {
    let node = running.node.clone();
    running.stop().await;
    node.teardown().await.context("cannot clean up")?;
    Ok(())
}
