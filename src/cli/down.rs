//! `windlass down`: removes what a stopped windlass left running on this machine; its state stays.

use std::process::ExitCode;

use anyhow::Context;

use super::args::DownArgs;
use super::client::data_dir;
use super::output::show;
use crate::agent;
use crate::agent::runtime::Docker;

pub async fn run(args: DownArgs) -> anyhow::Result<ExitCode> {
    let dir = data_dir(args.data_dir)?;
    let docker = Docker::connect().await.context("cannot use the Docker engine")?;
    let removed = agent::teardown(&docker, &dir.join("agent")).await?;
    show(format!("removed {removed} containers and the network of {}", dir.display()))?;
    Ok(ExitCode::SUCCESS)
}
