//! Runs a program that turns files into text, on a leash.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// For the whole of one rendering.
const TIME: Duration = Duration::from_secs(60);
/// Of address space, in KiB; the tools are Go programs, which reserve much more than they use.
const MEMORY_KIB: u64 = 6 << 20;
const MOST_OUTPUT: u64 = 64 << 20;
const MOST_ERRORS: u64 = 64 << 10;
const POLL: Duration = Duration::from_millis(5);

#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("{wanted} is needed to render this folder and is not installed (looked in PATH)")]
    Absent { wanted: String },
    #[error("{program} cannot be started: {source}")]
    Start { program: String, source: std::io::Error },
    #[error("{program} took longer than {} s and was stopped", TIME.as_secs())]
    Slow { program: String },
    #[error("{program} printed more than {} MiB and was stopped", MOST_OUTPUT >> 20)]
    Large { program: String },
    #[error("{0}")]
    Failed(String),
}

/// Where tools are looked for.
#[derive(Clone, Debug)]
pub struct Tools {
    path: std::ffi::OsString,
    time: Duration,
}

impl Tools {
    /// `path` is a list of folders as in the variable `PATH`.
    pub fn new(path: std::ffi::OsString) -> Self {
        Self { path, time: TIME }
    }

    #[cfg(test)]
    fn with_time(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    pub fn find(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path).map(|folder| folder.join(name)).find(|path| path.is_file())
    }

    /// As [`Tools::run`], for a program that has to reach somebody.
    ///
    /// # Errors
    /// When it is slow, prints too much or fails; then with what it said.
    pub fn run_connected(
        &self,
        program: &Path,
        args: &[String],
        home: &Path,
        variables: &[(&str, std::ffi::OsString)],
    ) -> Result<Vec<u8>, ToolError> {
        let mut command = Command::new(program);
        command.args(args).current_dir(home).env_clear().env("PATH", &self.path).env("HOME", home);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        self.watch(program, command)
    }

    /// What the program prints. `home` is the only place that it is told it may write to.
    ///
    /// # Errors
    /// When it is slow, prints too much or fails; then with what it said.
    pub fn run(&self, program: &Path, args: &[String], folder: &Path, home: &Path) -> Result<Vec<u8>, ToolError> {
        let mut command = self.command(program, folder, home);
        command.args(args);
        self.watch(program, command)
    }

    fn watch(&self, program: &Path, mut command: Command) -> Result<Vec<u8>, ToolError> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|source| ToolError::Start { program: name.clone(), source })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let errors = thread::spawn(move || capture(stderr, MOST_ERRORS));
        let output = thread::spawn(move || capture(stdout, MOST_OUTPUT + 1));
        let ended = wait(&mut child, self.time);
        let output = output.join().unwrap_or_default();
        let errors = errors.join().unwrap_or_default();
        if output.len() as u64 > MOST_OUTPUT {
            return Err(ToolError::Large { program: name });
        }
        match ended {
            None => Err(ToolError::Slow { program: name }),
            Some(true) => Ok(output),
            Some(false) => Err(ToolError::Failed(String::from_utf8_lossy(&errors).into_owned())),
        }
    }

    fn command(&self, program: &Path, folder: &Path, home: &Path) -> Command {
        // The shell only sets the limit and becomes the program. A network of its own, where the system lets us.
        let script = "ulimit -v \"$1\" 2>/dev/null; shift; \
                      if unshare --user --map-current-user --net true 2>/dev/null; \
                      then exec unshare --user --map-current-user --net \"$@\"; else exec \"$@\"; fi";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "sh", &MEMORY_KIB.to_string()]).arg(program).current_dir(folder);
        command.env_clear().env("PATH", &self.path).env("HOME", home).env("TMPDIR", home).env("LANG", "C.UTF-8");
        for variable in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
            command.env(variable, home);
        }
        // Nobody listens there: what the tool would fetch fails at once, even without a network of its own.
        for variable in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
            command.env(variable, "http://127.0.0.1:9");
        }
        command.env("KUBECONFIG", "/dev/null").env("GIT_TERMINAL_PROMPT", "0").env("GIT_ALLOW_PROTOCOL", "none");
        command
    }
}

fn capture(from: Option<impl Read>, limit: u64) -> Vec<u8> {
    let mut text = Vec::new();
    if let Some(from) = from {
        // What was read before an error is what there is.
        let _ = from.take(limit).read_to_end(&mut text);
    }
    text
}

/// Whether it succeeded; `None` when it had to be stopped. A reader that has enough closes the pipe, which ends most
/// programs; the others are stopped in time.
fn wait(child: &mut Child, time: Duration) -> Option<bool> {
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if began.elapsed() < time => thread::sleep(POLL),
            Ok(None) | Err(_) => {
                // Its children too, so that none of them keeps the pipes open.
                let group = format!("-{}", child.id());
                let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(tools: &Tools, script: &str) -> Result<Vec<u8>, ToolError> {
        let home = tempfile::TempDir::new().unwrap();
        tools.run(Path::new("/bin/sh"), &["-c".to_owned(), script.to_owned()], home.path(), home.path())
    }

    #[test]
    fn a_tool_is_bounded_and_sees_nothing_of_us() {
        let tools = Tools::new(std::env::var_os("PATH").unwrap());
        assert_eq!(shell(&tools, "echo out; echo err >&2").unwrap(), b"out\n");
        assert!(matches!(shell(&tools, "echo why >&2; exit 3"), Err(ToolError::Failed(why)) if why == "why\n"));
        let environment = String::from_utf8(shell(&tools, "env").unwrap()).unwrap();
        assert!(!environment.contains("CARGO") && environment.contains("HOME=/"), "{environment}");
        let quick = tools.clone().with_time(Duration::from_millis(300));
        assert!(matches!(shell(&quick, "sleep 60 & sleep 60"), Err(ToolError::Slow { .. })));
        assert!(matches!(shell(&tools, "head -c 70000000 /dev/zero"), Err(ToolError::Large { .. })));
        assert!(tools.find("sh").is_some() && tools.find("no-such-tool").is_none());
    }
}
