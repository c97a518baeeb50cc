//! Starts the runtime, parses the command line, runs one command and maps its outcome to an exit code.

use std::process::ExitCode;

use clap::Parser;
use tikv_jemallocator::Jemalloc;
use windlass::cli::{self, Cli};

/// Trees of JSON values are made and dropped all the time: a fifth faster than with glibc's, and smaller with many objects
/// (`benches/applications.rs`).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli::logging::start(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::fail(&anyhow::Error::new(error).context("cannot start the async runtime")),
    };
    let code = runtime.block_on(cli::run(cli));
    // Whatever a command left running must not hold up its end.
    runtime.shutdown_background();
    code
}
