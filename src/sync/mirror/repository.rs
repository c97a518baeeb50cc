//! The repository as the syncer reads it: objects and the tip of one branch. A local repository is read where it
//! is; a remote one through a bare copy in the data directory. No work tree, no hooks, nothing executed.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use git2::{ErrorCode, ObjectType, Oid, Repository, Tree, TreeEntry};
use jiff::Timestamp;

use super::location::{RepoLocation, scrub};
use super::target;
use crate::sync::signature::Signed;

/// The part of a commit that people read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub id: Oid,
    /// `Name <mail>`
    pub author: String,
    /// First line of the message.
    pub subject: String,
}

impl Commit {
    /// The first seven digits of the id.
    pub fn short(&self) -> String {
        self.id.to_string()[..7].to_owned()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    #[error("{path} is not a git repository, nor inside one")]
    NotARepository { path: PathBuf },
    #[error(
        "{path} belongs to another user, so git refuses to read it; if you trust it: \
         git config --global --add safe.directory {path}"
    )]
    Owner { path: PathBuf },
    #[error("{revision:?} does not exist in {repository}: no branch, tag or commit is called so")]
    NoSuchTarget { revision: String, repository: String },
    #[error("the current commit of {repository} is on no branch; name one with --branch")]
    Detached { repository: String },
    #[error("{path} has no work tree; name a revision")]
    NoWorkTree { path: PathBuf },
    #[error(
        "the work tree at {path} has more than {mib} MiB of files that git does not have; list in .gitignore what is \
         not to be committed, or name a revision"
    )]
    TooMuch { path: PathBuf, mib: u64 },
    #[error("commit {revision:?} does not exist in {repository}")]
    NoSuchCommit { revision: String, repository: String },
    #[error("cannot read {repository}: {}", scrub(.source.message()))]
    Git { repository: String, source: git2::Error },
}

/// Changed files that are told one by one.
const MOST_CHANGED: usize = 2_000;
/// Folders inside each other that are compared one by one.
const DEEPEST: usize = 64;

/// A repository on this machine that holds what is to be deployed.
pub struct Mirror {
    repository: Repository,
    /// For messages, without credentials.
    shown: String,
}

impl Mirror {
    /// Opens the repository at or around `path`.
    ///
    /// # Errors
    /// When there is none or it cannot be read.
    pub fn open(path: &Path, location: &RepoLocation) -> Result<Self, MirrorError> {
        keep_large_trees();
        let shown = location.to_string();
        let repository = Repository::discover(path).map_err(|source| match source.code() {
            ErrorCode::NotFound => MirrorError::NotARepository { path: path.to_owned() },
            ErrorCode::Owner => MirrorError::Owner { path: path.to_owned() },
            _ => MirrorError::Git { repository: shown.clone(), source },
        })?;
        Ok(Self { repository, shown })
    }

    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The folder whose `refs`, `packed-refs` and `reftable` change when a branch moves.
    pub fn refs_folder(&self) -> &Path {
        self.repository.commondir()
    }

    /// The branch that is checked out (or that the first commit will create).
    ///
    /// # Errors
    /// When HEAD is detached or unreadable.
    pub fn current_branch(&self) -> Result<String, MirrorError> {
        let head = self.repository.find_reference("HEAD").map_err(|e| self.failed(e))?;
        let target = head.symbolic_target().ok().flatten();
        let branch = target.and_then(|target| target.strip_prefix("refs/heads/"));
        branch.map(str::to_owned).ok_or_else(|| MirrorError::Detached { repository: self.shown.clone() })
    }

    /// The commit that an Application's `targetRevision` means now.
    ///
    /// # Errors
    /// When it means none, or the repository cannot be read.
    pub fn tip(&self, target_revision: &str) -> Result<Oid, MirrorError> {
        let found = target::resolve(&self.repository, target_revision).map_err(|source| self.failed(source))?;
        found.ok_or_else(|| {
            let revision = if target_revision.is_empty() { "HEAD" } else { target_revision }.to_owned();
            MirrorError::NoSuchTarget { revision, repository: self.shown.clone() }
        })
    }

    /// The id of the folder or file `path` in a commit; of the root when it is empty. `None` when there is none.
    ///
    /// # Errors
    /// When the commit cannot be read.
    pub fn content(&self, commit: Oid, path: &str) -> Result<Option<Oid>, MirrorError> {
        let tree = self.repository.find_commit(commit).and_then(|commit| commit.tree());
        let tree = tree.map_err(|source| self.failed(source))?;
        if path.is_empty() {
            return Ok(Some(tree.id()));
        }
        Ok(tree.get_path(path.as_ref()).ok().map(|entry| entry.id()))
    }

    /// The files and folders in which two commits differ; `None` when nobody can say, or when they are too many to be worth
    /// it. What is the same is not looked into, so it costs what the change does.
    pub fn changed_paths(&self, before: Oid, after: Oid) -> Option<Vec<String>> {
        let tree = |id| self.repository.find_commit(id).and_then(|commit| commit.tree()).ok();
        let mut changed = Vec::new();
        self.collect_changed(&tree(before)?, &tree(after)?, "", 0, &mut changed)?;
        Some(changed)
    }

