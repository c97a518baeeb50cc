//! The command line: one definition feeds the parser, `--help`, the shell completions and the man pages.
//! Each command is a file, and thin: it asks other parts and shows what they say.

pub mod args;
pub mod client;
pub mod demo;
pub mod diff;
pub mod down;
pub mod generate;
pub mod history;
pub mod lint;
pub mod logging;
pub mod output;
pub mod rollback;
pub mod status;
pub mod sync;
pub mod up;

use std::process::ExitCode;

pub use args::{Cli, Command};

/// Exit codes: 0 done, 1 differences (`diff`) or findings (`lint`), 2 error.
pub async fn run(cli: Cli) -> ExitCode {
    let outcome = match cli.command {
        Command::Diff(args) => diff::run(args, &cli.global).await,
        Command::Rollback(args) => rollback::run(args),
        Command::Lint(args) => lint::run(args).await,
        Command::Status(args) => status::run(args, &cli.global).await,
        Command::History(args) => history::run(args, &cli.global).await,
        Command::Sync(args) => sync::run(args, &cli.global).await,
        Command::Version(args) => generate::version(args),
        Command::Completions(args) => generate::completions(args),
        Command::Man(args) => generate::man(args),
        Command::Up(args) => up::run(args).await,
        Command::Down(args) => down::run(args).await,
        Command::Demo(args) => demo::run(args, &cli.global).await,
    };
    match outcome {
        Ok(code) => code,
        Err(error) if output::reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Prints the error with its causes, one a line, and gives the exit code of an error.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
    ExitCode::from(2)
}
