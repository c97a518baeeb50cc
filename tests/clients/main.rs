//! Client libraries as programs use them, unmodified: the Rust `kube` crate with its watchers and its controller runtime,
//! the Python package `kubernetes`, the JavaScript package `@kubernetes/client-node`. Against the whole program with
//! scripted containers; the latter two are fetched into the target directory once, and skipped loudly where they cannot be.

mod javascript;
mod python;
mod runtime;
mod rust;
#[allow(dead_code, reason = "shared with the tests of streams")]
#[path = "../streams/world.rs"]
mod world;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// A fresh place for a client library; it is kept between runs.
fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Runs a program to its end; `None` when it is not here, fails, or takes longer than anybody would wait.
async fn run(program: impl AsRef<Path>, arguments: &[&str]) -> Option<Output> {
    let mut command = tokio::process::Command::new(program.as_ref());
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(std::time::Duration::from_secs(180), command.output()).await.ok()?.ok()?;
    output.status.success().then_some(output)
}

/// Runs a client's script against a cluster; it says `done` at its end.
async fn drive(program: &Path, script: &str, world: &world::World) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let mut command = tokio::process::Command::new(program);
    command.arg(path).env("KUBECONFIG", world.kubeconfig()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(2 * world::PATIENCE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{script} hangs")).unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("done"), "{script}:\n{said}");
}
