//! Reads a commit: its words and what its manifests declare. Blocking; the syncer calls it on a thread of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use git2::{Oid, Tree};

use super::mirror::{Commit, Mirror, MirrorError};
use super::render::{self, AgeKeys, Cache, File, Folder, Rendered, TreeError};
use super::settings::{Selection, SourceSettings};
use super::tool::{self, Job, OutcomeId, Source};
use crate::diff::plan::SourceError;

/// Outcomes of tools that are kept before those are forgotten that nobody uses.
const MOST_OUTCOMES: usize = 1024;

/// A handle on a repository, with what was read of it before, whichever handle did.
pub struct Reader {
    pub mirror: Mirror,
    memory: Arc<Memory>,
}

/// What was read of a repository.
#[derive(Default)]
pub struct Memory {
    cache: Cache,
    /// What tools printed.
    outcomes: Mutex<HashMap<OutcomeId, Arc<File>>>,
}

impl Memory {
    /// `keys` open what SOPS encrypted.
    pub fn new(keys: Option<AgeKeys>) -> Self {
        Self { cache: Cache::new(keys), outcomes: Mutex::default() }
    }

    fn outcomes(&self) -> MutexGuard<'_, HashMap<OutcomeId, Arc<File>>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is read of a commit.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Folder (or file) inside the repository, normalised; empty for all of it.
    pub path: &'a str,
    pub selection: &'a Selection,
    /// Namespace of objects that name none.
    pub namespace: &'a str,
    /// How a folder is rendered that asks for a tool; read as plain files when absent.
    pub tools: Option<(&'a SourceSettings, &'a str)>,
}

/// A commit on the way to being read.
pub enum Prepared {
    Read(Reading),
    /// A tool has yet to run.
    Job(Commit, Box<Job>),
}

/// A commit that was read.
#[derive(Clone)]
pub struct Reading {
    pub commit: Commit,
    pub rendered: Arc<Rendered>,
    /// Keeps the commit's files in the cache.
    _folder: Option<Arc<Folder>>,
}

/// What a tool printed, or all that is wrong.
pub type Outcome = Result<Arc<File>, Vec<SourceError>>;

impl Reading {
    fn new(commit: Commit, rendered: Rendered) -> Self {
        Self { commit, rendered: Arc::new(rendered), _folder: None }
    }

    /// The same of another commit, which declares the same.
    pub fn at(&self, commit: Commit) -> Self {
        Self { commit, ..self.clone() }
    }
}

impl Reader {
    pub fn new(mirror: Mirror, memory: Arc<Memory>) -> Self {
        Self { mirror, memory }
    }

    /// Reads a commit; what is wrong with its manifests is in the result, with the line of the field.
    ///
    /// # Errors
    /// When the commit or its objects cannot be read.
    pub fn read(&self, id: Oid, wanted: Wanted) -> Result<Reading, MirrorError> {
        let commit = self.mirror.commit(id)?;
        match self.memory.cache.read(self.mirror.repository(), id, wanted.path) {
            Ok(folder) => {
                let mut rendered = Rendered::of(&folder, base(wanted.path), wanted.namespace, wanted.selection);
                self.place(id, &mut rendered.errors);
                self.memory.cache.sweep();
                Ok(Reading { commit, rendered: Arc::new(rendered), _folder: Some(folder) })
            }
            Err(TreeError::Git(source)) => Err(self.mirror.failed(source)),
            Err(wrong) => {
                let error = SourceError { file: wanted.path.to_owned(), line: 0, message: wrong.to_string() };
                let rendered = Rendered::refused(vec![error]);
                Ok(Reading { commit, rendered: Arc::new(rendered), _folder: None })
            }
        }
    }

    /// As [`Reader::read`], but what a tool has to render is only prepared. Gives whether the folder draws on others.
    ///
    /// # Errors
    /// When the commit or its objects cannot be read.
    pub fn prepare(&self, id: Oid, wanted: Wanted) -> Result<(Prepared, bool), MirrorError> {
        let Some((settings, name)) = wanted.tools.filter(|(settings, _)| !settings.is_plain) else {
            return Ok((Prepared::Read(self.read(id, wanted)?), false));
        };
        let Some((asks, source)) = self.tool_of(id, wanted.path, settings)? else {
            return Ok((Prepared::Read(self.read(id, wanted)?), false));
        };
        let commit = self.mirror.commit(id)?;
        let repository = self.mirror.repository();
        let tree = self.tree(id)?;
        let shown = if wanted.path.is_empty() { asks.clone() } else { format!("{}/{asks}", wanted.path) };
        let job = tool::Wanted { path: wanted.path, asks, source, name, namespace: wanted.namespace };
        match tool::prepare(repository, &tree, job, |id| self.memory.outcomes().contains_key(id)) {
            Ok((_, is_wide, Some(job))) => Ok((Prepared::Job(commit, Box::new(job)), is_wide)),
            Ok((id, is_wide, None)) => {
                let file = self.memory.outcomes().get(&id).cloned().unwrap_or_default();
                let rendered = Rendered::of_file(&file, &shown, wanted.namespace);
                Ok((Prepared::Read(Reading::new(commit, rendered)), is_wide))
            }
            Err(errors) => {
                let rendered = Rendered::refused(errors);
                Ok((Prepared::Read(Reading::new(commit, rendered)), true))
            }
        }
    }

    fn tree(&self, commit: Oid) -> Result<Tree<'_>, MirrorError> {
        let found = self.mirror.repository().find_commit(commit).and_then(|commit| commit.tree());
        found.map_err(|source| self.mirror.failed(source))
    }

    /// The file by which the folder asks for a tool, and the tool.
    fn tool_of(&self, id: Oid, path: &str, of: &SourceSettings) -> Result<Option<(String, Source)>, MirrorError> {
        let tree = self.tree(id)?;
        let folder = match path {
            "" => Some(tree),
            path => {
                let entry = tree.get_path(path.as_ref()).ok();
                entry.and_then(|entry| self.mirror.repository().find_tree(entry.id()).ok())
            }
        };
        Ok(folder.and_then(|folder| tool::choose(&folder, of.kustomize.as_ref(), of.helm.as_ref())))
    }

    /// Keeps what a tool printed, and gives it as what was read.
    pub fn finish(&self, commit: Commit, job: &Job, namespace: &str, outcome: Outcome) -> Reading {
        let rendered = match outcome {
            Ok(file) => {
                let mut outcomes = self.memory.outcomes();
                if outcomes.len() >= MOST_OUTCOMES {
                    outcomes.retain(|_, file| Arc::strong_count(file) > 1);
                }
                outcomes.insert(job.id, file.clone());
                Rendered::of_file(&file, job.asks(), namespace)
            }
            Err(errors) => Rendered::refused(errors),
        };
        Reading::new(commit, rendered)
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
