//! Writes parts of a commit's tree into a folder that is thrown away. Files only: a link, a submodule or a strange
//! name is left out, so nothing in the folder leads out of it.

use std::fs;
use std::path::Path;

use git2::{FileMode, ObjectType, Repository, Tree};

use crate::sync::render::is_safe_name;

const MOST_FILES: usize = 20_000;
const MOST_BYTES: usize = 128 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("the folder has more than {MOST_FILES} files or {} MiB, too much to render with a tool", MOST_BYTES >> 20)]
    TooMuch,
    #[error("cannot write a copy of the folder: {0}")]
    Io(#[from] std::io::Error),
    #[error("cannot read the repository: {0}")]
    Git(#[from] git2::Error),
}

/// How much may still be written.
pub struct Budget {
    files: usize,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { files: MOST_FILES, bytes: MOST_BYTES }
    }
}

/// Writes the file or folder `path` of the tree below `to`, at the same path.
pub fn export(
    repository: &Repository,
    tree: &Tree,
    path: &str,
    to: &Path,
    budget: &mut Budget,
) -> Result<(), ExportError> {
    if path.is_empty() {
        return folder(repository, tree, to, budget);
    }
    let Ok(entry) = tree.get_path(path.as_ref()) else { return Ok(()) };
    let place = to.join(path);
    match entry.kind() {
        Some(ObjectType::Tree) => folder(repository, &repository.find_tree(entry.id())?, &place, budget),
        Some(ObjectType::Blob) if entry.filemode() != i32::from(FileMode::Link) => {
            if let Some(parent) = place.parent() {
                fs::create_dir_all(parent)?;
            }
            file(repository, entry.id(), &place, budget)
        }
        _ => Ok(()),
    }
}

fn folder(repository: &Repository, tree: &Tree, to: &Path, budget: &mut Budget) -> Result<(), ExportError> {
    fs::create_dir_all(to)?;
    for entry in tree {
        let Some(name) = entry.name().ok().filter(|name| is_safe_name(name)) else { continue };
        let place = to.join(name);
        match entry.kind() {
            Some(ObjectType::Tree) => folder(repository, &repository.find_tree(entry.id())?, &place, budget)?,
            Some(ObjectType::Blob) if entry.filemode() != i32::from(FileMode::Link) => {
                file(repository, entry.id(), &place, budget)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn file(repository: &Repository, id: git2::Oid, to: &Path, budget: &mut Budget) -> Result<(), ExportError> {
    let (size, _) = repository.odb()?.read_header(id)?;
    let left = (budget.files.checked_sub(1), budget.bytes.checked_sub(size));
    let (Some(files), Some(bytes)) = left else { return Err(ExportError::TooMuch) };
    *budget = Budget { files, bytes };
    Ok(fs::write(to, repository.find_blob(id)?.content())?)
}
