//! The whole program from outside, as its user has it: a git repository, the `windlass` binary, a kube client.

#![allow(dead_code, reason = "each test file is a program of its own and uses some of this")]

pub mod docker;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use tempfile::TempDir;

/// Longest wait for anything of the whole program, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A git repository of manifests, worked on with the `git` program.
pub struct TestRepo {
    dir: TempDir,
}

impl TestRepo {
    pub fn new() -> Self {
        let repo = Self { dir: TempDir::with_prefix("repo-").unwrap() };
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn write(&self, file: &str, content: &str) {
        let path = self.dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(file)).unwrap()
    }

    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.dir.path().join(file)).unwrap();
    }

    /// Commits everything and gives the commit's id.
    pub fn commit(&self, subject: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", subject]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.dir.path()).args(args);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Ann").env(format!("GIT_{role}_EMAIL"), "ann@example.com");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// A running `windlass up`; killed when dropped.
pub struct Windlass {
    child: Child,
    pub data_dir: PathBuf,
    /// `https://127.0.0.1:PORT`
    pub url: String,
    /// As the ready line says.
    pub ready_ms: u64,
    /// Lines of its standard output and error.
    said: [mpsc::Receiver<String>; 2],
}

impl Windlass {
    /// The binary under test; `WINDLASS_BIN` names another one, such as a release build.
    pub fn binary() -> PathBuf {
        std::env::var_os("WINDLASS_BIN").map_or_else(|| env!("CARGO_BIN_EXE_windlass").into(), PathBuf::from)
    }

    pub fn command() -> Command {
        let mut command = Command::new(Self::binary());
        command.env_remove("KUBECONFIG").env_remove("WINDLASS_DATA_DIR").env_remove("WINDLASS_LOG");
        command
    }

    /// Starts `windlass up` on a free port and waits until it says that it is ready.
    pub fn up(repo: &Path, data_dir: &Path, args: &[&str]) -> Self {
        Self::up_from(Self::command(), repo, data_dir, args)
    }

    /// As [`Windlass::up`], of a command with an environment of its own.
    pub fn up_from(mut command: Command, repo: &Path, data_dir: &Path, args: &[&str]) -> Self {
        command.arg("up").arg("--repo").arg(repo).arg("--data-dir").arg(data_dir);
        command.args(["--listen", "127.0.0.1:0"]).args(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let errors = forward(child.stderr.take().unwrap());
        let lines = forward(child.stdout.take().unwrap());
        let ready = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let said: Vec<String> = errors.try_iter().collect();
            panic!("windlass up said nothing on standard output; on standard error: {said:#?}")
        });
        let words: Vec<&str> = ready.split_whitespace().collect();
        let ["ready", url, "in", ms, "ms"] = words[..] else { panic!("not a ready line: {ready:?}") };
        let (url, ready_ms) = (url.to_owned(), ms.parse().unwrap());
        Self { child, data_dir: data_dir.to_owned(), url, ready_ms, said: [lines, errors] }
    }

    /// What it has written since it was asked last.
    pub fn said(&self) -> Vec<String> {
        self.said.iter().flat_map(mpsc::Receiver::try_iter).collect()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no goodbye.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; gives the exit code.
    pub fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir.join("kubeconfig")
    }

    pub async fn client(&self) -> kube::Client {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }
}

impl Drop for Windlass {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream, read in the background so that the writer never waits; the last ones are kept.
fn forward(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // Nobody may listen any more; the pipe is drained all the same.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Waits until `look` gives something, asking again every 20 ms: for what has no watch, such as a process's files.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}
