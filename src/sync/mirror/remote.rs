//! Keeps a bare copy of what is followed of a remote repository in the data directory. The commits that were fetched
//! stay when the remote is down, loses the branch or sends nonsense. Blocking.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use git2::{
    AutotagOption, Direction, FetchOptions, Oid, PushOptions, RemoteCallbacks, Repository, RepositoryInitOptions,
};

use super::http;
use super::location::{RepoLocation, scrub};
use super::ssh::{self, Ssh};
use super::target::{Target, is_commit_id};
use crate::sync::credentials::Access;
use crate::sync::tool::Tools;

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("cannot keep a copy of the repository at {path}: {}", .source.message())]
    Copy { path: PathBuf, source: git2::Error },
    #[error("{url} cannot be fetched: {}", scrub(.source.message()))]
    Fetch { url: String, source: git2::Error },
    #[error("{url} cannot be reached: {message}")]
    Ssh { url: String, message: String },
    #[error("{url} does not take what is pushed: {message}")]
    Push { url: String, message: String },
    #[error("{url} has no default branch; name one with --branch")]
    NoDefaultBranch { url: String },
    #[error("the fetch ended without an outcome")]
    Abandoned,
}

pub struct Remote {
    /// With credentials, if it has any.
    url: String,
    shown: String,
    copy: PathBuf,
}

impl Remote {
    /// Opens the copy below `folder`, or makes an empty one.
    ///
    /// # Errors
    /// When the copy can neither be opened nor made.
    pub fn open(url: &str, folder: &Path) -> Result<Self, FetchError> {
        let location = RepoLocation::Remote(url.to_owned());
        let shown = location.to_string();
        // Two repositories of one name are two copies; credentials may change without a new one.
        let digest = ring::digest::digest(&ring::digest::SHA256, shown.as_bytes());
        let digest: String = digest.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let copy = folder.join(format!("{}-{digest}.git", location.name()));
        let failed = |source| FetchError::Copy { path: copy.clone(), source };
        http::register().map_err(failed)?;
        if Repository::open_bare(&copy).is_err() {
            let mut options = RepositoryInitOptions::new();
            options.bare(true).mkpath(true).external_template(false);
            Repository::init_opts(&copy, &options).map_err(failed)?;
        }
        Ok(Self { url: url.to_owned(), shown, copy })
    }

    /// Where the copy is.
    pub fn copy(&self) -> &Path {
        &self.copy
    }

    /// The branch that the remote's HEAD names; asks the remote only when it was never asked before.
    ///
    /// # Errors
    /// When the remote cannot be asked or has none.
    pub fn default_branch(&self, access: &Access, tools: &Tools) -> Result<String, FetchError> {
        let repository = self.repository()?;
        let head = repository.find_reference("HEAD").ok();
        let known = head.as_ref().and_then(|head| head.symbolic_target().ok().flatten());
        let known = known.filter(|target| repository.refname_to_id(target).is_ok());
        if let Some(branch) = known.and_then(|target| target.strip_prefix("refs/heads/")) {
            return Ok(branch.to_owned());
        }
        let name = match self.ssh(access, tools) {
            Some(ssh) => ssh.list()?.1,
            None => {
                let url = access.url(&self.url);
                let mut remote = repository.remote_anonymous(&url).map_err(|source| self.failed(source))?;
                let connection =
                    remote.connect_auth(Direction::Fetch, None, None).map_err(|source| self.failed(source))?;
                connection.default_branch().ok().and_then(|name| name.as_str().ok().map(str::to_owned))
            }
        };
        let none = || FetchError::NoDefaultBranch { url: self.shown.clone() };
        let branch = name.as_deref().and_then(|name| name.strip_prefix("refs/heads/")).ok_or_else(none)?.to_owned();
        repository.set_head(&format!("refs/heads/{branch}")).map_err(|source| self.failed(source))?;
        Ok(branch)
    }

