//! Keeps a bare copy of one branch of a remote repository in the data directory. What was fetched stays when the
//! remote is down, loses the branch or sends nonsense. Blocking.

use std::path::{Path, PathBuf};

use git2::{AutotagOption, Direction, FetchOptions, Oid, Repository, RepositoryInitOptions};

use super::http;
use super::location::{RepoLocation, scrub};

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("cannot keep a copy of the repository at {path}: {}", .source.message())]
    Copy { path: PathBuf, source: git2::Error },
    #[error("{url} cannot be fetched: {}", scrub(.source.message()))]
    Fetch { url: String, source: git2::Error },
    #[error("branch {branch:?} does not exist in {url}")]
    NoSuchBranch { branch: String, url: String },
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
    pub fn default_branch(&self) -> Result<String, FetchError> {
        let repository = self.repository()?;
        let head = repository.find_reference("HEAD").ok();
        let known = head.as_ref().and_then(|head| head.symbolic_target().ok().flatten());
        let known = known.filter(|target| repository.refname_to_id(target).is_ok());
        if let Some(branch) = known.and_then(|target| target.strip_prefix("refs/heads/")) {
            return Ok(branch.to_owned());
        }
        let mut remote = repository.remote_anonymous(&self.url).map_err(|source| self.failed(source))?;
        let connection = remote.connect_auth(Direction::Fetch, None, None).map_err(|source| self.failed(source))?;
        let none = || FetchError::NoDefaultBranch { url: self.shown.clone() };
        let name = connection.default_branch().map_err(|_| none())?;
        let branch = name.as_str().ok().and_then(|name| name.strip_prefix("refs/heads/")).ok_or_else(none)?;
        let branch = branch.to_owned();
        repository.set_head(&format!("refs/heads/{branch}")).map_err(|source| self.failed(source))?;
        Ok(branch)
    }

    /// Brings the copy of `branch` up to date; asks for objects only when it moved. Gives its tip.
    ///
    /// # Errors
    /// When the remote cannot be read or has no such branch; the copy is as before then.
    pub fn fetch(&self, branch: &str) -> Result<Oid, FetchError> {
        let repository = self.repository()?;
        let failed = |source| self.failed(source);
        let name = format!("refs/heads/{branch}");
        let mut remote = repository.remote_anonymous(&self.url).map_err(failed)?;
        let mut connection = remote.connect_auth(Direction::Fetch, None, None).map_err(failed)?;
        let heads = connection.list().map_err(failed)?;
        let tip = heads.iter().find(|head| head.name() == name).map(git2::RemoteHead::oid);
        let tip = tip.ok_or_else(|| FetchError::NoSuchBranch { branch: branch.to_owned(), url: self.shown.clone() })?;
        if repository.refname_to_id(&name).is_ok_and(|known| known == tip) {
            return Ok(tip);
        }
        let mut options = FetchOptions::new();
        options.download_tags(AutotagOption::None).update_fetchhead(false);
        connection.remote().fetch(&[format!("+{name}:{name}")], Some(&mut options), None).map_err(failed)?;
        repository.refname_to_id(&name).map_err(failed)
    }

    fn repository(&self) -> Result<Repository, FetchError> {
        Repository::open_bare(&self.copy).map_err(|source| FetchError::Copy { path: self.copy.clone(), source })
    }

    fn failed(&self, source: git2::Error) -> FetchError {
        FetchError::Fetch { url: self.shown.clone(), source }
    }
}
