//! Reads the manifests of a commit's tree out of git's objects, without a work tree. What a file or folder
//! holds is kept by its object id, so the work of a commit is in proportion to what it changed.
//! Links and submodules are never followed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use git2::{FileMode, ObjectType, Oid, Repository};

use super::manifest::{self, File};
use super::sops::AgeKeys;
use super::yaml::{Fault, MAX_FILE_BYTES};

/// Folders inside each other; real repositories have ten.
pub(super) const MAX_FOLDERS: usize = 128;
/// A link's target is a path; a longer one is nonsense.
const MAX_LINK_BYTES: usize = 4096;

/// What a folder holds, by name. Shared between all commits that have the same folder.
#[derive(Debug, Default)]
pub struct Folder {
    pub(super) entries: Vec<(String, Entry)>,
    /// Something in it could not be decrypted; it may be with another key.
    pub(super) is_sealed: bool,
}

#[derive(Debug)]
pub(super) enum Entry {
    File(Arc<File>),
    Folder(Arc<Folder>),
    /// A symbolic link and where it points: whether that is harmless depends on where the folder is.
    Link(String),
    Submodule,
    /// Not to be read at all, and why.
    Refused(String),
}

#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("{path:?} does not exist in commit {commit}")]
    NoSuchPath { path: String, commit: Oid },
    #[error("{path:?} in commit {commit} is neither a folder nor a file")]
    NotAFolder { path: String, commit: Oid },
    #[error("the repository has more than {MAX_FOLDERS} folders inside each other")]
    TooDeep,
    #[error("cannot read the repository: {0}")]
    Git(#[from] git2::Error),
}

/// What was read before, by object id. Shared by all who read the repository; no lock is held while something is read.
#[derive(Debug, Default)]
pub struct Cache {
    kept: Mutex<Kept>,
    /// For what SOPS encrypted.
    keys: Option<AgeKeys>,
}

#[derive(Debug, Default)]
struct Kept {
    folders: HashMap<Oid, Arc<Folder>>,
    files: HashMap<Oid, Arc<File>>,
    /// Size after the last sweep.
    swept: usize,
}