    /// Brings the copy of what the target revisions mean up to date; asks for objects only when something moved.
    /// A branch or tag that the remote no longer has goes from the copy, its commits stay.
    ///
    /// # Errors
    /// When the remote cannot be read; the copy is as before then.
    pub fn fetch(&self, wanted: &BTreeSet<String>, access: &Access, tools: &Tools) -> Result<(), FetchError> {
        let repository = self.repository()?;
        let failed = |source| self.failed(source);
        let (here, has) = (|name: &str| repository.refname_to_id(name).ok(), |id| repository.find_commit(id).is_ok());
        if let Some(ssh) = self.ssh(access, tools) {
            let listing = ssh.list()?;
            forget(&repository, &listing.0).map_err(failed)?;
            let specs = ssh::specs(wanted, &listing, here, has);
            if !specs.is_empty() {
                ssh.fetch(&specs)?;
            }
            return listing.1.map_or(Ok(()), |head| repository.set_head(&head).map_err(failed));
        }
        let mut remote = repository.remote_anonymous(&access.url(&self.url)).map_err(failed)?;
        let mut connection = remote.connect_auth(Direction::Fetch, None, None).map_err(failed)?;
        let default = connection.default_branch().ok().and_then(|name| name.as_str().ok().map(str::to_owned));
        let heads = connection.list().map_err(failed)?;
        let listed: BTreeMap<String, Oid> = heads.iter().map(|head| (head.name().to_owned(), head.oid())).collect();
        forget(&repository, &listed).map_err(failed)?;
        let listing = (listed, default);
        let specs = ssh::specs(wanted, &listing, here, has);
        let default = listing.1;
        if !specs.is_empty() {
            let mut options = FetchOptions::new();
            options.download_tags(AutotagOption::None).update_fetchhead(false);
            connection.remote().fetch(&specs, Some(&mut options), None).map_err(failed)?;
        }
        match default {
            Some(default) => repository.set_head(&default).map_err(failed),
            None => Ok(()),
        }
    }

    /// Brings what one refspec names into the copy.
    ///
    /// # Errors
    /// When the remote cannot be read or has no such ref.
    pub fn fetch_spec(&self, spec: &str, access: &Access, tools: &Tools) -> Result<(), FetchError> {
        if let Some(ssh) = self.ssh(access, tools) {
            return ssh.fetch(&[spec.to_owned()]);
        }
        let repository = self.repository()?;
        let mut remote = repository.remote_anonymous(&access.url(&self.url)).map_err(|source| self.failed(source))?;
        let mut options = FetchOptions::new();
        options.download_tags(AutotagOption::None).update_fetchhead(false);
        remote.fetch(&[spec], Some(&mut options), None).map_err(|source| self.failed(source))
    }

    /// What a ref of the remote is at; `None` when it has none of that name.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub fn tip(&self, reference: &str, access: &Access, tools: &Tools) -> Result<Option<Oid>, FetchError> {
        if let Some(ssh) = self.ssh(access, tools) {
            return Ok(ssh.list()?.0.get(reference).copied());
        }
        let failed = |source| self.failed(source);
        let repository = self.repository()?;
        let mut remote = repository.remote_anonymous(&access.url(&self.url)).map_err(failed)?;
        let connection = remote.connect_auth(Direction::Fetch, None, None).map_err(failed)?;
        let heads = connection.list().map_err(failed)?;
        Ok(heads.iter().find(|head| head.name() == reference).map(|head| head.oid()))
    }

    /// Gives the remote what a ref of the copy is at, if that follows what the remote has.
    ///
    /// # Errors
    /// When the remote refuses or cannot be reached.
    pub fn push(&self, reference: &str, access: &Access, tools: &Tools) -> Result<(), FetchError> {
        let spec = format!("{reference}:{reference}");
        if let Some(ssh) = self.ssh(access, tools) {
            return ssh.push(&spec);
        }
        let refused = |message: &str| FetchError::Push { url: self.shown.clone(), message: scrub(message) };
        let repository = self.repository()?;
        let mut remote = repository.remote_anonymous(&access.url(&self.url)).map_err(|source| self.failed(source))?;
        let refusal = RefCell::new(None);
        let mut callbacks = RemoteCallbacks::new();
        callbacks.push_update_reference(|_, status| {
            *refusal.borrow_mut() = status.map(str::to_owned);
            Ok(())
        });
        let mut options = PushOptions::new();
        options.remote_callbacks(callbacks);
        let pushed = remote.push(&[&spec], Some(&mut options));
        drop(options);
        pushed.map_err(|error| refused(error.message()))?;
        refusal.into_inner().map_or(Ok(()), |message| Err(refused(&message)))
    }

    /// The way over SSH, if that is how the repository is reached.
    fn ssh<'a>(&'a self, access: &'a Access, tools: &'a Tools) -> Option<Ssh<'a>> {
        let is_ssh = RepoLocation::Remote(self.url.clone()).is_ssh();
        is_ssh.then_some(Ssh { url: &self.url, shown: &self.shown, copy: &self.copy, access, tools })
    }

    fn repository(&self) -> Result<Repository, FetchError> {
        Repository::open_bare(&self.copy).map_err(|source| FetchError::Copy { path: self.copy.clone(), source })
    }

    fn failed(&self, source: git2::Error) -> FetchError {
        FetchError::Fetch { url: self.shown.clone(), source }
    }
}

