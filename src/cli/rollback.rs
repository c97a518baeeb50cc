//! `windlass rollback`: takes a commit back by a revert commit; the cluster follows it as it follows any commit.

use std::path::PathBuf;
use std::process::ExitCode;

use super::args::RollbackArgs;
use super::output::{short, show};
use crate::sync::revert::revert;

pub fn run(args: RollbackArgs) -> anyhow::Result<ExitCode> {
    let repo = args.repo.unwrap_or_else(|| PathBuf::from("."));
    let made = revert(&repo, &args.commit)?;
    show(format!("{} takes {} back", short(&made.to_string()), args.commit))?;
    Ok(ExitCode::SUCCESS)
}