    fn collect_changed(&self, a: &Tree, b: &Tree, at: &str, depth: usize, changed: &mut Vec<String>) -> Option<()> {
        if a.id() == b.id() {
            return Some(());
        }
        if depth > DEEPEST {
            return None;
        }
        let path = |name: &[u8]| format!("{at}{}", String::from_utf8_lossy(name));
        for new in b {
            let old = a.get_name_bytes(new.name_bytes());
            let is_folder = |entry: &TreeEntry| entry.kind() == Some(ObjectType::Tree);
            match old {
                Some(old) if old.id() == new.id() && old.filemode() == new.filemode() => {}
                Some(old) if is_folder(&old) && is_folder(&new) => {
                    let folder = |id| self.repository.find_tree(id).ok();
                    let below = format!("{}/", path(new.name_bytes()));
                    self.collect_changed(&folder(old.id())?, &folder(new.id())?, &below, depth + 1, changed)?;
                }
                _ => changed.push(path(new.name_bytes())),
            }
            if changed.len() > MOST_CHANGED {
                return None;
            }
        }
        let gone = a.iter().filter(|old| b.get_name_bytes(old.name_bytes()).is_none());
        changed.extend(gone.map(|old| path(old.name_bytes())));
        Some(())
    }

    /// # Errors
    /// When the commit is not (or no longer) in the repository.
    pub fn commit(&self, id: Oid) -> Result<Commit, MirrorError> {
        let commit = self.repository.find_commit(id).map_err(|_| self.missing(&id.to_string()))?;
        let author = commit.author();
        let name = String::from_utf8_lossy(author.name_bytes()).into_owned();
        let mail = String::from_utf8_lossy(author.email_bytes()).into_owned();
        let subject = String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned();
        Ok(Commit { id, author: printable(&format!("{name} <{mail}>"), 200), subject: printable(&subject, 200) })
    }

    /// Whether two commits that are both here have no commit in common.
    pub fn is_unrelated(&self, one: Oid, other: Oid) -> bool {
        let here = |id| self.repository.find_commit(id).is_ok();
        let base = || self.repository.merge_base(one, other);
        here(one) && here(other) && base().is_err_and(|error| error.code() == git2::ErrorCode::NotFound)
    }

    /// The commit that a person's words (`HEAD~1`, a tag, a branch, an id) mean.
    ///
    /// # Errors
    /// When they mean none.
    pub fn resolve(&self, revision: &str) -> Result<Oid, MirrorError> {
        let found = self.repository.revparse_single(revision).and_then(|object| object.peel_to_commit());
        found.map(|commit| commit.id()).map_err(|_| self.missing(revision))
    }

    /// The signature of a commit and what it is over; `None` when it has none.
    pub fn signed(&self, id: Oid) -> Option<Signed> {
        let (signature, payload) = self.repository.extract_signature(&id, None).ok()?;
        let seconds = self.repository.find_commit(id).ok()?.committer().when().seconds();
        let signature = String::from_utf8_lossy(&signature).into_owned();
        let committed = Timestamp::from_second(seconds).ok()?;
        Some(Signed { signature, payload: payload.to_vec(), committed })
    }

    fn missing(&self, revision: &str) -> MirrorError {
        MirrorError::NoSuchCommit { revision: revision.to_owned(), repository: self.shown.clone() }
    }

    pub fn failed(&self, source: git2::Error) -> MirrorError {
        MirrorError::Git { repository: self.shown.clone(), source }
    }
}

/// Lets libgit2 keep the trees that it has read, up to this size: a folder of a thousand Applications is looked into a
/// thousand times a commit, and by default only trees of some hundred entries are kept.
fn keep_large_trees() {
    const LARGEST: usize = 4 << 20;
    // The setting is of the process, so it is made once, by whoever opens the first repository.
    static KEPT: OnceLock<()> = OnceLock::new();
    KEPT.get_or_init(|| {
        // SAFETY: it must not run beside other uses of the library's settings; the cell lets one thread through, and
        // every repository of this program is opened after it.
        if let Err(error) = unsafe { git2::opts::set_cache_object_limit(git2::ObjectType::Tree, LARGEST) } {
            tracing::debug!(%error, "large trees are read anew each time");
        }
    });
}

/// Text of a stranger for one line of a terminal: no control characters, not too long.
fn printable(text: &str, limit: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .take(limit)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_two_commits_is_named_and_the_rest_is_not_looked_into() {
        let folder = tempfile::TempDir::new().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let who = git2::Signature::now("Ada", "ada@example.com").unwrap();
        let commit = |files: &[(&str, &str, FileMode)]| {
            let mut update = git2::build::TreeUpdateBuilder::new();
            for (path, text, mode) in files {
                update.upsert(*path, repository.blob(text.as_bytes()).unwrap(), *mode);
            }
            let base = repository.find_tree(repository.treebuilder(None).unwrap().write().unwrap()).unwrap();
            let tree = repository.find_tree(update.create_updated(&repository, &base).unwrap()).unwrap();
            repository.commit(None, &who, &who, "x", &tree, &[]).unwrap()
        };
        use git2::FileMode;
        let (file, link) = (FileMode::Blob, FileMode::Link);
        let one =
            commit(&[("a/b/x", "1", file), ("a/y", "1", file), ("c", "1", file), ("d/e", "1", file), ("l", "c", file)]);
        let two =
            commit(&[("a/b/x", "2", file), ("a/y", "1", file), ("c/f", "1", file), ("g", "1", file), ("l", "c", link)]);
        let mirror = Mirror::open(folder.path(), &RepoLocation::Local(folder.path().to_owned())).unwrap();
        let mut changed = mirror.changed_paths(one, two).unwrap();
        changed.sort();
        assert_eq!(changed, ["a/b/x", "c", "d", "g", "l"]);
        assert_eq!(mirror.changed_paths(one, one), Some(Vec::new()));
        assert_eq!(mirror.changed_paths(one, Oid::ZERO_SHA1), None);
    }
}