/// Git notes with the outcome of each commit.
pub const NOTES: &str = "refs/notes/windlass";
/// Refs of the copy that are windlass's own.
const OURS: [&str; 2] = [NOTES, "refs/windlass/"];

/// Takes refs out of the copy that the remote no longer has.
fn forget(repository: &Repository, listed: &BTreeMap<String, Oid>) -> Result<(), git2::Error> {
    for reference in repository.references()? {
        let mut reference = reference?;
        let is_ours = |name: &str| OURS.iter().any(|ours| name.starts_with(ours));
        let gone = reference.name().is_ok_and(|name| !listed.contains_key(name) && !is_ours(name));
        if gone {
            reference.delete()?;
        }
    }
    Ok(())
}

/// The remote's refs that hold what is wanted. A commit is on some branch or tag: all are fetched, unless it is here.
pub(super) fn names<'a>(
    wanted: &BTreeSet<String>,
    listed: &'a BTreeMap<String, Oid>,
    default: Option<&str>,
    is_here: impl Fn(Oid) -> bool,
) -> BTreeSet<&'a str> {
    let all = || listed.keys().map(String::as_str).filter(|name| !name.ends_with("^{}"));
    let followed = |name: &&str| name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
    let mut names = BTreeSet::new();
    for text in wanted {
        let target = Target::of(text);
        match &target {
            Target::Head => names.extend(all().filter(|name| Some(*name) == default)),
            Target::Name(name) => {
                let candidates = [name.clone(), format!("refs/heads/{name}"), format!("refs/tags/{name}")];
                let found: Vec<_> = all().filter(followed).filter(|n| candidates.iter().any(|c| c == n)).collect();
                let is_missing = found.is_empty()
                    && is_commit_id(name)
                    && !(name.len() == 40 && Oid::from_str(name).is_ok_and(&is_here));
                names.extend(found);
                if is_missing {
                    names.extend(all().filter(followed));
                }
            }
            Target::Versions(_) | Target::Tags(_) => {
                let tags = all().filter(|n| n.strip_prefix("refs/tags/").is_some_and(|tag| target.admits(tag)));
                names.extend(tags);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_followed_is_fetched() {
        let id = Oid::ZERO_SHA1;
        let refs = ["refs/heads/main", "refs/heads/next", "refs/tags/v1.0.0", "refs/tags/v1.1.0", "refs/tags/v2.0.0"];
        let listed: BTreeMap<String, Oid> = refs
            .iter()
            .chain(&["HEAD", "refs/pull/1/head", "refs/tags/v1.0.0^{}"])
            .map(|name| ((*name).to_owned(), id))
            .collect();
        let fetched = |text: &str| -> Vec<&str> {
            names(&[text.to_owned()].into(), &listed, Some("refs/heads/main"), |_| true).into_iter().collect()
        };
        assert_eq!(fetched(""), ["refs/heads/main"]);
        assert_eq!(fetched("next"), ["refs/heads/next"]);
        assert_eq!(fetched("refs/tags/v2.0.0"), ["refs/tags/v2.0.0"]);
        assert_eq!(fetched("1.*"), ["refs/tags/v1.0.0", "refs/tags/v1.1.0"]);
        assert_eq!(fetched("gone"), [""; 0]);
        assert_eq!(fetched("refs/pull/1/head"), [""; 0]);
        assert_eq!(fetched("0123abc"), refs, "a short id is on some branch or tag");
        assert_eq!(fetched(&"a".repeat(40)), [""; 0], "the commit is here already");
    }
}
