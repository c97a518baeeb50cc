//! Takes a commit back by a commit: the opposite of its changes on top of the current branch, as `git revert`
//! makes it. Only ever adds; a work tree is changed only when nothing in it can be lost.

use std::path::{Path, PathBuf};

use git2::build::CheckoutBuilder;
use git2::{Commit, ErrorCode, Index, MergeOptions, Oid, Repository, RepositoryState, Signature, StatusOptions};

#[derive(Debug, thiserror::Error)]
pub enum RevertError {
    #[error("{path} is not a git repository, nor inside one")]
    NotARepository { path: PathBuf },
    #[error("commit {revision:?} does not exist in {path}")]
    NoSuchCommit { revision: String, path: PathBuf },
    #[error("{path} has no branch checked out to put a commit on")]
    NoBranch { path: PathBuf },
    #[error(
        "the repository is in the middle of another operation (merge, rebase or the like); finish or abort it first"
    )]
    Busy,
    #[error("the work tree has uncommitted changes ({example} and others); commit or stash them first")]
    Dirty { example: String },
    #[error("commit {commit} is a merge; revert it with git revert -m, saying which parent to keep")]
    Merge { commit: Oid },
    #[error("commit {commit} is the first one; there is nothing to go back to")]
    First { commit: Oid },
    #[error("commit {commit} cannot be taken back by itself: later commits changed the same lines of {}", .files.join(", "))]
    Conflict { commit: Oid, files: Vec<String> },
    #[error("taking back commit {commit} changes nothing: its changes are gone already")]
    Empty { commit: Oid },
    #[error("git does not know who you are; set user.name and user.email with git config")]
    NoIdentity,
    #[error("git: {0}")]
    Git(#[from] git2::Error),
}

/// Reverts `revision` (for example `HEAD` or an id) on the branch that is checked out in the repository at or
/// around `path`. Gives the id of the new commit.
///
/// # Errors
/// When the revert is not clean or something could be lost; nothing was changed then.
pub fn revert(path: &Path, revision: &str) -> Result<Oid, RevertError> {
    let repository = Repository::discover(path).map_err(|error| match error.code() {
        ErrorCode::NotFound => RevertError::NotARepository { path: path.to_owned() },
        _ => RevertError::Git(error),
    })?;
    let no_branch = || RevertError::NoBranch { path: path.to_owned() };
    let head = repository.head().map_err(|_| no_branch())?;
    if !head.is_branch() {
        return Err(no_branch());
    }
    let branch = head.name().map_err(|_| no_branch())?.to_owned();
    let ours = head.peel_to_commit()?;
    let missing = |_| RevertError::NoSuchCommit { revision: revision.to_owned(), path: path.to_owned() };
    let commit = repository.revparse_single(revision).and_then(|object| object.peel_to_commit()).map_err(missing)?;
    match commit.parent_count() {
        0 => return Err(RevertError::First { commit: commit.id() }),
        1 => {}
        _ => return Err(RevertError::Merge { commit: commit.id() }),
    }
    if repository.state() != RepositoryState::Clean {
        return Err(RevertError::Busy);
    }
    if !repository.is_bare() {
        refuse_dirty(&repository)?;
    }
    let mut index = repository.revert_commit(&commit, &ours, 0, Some(&MergeOptions::new()))?;
    if index.has_conflicts() {
        return Err(RevertError::Conflict { commit: commit.id(), files: conflicts(&index)? });
    }
    let tree = repository.find_tree(index.write_tree_to(&repository)?)?;
    if tree.id() == ours.tree_id() {
        return Err(RevertError::Empty { commit: commit.id() });
    }
    let who = signature(&repository)?;
    let id = repository.commit(None, &who, &who, &message(&commit), &tree, &[&ours])?;
    if !repository.is_bare() {
        // The files first: a commit without its files would look like local edits that undo it.
        let object = repository.find_object(tree.id(), None)?;
        repository.checkout_tree(&object, Some(CheckoutBuilder::new().safe()))?;
    }
    // Moves the branch only from where it was read; this is what wakes the syncer.
    let log = format!("revert: {}", summary(&commit));
    repository.reference_matching(&branch, id, true, ours.id(), &log)?;
    Ok(id)
}

fn refuse_dirty(repository: &Repository) -> Result<(), RevertError> {
    let mut options = StatusOptions::new();
    options.include_untracked(false).include_ignored(false);
    let statuses = repository.statuses(Some(&mut options))?;
    match statuses.iter().next() {
        Some(entry) => Err(RevertError::Dirty { example: String::from_utf8_lossy(entry.path_bytes()).into_owned() }),
        None => Ok(()),
    }
}

fn conflicts(index: &Index) -> Result<Vec<String>, git2::Error> {
    let mut files = Vec::new();
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
        files.extend(entry.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn signature(repository: &Repository) -> Result<Signature<'static>, RevertError> {
    repository.signature().map_err(|error| match error.code() {
        ErrorCode::NotFound => RevertError::NoIdentity,
        _ => RevertError::Git(error),
    })
}

fn summary(commit: &Commit) -> String {
    String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned()
}

/// In git's own words, so that tools recognise it.
fn message(commit: &Commit) -> String {
    format!("Revert \"{}\"\n\nThis reverts commit {}.\n", summary(commit), commit.id())
}