impl Cache {
    pub fn new(keys: Option<AgeKeys>) -> Self {
        Self { keys, ..Self::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder (or single file) `path` of a commit; all of it when `path` is empty.
    ///
    /// # Errors
    /// When the path is not in the commit or the repository cannot be read.
    pub fn read(&self, repository: &Repository, commit: Oid, path: &str) -> Result<Arc<Folder>, TreeError> {
        let tree = repository.find_commit(commit)?.tree()?;
        if path.is_empty() {
            return self.folder(repository, tree.id(), 0);
        }
        let missing = || TreeError::NoSuchPath { path: path.to_owned(), commit };
        let entry = tree.get_path(path.as_ref()).map_err(|_| missing())?;
        match entry.kind() {
            Some(ObjectType::Tree) => self.folder(repository, entry.id(), 0),
            Some(ObjectType::Blob) if entry.filemode() != i32::from(FileMode::Link) => {
                let name = path.rsplit('/').next().unwrap_or(path).to_owned();
                let file = Entry::File(self.file(repository, entry.id())?);
                Ok(Arc::new(Folder { entries: vec![(name, file)], is_sealed: false }))
            }
            _ => Err(TreeError::NotAFolder { path: path.to_owned(), commit }),
        }
    }

    fn folder(&self, repository: &Repository, id: Oid, depth: usize) -> Result<Arc<Folder>, TreeError> {
        if let Some(known) = self.kept().folders.get(&id) {
            return Ok(known.clone());
        }
        if depth > MAX_FOLDERS {
            return Err(TreeError::TooDeep);
        }
        let tree = repository.find_tree(id)?;
        let mut folder = Folder::default();
        for entry in &tree {
            let Ok(name) = std::str::from_utf8(entry.name_bytes()) else {
                let shown = entry.name_bytes().escape_ascii().to_string();
                folder.entries.push((shown, Entry::Refused("the name is not UTF-8".to_owned())));
                continue;
            };
            if let Some(refused) = refused_name(name) {
                folder.entries.push((name.escape_debug().to_string(), refused));
                continue;
            }
            if name.starts_with('.') {
                continue;
            }
            let mode = entry.filemode();
            let read = if mode == i32::from(FileMode::Link) {
                self.link(repository, entry.id())?
            } else {
                match entry.kind() {
                    Some(ObjectType::Tree) => Entry::Folder(self.folder(repository, entry.id(), depth + 1)?),
                    Some(ObjectType::Blob) if manifest::is_manifest(name) => {
                        Entry::File(self.file(repository, entry.id())?)
                    }
                    Some(ObjectType::Commit) => Entry::Submodule,
                    _ => continue,
                }
            };
            if !matches!(&read, Entry::Folder(below) if below.entries.is_empty()) {
                folder.entries.push((name.to_owned(), read));
            }
        }
        let is_sealed = |(_, entry): &(String, Entry)| match entry {
            Entry::File(file) => file.is_sealed,
            Entry::Folder(below) => below.is_sealed,
            _ => false,
        };
        folder.is_sealed = folder.entries.iter().any(is_sealed);
        let folder = Arc::new(folder);
        if folder.is_sealed {
            return Ok(folder);
        }
        // Another thread may have read it meanwhile: then that one is everybody's.
        Ok(self.kept().folders.entry(id).or_insert(folder).clone())
    }

    fn file(&self, repository: &Repository, id: Oid) -> Result<Arc<File>, TreeError> {
        if let Some(known) = self.kept().files.get(&id) {
            return Ok(known.clone());
        }
        let (size, _) = repository.odb()?.read_header(id)?;
        let file = Arc::new(if size > MAX_FILE_BYTES {
            too_large(size as u64)
        } else {
            manifest::read_sealed(repository.find_blob(id)?.content(), self.keys.as_ref())
        });
        if file.is_sealed {
            // With another key it may be opened the next time.
            return Ok(file);
        }
        Ok(self.kept().files.entry(id).or_insert(file).clone())
    }

    fn link(&self, repository: &Repository, id: Oid) -> Result<Entry, TreeError> {
        let (size, _) = repository.odb()?.read_header(id)?;
        if size > MAX_LINK_BYTES {
            return Ok(Entry::Refused("a symbolic link with an absurd target".to_owned()));
        }
        Ok(Entry::Link(String::from_utf8_lossy(repository.find_blob(id)?.content()).into_owned()))
    }

    /// Forgets what nobody uses any more, once it has become the larger part.
    pub fn sweep(&self) {
        let Kept { folders, files, swept } = &mut *self.kept();
        if files.len() + folders.len() <= 2 * *swept + 1024 {
            return;
        }
        loop {
            let before = folders.len();
            folders.retain(|_, folder| Arc::strong_count(folder) > 1);
            if folders.len() == before {
                break;
            }
        }
        files.retain(|_, file| Arc::strong_count(file) > 1);
        *swept = files.len() + folders.len();
    }
}

/// The text of a file of a commit, for finding the line of a field in it.
pub fn text_of(repository: &Repository, commit: Oid, path: &str) -> Option<String> {
    let entry = repository.find_commit(commit).ok()?.tree().ok()?.get_path(path.as_ref()).ok()?;
    let (size, _) = repository.odb().ok()?.read_header(entry.id()).ok()?;
    if size > MAX_FILE_BYTES {
        return None;
    }
    String::from_utf8(repository.find_blob(entry.id()).ok()?.content().to_vec()).ok()
}

pub(super) fn too_large(size: u64) -> File {
    let limit = MAX_FILE_BYTES >> 20;
    let message = format!("the file has {} MiB, more than the {limit} MiB that a manifest may have", size >> 20);
    File { faults: vec![Fault::new(0, message)], ..File::default() }
}

/// Whether a file of this name may be written into a folder.
pub fn is_safe_name(name: &str) -> bool {
    refused_name(name).is_none()
}

/// Names that git itself would not check out, and names that could fool a terminal.
pub(super) fn refused_name(name: &str) -> Option<Entry> {
    let why = if matches!(name, "" | "." | "..") || name.contains('/') || name.eq_ignore_ascii_case(".git") {
        "a name that would lead out of its folder"
    } else if name.chars().any(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')) {
        "a name with control characters"
    } else {
        return None;
    };
    Some(Entry::Refused(why.to_owned()))
}
