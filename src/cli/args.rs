//! What can be said on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Machines run what a git commit says: pushes deploy, reverts roll back, kubectl looks.
#[derive(Debug, Parser)]
#[command(name = "windlass", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Debug, Args)]
pub struct Global {
    /// What to log to standard error, for example `info` or `windlass::sync=debug`
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        env = "WINDLASS_LOG",
        default_value = "warn",
        value_name = "FILTER"
    )]
    pub log: String,
    /// Log one JSON object a line
    #[arg(long, global = true, help_heading = "Global options")]
    pub log_json: bool,
    /// When to use colours
    #[arg(long, global = true, help_heading = "Global options", value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the cluster: control plane, git syncer and one Docker agent
    Up(UpArgs),
    /// Remove the containers and network rules that a stopped `up` left running
    Down(DownArgs),
    /// Show the whole story on the local Docker engine, then clean up
    Demo(DemoArgs),
    /// Show what a commit or the work tree would change
    Diff(DiffArgs),
    /// Show what is deployed and how healthy it is
    Status(StatusArgs),
    /// List what was deployed when, by whom and why
    History(StatusArgs),
    /// Take a commit back by a revert commit
    Rollback(RollbackArgs),
    /// Sync now instead of at the next trigger
    Sync(SyncArgs),
    /// Check manifests offline: syntax, kinds, unknown fields, values, policies
    Lint(LintArgs),
    /// Print the version
    Version(VersionArgs),
    /// Print a shell completion script
    Completions(CompletionsArgs),
    /// Write the man pages
    Man(ManArgs),
}

const UP_EXAMPLES: &str = "\
Examples:
  # Deploy the repository around the current directory, and every commit to it from now on
  windlass up

  # Follow a branch of a remote repository
  windlass up --repo https://git.example.com/shop/deploy.git --branch main --path prod";

#[derive(Clone, Debug, Args)]
#[command(after_help = UP_EXAMPLES)]
pub struct UpArgs {
    /// Repository to follow: a path or a URL [default: the one around the current directory]
    #[arg(long, value_name = "PATH|URL")]
    pub repo: Option<String>,
    /// Branch to follow [default: the repository's current branch]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Folder of the repository that holds the manifests
    #[arg(long, value_name = "DIR", default_value = "", hide_default_value = true)]
    pub path: String,
    /// Where windlass keeps its state, its certificates and the kubeconfig [default: the user's data directory]
    #[arg(long, value_name = "DIR", env = "WINDLASS_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address to serve on; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6443")]
    pub listen: SocketAddr,
    /// Name of this node [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// What runs the containers
    #[arg(long, value_enum, default_value_t = RuntimeChoice::Docker)]
    pub runtime: RuntimeChoice,
    /// File with the secret that webhooks are signed with; needed to accept them on other than loopback addresses
    #[arg(long, value_name = "FILE")]
    pub webhook_secret_file: Option<PathBuf>,
    /// File to which every request to the API is written: who, what, when, and the outcome
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,
    /// How often a remote repository is asked for news, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub poll_interval: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RuntimeChoice {
    /// The Docker engine of this machine
    Docker,
    /// No containers at all: pods become ready by themselves (for trying things out)
    Scripted,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  windlass down\n\nThe state stays: `windlass up` brings everything back.")]
pub struct DownArgs {
    /// Data directory of the windlass whose containers are removed
    #[arg(long, value_name = "DIR", env = "WINDLASS_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  windlass demo --keep")]
pub struct DemoArgs {
    /// Stay up at the end, for looking around with kubectl, until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// Where to make the demo's repository and state [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// How to reach a running windlass.
#[derive(Clone, Debug, Default, Args)]
pub struct Connection {
    /// Kubeconfig to connect with [default: DATA_DIR/kubeconfig]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Server to talk to, instead of the one that the kubeconfig names
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Data directory of the windlass to connect to
    #[arg(long, value_name = "DIR", env = "WINDLASS_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Application to ask about [default: that of the repository that the server was started with]
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub application: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    Text,
    /// For the comment of a pull request
    Markdown,
    Json,
}

const DIFF_EXAMPLES: &str = "\
Examples:
  # What would a commit of the work tree, as it is now, change?
  windlass diff

  # What would that branch change?
  windlass diff feature/more-replicas

  # What does the last commit change?
  windlass diff HEAD~1..HEAD

Exit code: 0 no differences, 1 differences, 2 error.";

#[derive(Clone, Debug, Args)]
#[command(after_help = DIFF_EXAMPLES)]
pub struct DiffArgs {
    /// Revision to deploy, or two (A..B: B after A) [default: the work tree with its uncommitted files]
    #[arg(value_name = "REV|A..B")]
    pub revision: Option<String>,
    /// Repository [default: the one around the current directory]
    #[arg(long, value_name = "PATH")]
    pub repo: Option<PathBuf>,
    /// Folder of the repository that holds the manifests [default: as the Application says]
    #[arg(long, value_name = "DIR")]
    pub path: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t = DiffFormat::Text)]
    pub output: DiffFormat,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  windlass status -o json")]
pub struct StatusArgs {
    #[command(flatten)]
    pub connection: Connection,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example:\n  windlass rollback        # takes back the last commit\n  windlass rollback 3f2a91c"
)]
pub struct RollbackArgs {
    /// Commit to take back
    #[arg(value_name = "COMMIT", default_value = "HEAD")]
    pub commit: String,
    /// Repository [default: the one around the current directory]
    #[arg(long, value_name = "PATH")]
    pub repo: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  windlass sync\n  windlass sync --plan 138f042477a5\n  windlass sync --approve 3f2a91c\n  windlass sync --resource deployment/web --dry-run\n  windlass sync --application web --revision v1.2"
)]
pub struct SyncArgs {
    #[command(flatten)]
    pub connection: Connection,
    /// Seconds to wait for the sync to end; 0 asks and does not wait
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
    /// Carry out this plan, as `windlass diff` showed it, or nothing
    #[arg(long, value_name = "ID")]
    pub plan: Option<String>,
    /// Delete what this commit no longer has, also where that is held back: the commit that is to be deployed
    #[arg(long, value_name = "COMMIT")]
    pub approve: Option<String>,
    /// Sync this object only: KIND[.GROUP]/[NAMESPACE/]NAME; may be given several times
    #[arg(long, value_name = "OBJECT", conflicts_with = "plan")]
    pub resource: Vec<String>,
    /// Deploy this branch, tag or commit, of an Application that does not sync by itself
    #[arg(long, value_name = "REV", conflicts_with = "plan")]
    pub revision: Option<String>,
    /// Say what the sync would do, and do nothing
    #[arg(long, conflicts_with_all = ["plan", "approve"])]
    pub dry_run: bool,
}

#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example:\n  windlass lint deploy/\n  windlass lint --policies policies/ deploy/\n\nExit code: 0 nothing found, 1 findings, 2 error."
)]
pub struct LintArgs {
    /// File or folder to check
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Folder of policies (ValidatingAdmissionPolicy manifests) to check against, too
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  windlass version -o json")]
pub struct VersionArgs {
    /// How to show it
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  windlass completions bash > /etc/bash_completion.d/windlass")]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  windlass man /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Folder to write the pages into
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_has_no_contradictions() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "`{} --help` has no example", command.get_name());
        }
    }
}
