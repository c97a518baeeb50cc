//! Reads a commit: its words and what its manifests declare. Blocking; the syncer calls it on a thread of its own.

use std::path::Path;
use std::sync::Arc;

use git2::Oid;

use super::mirror::{Commit, Mirror, MirrorError, RepoLocation};
use super::render::{self, Cache, Folder, Rendered, TreeError};
use crate::diff::plan::SourceError;

/// A repository together with what was read of it before.
pub struct Reader {
    pub mirror: Mirror,
    cache: Cache,
    /// Folder inside the repository; empty for all of it.
    path: String,
    /// Namespace of objects that name none.
    namespace: String,
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
    let Reading { commit, rendered, .. } = Reader::new(mirror, below, namespace).read(id)?;
    Ok((commit, Arc::unwrap_or_clone(rendered)))
}

impl Reader {
    pub fn new(mirror: Mirror, path: &str, namespace: &str) -> Self {
        let path = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/");
        Self { mirror, cache: Cache::default(), path, namespace: namespace.to_owned() }
    }

    /// Reads a commit; what is wrong with its manifests is in the result, with the line of the field.
    ///
    /// # Errors
    /// When the commit or its objects cannot be read.
    pub fn read(&mut self, id: Oid) -> Result<Reading, MirrorError> {
        let commit = self.mirror.commit(id)?;
        match self.cache.read(self.mirror.repository(), id, &self.path) {
            Ok(folder) => {
                let mut rendered = Rendered::of(&folder, self.base(), &self.namespace);
                self.place(id, &mut rendered.errors);
                self.cache.sweep();
                Ok(Reading { commit, rendered: Arc::new(rendered), _folder: Some(folder) })
            }
            Err(TreeError::Git(source)) => Err(self.mirror.failed(source)),
            Err(wrong) => {
                let error = SourceError { file: self.path.clone(), line: 0, message: wrong.to_string() };
                let rendered = Rendered { errors: vec![error], ..Rendered::default() };
                Ok(Reading { commit, rendered: Arc::new(rendered), _folder: None })
            }
        }
    }

    /// Moves errors to the line of their field.
    pub fn place(&self, commit: Oid, errors: &mut [SourceError]) {
        render::place(errors, |file| render::text_of(self.mirror.repository(), commit, file));
    }

    /// Where the files of the path are: a path that names a file is in its parent.
    fn base(&self) -> &str {
        match self.path.rsplit_once('/') {
            Some((parent, name)) if render::is_manifest(name) => parent,
            None if render::is_manifest(&self.path) => "",
            _ => &self.path,
        }
    }
}
