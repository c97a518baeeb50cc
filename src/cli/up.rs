//! `windlass up`: runs the cluster until it is told to stop.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};

use super::args::{RuntimeChoice, UpArgs};
use super::client::data_dir;
use super::output::show;
use crate::agent::runtime::{Docker, Runtime, Scripted};
use crate::app::{self, Config, Repo, Running, Storage};
use crate::object::Clock;
use crate::sync::RepoLocation;
use crate::sync::mirror::Mirror;

/// A secret longer than this is not one.
const LONGEST_SECRET: u64 = 64 * 1024;

pub async fn run(args: UpArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let running = app::build(config(args).await?).await?;
    // Nobody may be reading: that is no reason to stop.
    let _ = show(format!("ready https://{} in {} ms", running.address, started.elapsed().as_millis()));
    let fault = tokio::select! {
        _ = terminated.recv() => None,
        _ = interrupted.recv() => None,
        task = running.faulted() => Some(task),
    };
    stop(running).await;
    match fault {
        None => Ok(ExitCode::SUCCESS),
        Some(task) => bail!("the part {task:?} failed; see the log (--log info)"),
    }
}

async fn stop(running: Running) {
    // Work under way is dropped at its next await, so this takes milliseconds; a stuck disk must not hold it up.
    if tokio::time::timeout(Duration::from_secs(10), running.stop()).await.is_err() {
        tracing::warn!("not everything stopped within 10 s");
    }
}

async fn config(args: UpArgs) -> anyhow::Result<Config> {
    let location = args.repo.as_deref().unwrap_or(".");
    let mut location = location.parse::<RepoLocation>().with_context(|| format!("--repo {location}"))?;
    if let RepoLocation::Local(path) = &mut location {
        // What was named on the command line is wrong more often than the engine, so it is looked at first. Whoever reads the
        // Application's `repoURL` stands elsewhere.
        *path = std::path::absolute(&*path).context("there is no current folder")?;
        let named = RepoLocation::Local(path.clone());
        Mirror::open(path, &named)?;
    }
    let node_name = match args.node_name {
        Some(name) => name,
        None => host_name()?,
    };
    let runtime: Arc<dyn Runtime> = match args.runtime {
        RuntimeChoice::Docker => Arc::new(Docker::connect().await.context("cannot use the Docker engine")?),
        RuntimeChoice::Scripted => Arc::new(Scripted::new(Clock::start())),
    };
    Ok(Config {
        repo: Some(Repo {
            location,
            branch: args.branch,
            path: args.path,
            poll_interval: Duration::from_secs(args.poll_interval.max(1)),
            tools_path: std::env::var_os("PATH").unwrap_or_default(),
        }),
        data_dir: data_dir(args.data_dir)?,
        listen: args.listen,
        node_name,
        storage: Storage::Disk,
        runtime,
        network: args.runtime == RuntimeChoice::Docker,
        audit_log: args.audit_log,
        webhook_secret: args.webhook_secret_file.as_deref().map(read_secret).transpose()?,
    })
}

fn host_name() -> anyhow::Result<String> {
    let name = hostname::get().context("this machine has no name: give one with --node-name")?;
    // A node's name is a DNS name: lower case, and without what DNS does not know.
    let name = name.to_string_lossy().to_lowercase().replace('_', "-");
    Ok(name.trim_matches(['-', '.']).to_owned())
}

fn read_secret(path: &Path) -> anyhow::Result<Vec<u8>> {
    let size = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    if size > LONGEST_SECRET {
        bail!("{} has {size} bytes: that is not a webhook secret", path.display());
    }
    let secret = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let secret = secret.trim_ascii().to_vec();
    if secret.is_empty() {
        bail!("{} is empty: a webhook secret is needed in it", path.display());
    }
    Ok(secret)
}
