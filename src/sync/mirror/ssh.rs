//! Fetches and pushes over SSH. libgit2 is built without it, so the `git` program does it, as a bounded child: with a key and
//! known hosts out of files of its own, no agent, no configuration, no questions. Blocking.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use git2::Oid;
use tempfile::TempDir;

use super::remote::{FetchError, names};
use crate::sync::credentials::Access;
use crate::sync::tool::{ToolError, Tools};

/// How a fetch over SSH is run.
pub struct Ssh<'a> {
    pub url: &'a str,
    pub shown: &'a str,
    pub copy: &'a Path,
    pub access: &'a Access,
    pub tools: &'a Tools,
}

/// What the remote has: its refs, and the one that HEAD names.
pub type Listing = (BTreeMap<String, Oid>, Option<String>);

impl Ssh<'_> {
    /// # Errors
    /// When the remote cannot be asked.
    pub fn list(&self) -> Result<Listing, FetchError> {
        let output = self.git(&["ls-remote", "--symref", "--", self.url])?;
        let (mut refs, mut head) = (BTreeMap::new(), None);
        for line in String::from_utf8_lossy(&output).lines() {
            match line.split_once('\t') {
                Some((target, "HEAD")) if target.starts_with("ref: ") => head = Some(target[5..].to_owned()),
                Some((id, name)) => drop(id.parse().map(|id| refs.insert(name.to_owned(), id))),
                None => {}
            }
        }
        Ok((refs, head))
    }

    /// # Errors
    /// When the remote cannot be fetched.
    pub fn fetch(&self, specs: &[String]) -> Result<(), FetchError> {
        let copy = self.copy.to_string_lossy();
        let mut args = vec!["-C", &copy, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", self.url];
        args.extend(specs.iter().map(String::as_str));
        self.git(&args).map(drop)
    }

    /// # Errors
    /// When the remote refuses.
    pub fn push(&self, spec: &str) -> Result<(), FetchError> {
        let copy = self.copy.to_string_lossy();
        self.git(&["-C", &copy, "push", "--quiet", "--no-verify", "--", self.url, spec]).map(drop)
    }

    fn git(&self, args: &[&str]) -> Result<Vec<u8>, FetchError> {
        let failed = |message: String| FetchError::Ssh { url: self.shown.to_owned(), message };
        let git =
            self.tools.find("git").ok_or_else(|| failed("git is needed for SSH and is not installed".to_owned()))?;
        let ssh =
            self.tools.find("ssh").ok_or_else(|| failed("ssh is needed for SSH and is not installed".to_owned()))?;
        let folder = TempDir::new().map_err(|error| failed(error.to_string()))?;
        let command = self.ssh_command(&ssh, folder.path()).map_err(|error| failed(error.to_string()))?;
        let variables = [
            ("GIT_SSH_COMMAND", command),
            ("GIT_TERMINAL_PROMPT", "0".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("GIT_ALLOW_PROTOCOL", "ssh".into()),
        ];
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let output = self.tools.run_connected(&git, &args, folder.path(), &variables);
        output.map_err(|error: ToolError| failed(gist(&error.to_string(), folder.path())))
    }

    fn ssh_command(&self, ssh: &Path, folder: &Path) -> std::io::Result<OsString> {
        let hosts = folder.join("known_hosts");
        fs::write(&hosts, format!("{}\n", self.access.known_hosts))?;
        let strict = if self.access.ignores_host_key { "no" } else { "yes" };
        let mut command = format!(
            "{} -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityAgent=none -o ConnectTimeout=10 \
             -o StrictHostKeyChecking={strict} -o UserKnownHostsFile={} -o GlobalKnownHostsFile=/dev/null",
            ssh.display(),
            hosts.display()
        );
        if !self.access.ssh_key.is_empty() {
            let key = folder.join("key");
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key)?;
            // ssh wants the last line to end.
            std::io::Write::write_all(&mut file, format!("{}\n", self.access.ssh_key.trim_end()).as_bytes())?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            command += &format!(" -i {}", key.display());
        }
        Ok(command.into())
    }
}

/// What git and ssh say in the end, without banners, general advice and files of ours that are gone by then.
fn gist(text: &str, folder: &Path) -> String {
    const SAID: usize = 4;
    let folder = folder.to_string_lossy();
    let is_noise = |line: &str| {
        line.is_empty()
            || line.starts_with('@')
            || line.contains(&*folder)
            || matches!(line, "Please make sure you have the correct access rights" | "and the repository exists.")
    };
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !is_noise(line)).collect();
    lines[lines.len().saturating_sub(SAID)..].join(" ")
}

/// The refspecs of what is wanted and not here yet.
pub fn specs(
    wanted: &BTreeSet<String>,
    listing: &Listing,
    here: impl Fn(&str) -> Option<Oid>,
    has: impl Fn(Oid) -> bool,
) -> Vec<String> {
    let names = names(wanted, &listing.0, listing.1.as_deref(), has);
    let moved = names.into_iter().filter(|name| here(name) != listing.0.get(*name).copied());
    moved.map(|name| format!("+{name}:{name}")).collect()
}
