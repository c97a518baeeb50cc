//! Reads a commit: its words and what its manifests declare. Blocking; the syncer calls it on a thread of its own.

use std::path::Path;
use std::sync::Arc;

use git2::Oid;

use super::mirror::{Commit, Mirror, MirrorError, RepoLocation};
use super::render::{self, Cache, Folder, Rendered, TreeError};
use super::settings::{Selection, normalised};
use crate::diff::plan::SourceError;

/// A repository together with what was read of it before.
pub struct Reader {
    pub mirror: Mirror,
    cache: Cache,
}

/// What is read of a commit.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Folder (or file) inside the repository, normalised; empty for all of it.
    pub path: &'a str,
    pub selection: &'a Selection,
    /// Namespace of objects that name none.
    pub namespace: &'a str,
}

/// A commit that was read.
#[derive(Clone)]
pub struct Reading {
    pub commit: Commit,
    pub rendered: Arc<Rendered>,
    /// Keeps the commit's files in the cache.
    _folder: Option<Arc<Folder>>,
}

/// What the repository at or around `path` declares below its folder `below` at a revision, with its commit.
///
/// # Errors
/// When there is no repository, no such revision, or the repository cannot be read.
pub fn at_revision(
    path: &Path,
    revision: &str,
    below: &str,
    namespace: &str,
) -> Result<(Commit, Rendered), MirrorError> {
    let mirror = Mirror::open(path, &RepoLocation::Local(path.to_owned()))?;
    let id = mirror.resolve(revision)?;
    let below = normalised(below).unwrap_or_else(|_| below.to_owned());
    let wanted = Wanted { path: &below, selection: &Selection::all(), namespace };
    let Reading { commit, rendered, .. } = Reader::new(mirror).read(id, wanted)?;
    Ok((commit, Arc::unwrap_or_clone(rendered)))
}

impl Reader {
    pub fn new(mirror: Mirror) -> Self {
        Self { mirror, cache: Cache::default() }
    }

    /// Reads a commit; what is wrong with its manifests is in the result, with the line of the field.
    ///
    /// # Errors
    /// When the commit or its objects cannot be read.
    pub fn read(&mut self, id: Oid, wanted: Wanted) -> Result<Reading, MirrorError> {
        let commit = self.mirror.commit(id)?;
        match self.cache.read(self.mirror.repository(), id, wanted.path) {
            Ok(folder) => {
                let mut rendered = Rendered::of(&folder, base(wanted.path), wanted.namespace, wanted.selection);
                self.place(id, &mut rendered.errors);
                self.cache.sweep();
                Ok(Reading { commit, rendered: Arc::new(rendered), _folder: Some(folder) })
            }
            Err(TreeError::Git(source)) => Err(self.mirror.failed(source)),
            Err(wrong) => {
                let error = SourceError { file: wanted.path.to_owned(), line: 0, message: wrong.to_string() };
                let rendered = Rendered { errors: vec![error], ..Rendered::default() };
                Ok(Reading { commit, rendered: Arc::new(rendered), _folder: None })
            }
        }
    }

    /// Moves errors to the line of their field.
    pub fn place(&self, commit: Oid, errors: &mut [SourceError]) {
        render::place(errors, |file| render::text_of(self.mirror.repository(), commit, file));
    }
}

/// Where the files of a path are: a path that names a file is in its parent.
fn base(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((parent, name)) if render::is_manifest(name) => parent,
        None if render::is_manifest(path) => "",
        _ => path,
    }
}
