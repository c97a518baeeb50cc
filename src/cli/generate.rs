//! `version`, `completions` and `man`: what is made out of the command line's own definition.

use std::fs;
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use serde_json::json;

use super::args::{Cli, CompletionsArgs, Format, ManArgs, VersionArgs};
use super::output::show;

/// The version of Kubernetes whose API is served.
pub const KUBERNETES: &str = "v1.33.0";

pub fn version(args: VersionArgs) -> anyhow::Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    match args.output {
        Format::Text => show(format!("windlass {version} (Kubernetes API {KUBERNETES})"))?,
        Format::Json => show(json!({"version": version, "kubernetes": KUBERNETES}))?,
    }
    Ok(ExitCode::SUCCESS)
}

pub fn completions(args: CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "windlass", &mut script);
    show(String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

pub fn man(args: ManArgs) -> anyhow::Result<ExitCode> {
    fs::create_dir_all(&args.dir).with_context(|| format!("cannot make {}", args.dir.display()))?;
    clap_mangen::generate_to(Cli::command(), &args.dir)
        .with_context(|| format!("cannot write into {}", args.dir.display()))?;
    show(format!("wrote the man pages into {}", args.dir.display()))?;
    Ok(ExitCode::SUCCESS)
}
