//! Runs the `nft` program: rules go in through its standard input, as one transaction.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::bridge::NetworkError;

const TIMEOUT: Duration = Duration::from_secs(20);
/// `nft` is in /usr/sbin, which is not on everybody's path.
const PATH: &str = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin";

/// Puts `rules` into the kernel, all of them or none.
///
/// # Errors
/// When `nft` is missing, may not, or does not understand.
pub async fn apply(rules: &str) -> Result<(), NetworkError> {
    run("nft", &["-f", "-"], rules).await.map(drop)
}

/// The names of a table's chains; none when there is no such table.
///
/// # Errors
/// When `nft` is missing or may not.
pub async fn chains(table: &str) -> Result<Vec<String>, NetworkError> {
    let listed = run("nft", &["list", "chains", "ip"], "").await?;
    let mut ours = false;
    let mut chains = Vec::new();
    for line in listed.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("table"), _, name) => ours = name == Some(table),
            (Some("chain"), Some(chain), _) if ours => chains.push(chain.to_owned()),
            _ => {}
        }
    }
    Ok(chains)
}

/// Runs a program to its end and gives what it wrote on its standard output.
///
/// # Errors
/// When it cannot be run, fails, or takes too long.
pub async fn run(program: &'static str, arguments: &[&str], input: &str) -> Result<String, NetworkError> {
    let failed = |reason: String| NetworkError::Program { program, reason };
    let work = async {
        let mut child = Command::new(program)
            .args(arguments)
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ends before it has read all says why on its standard error.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let done = child.wait_with_output().await.map_err(|error| failed(error.to_string()))?;
        match done.status.success() {
            true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
            false => Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned())),
        }
    };
    let late = || failed(format!("did not end within {} s", TIMEOUT.as_secs()));
    tokio::time::timeout(TIMEOUT, work).await.unwrap_or_else(|_| Err(late()))
}
