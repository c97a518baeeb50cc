//! What the demo stands on: a git repository, a running windlass, and the words that tell of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::Command;
use tokio::time::timeout;

use super::super::output::{Paint, show};

/// A git command on the demo's small repository takes milliseconds; more is a fault.
const GIT_PATIENCE: Duration = Duration::from_secs(20);

/// Says what happens, step by step, as a person would do it.
pub struct Narrator {
    pub paint: Paint,
    step: u32,
}

impl Narrator {
    pub fn new(paint: Paint) -> Self {
        Self { paint, step: 0 }
    }

    /// A new step of the story.
    pub fn step(&mut self, what: &str) {
        self.step += 1;
        self.line(&format!("\n{}", self.paint.bold(&format!("{}. {what}", self.step))));
    }

    /// The command that a person would type for what comes next.
    pub fn command(&self, line: &str) {
        self.line(&format!("   {} {line}", self.paint.dim("$")));
    }

    /// One line as it is. A reader that left must not keep the demo from cleaning up.
    pub fn line(&self, text: &str) {
        let _ = show(text);
    }

    pub fn tell(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("     {line}"));
        }
    }
}

/// The demo's git repository, worked on with the `git` program as its user would.
pub struct Repository {
    pub dir: PathBuf,
}

impl Repository {
    /// Writes `files` into a new repository at `dir` and commits them.
    pub async fn create(dir: &Path, files: &[(&str, &str)]) -> anyhow::Result<Self> {
        for (path, content) in files {
            let path = dir.join(path);
            let folder = path.parent().unwrap_or(dir);
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let repository = Self { dir: dir.to_owned() };
        repository.git(&["init", "--quiet", "--initial-branch=main"]).await?;
        repository.git(&["add", "--all"]).await?;
        Ok(repository)
    }

    /// Replaces `from` by `to` in a file, which must contain it.
    pub fn edit(&self, file: &str, from: &str, to: &str) -> anyhow::Result<()> {
        let path = self.dir.join(file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if !text.contains(from) {
            bail!("{file} does not contain {from:?}");
        }
        std::fs::write(&path, text.replace(from, to)).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Runs git with this repository only: no configuration of the user or the machine, a fixed author.
    pub async fn git(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.dir).args(args).kill_on_drop(true);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Demo").env(format!("GIT_{role}_EMAIL"), "demo@example.com");
        }
        let output = timeout(GIT_PATIENCE, command.output()).await.context("git does not answer")?;
        let output = output.context("cannot run git: is it installed?")?;
        if !output.status.success() {
            bail!("git {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    pub async fn commit(&self, subject: &str) -> anyhow::Result<String> {
        self.git(&["commit", "--quiet", "--all", "--message", subject]).await?;
        self.git(&["rev-parse", "HEAD"]).await
    }
}
