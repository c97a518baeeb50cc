//! Reads manifests from disk as a commit of the same files would be read: `windlass lint PATH`. Links are not followed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assemble::{Rendered, place};
use super::manifest;
use super::tree::{Entry, Folder, MAX_FOLDERS, refused_name, too_large};
use super::yaml::MAX_FILE_BYTES;
use crate::sync::settings::Selection;

#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot read {path}")]
    Io { path: PathBuf, source: std::io::Error },
}

/// What the manifests below `path`, or the single file `path`, declare.
///
/// # Errors
/// When the path cannot be read; what is wrong with its content is in the result.
pub fn directory(path: &Path, namespace: &str) -> Result<Rendered, FolderError> {
    let metadata = fs::metadata(path).map_err(|source| FolderError::Io { path: path.to_owned(), source })?;
    let root = if metadata.is_file() { path.parent().unwrap_or(path) } else { path };
    let folder = if metadata.is_file() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Folder { entries: vec![(name, file(path, metadata.len())?)], is_sealed: false }
    } else {
        folder(path, 0)?
    };
    let mut rendered = Rendered::of(&folder, "", namespace, &Selection::all());
    place(&mut rendered.errors, |file| fs::read_to_string(root.join(file)).ok());
    Ok(rendered)
}

fn folder(path: &Path, depth: usize) -> Result<Folder, FolderError> {
    let failed = |source| FolderError::Io { path: path.to_owned(), source };
    let mut found: Vec<_> = fs::read_dir(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    found.sort_by_key(fs::DirEntry::file_name);
    let mut entries = Vec::new();
    for found in found {
        let below = found.path();
        let Ok(name) = found.file_name().into_string() else {
            let refused = Entry::Refused("the name is not UTF-8".to_owned());
            entries.push((found.file_name().to_string_lossy().into_owned(), refused));
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        if let Some(refused) = refused_name(&name) {
            entries.push((name.escape_debug().to_string(), refused));
            continue;
        }
        let kind = found.file_type().map_err(failed)?;
        let entry = if kind.is_symlink() {
            let target = fs::read_link(&below).map_err(failed)?;
            Entry::Link(target.to_string_lossy().into_owned())
        } else if kind.is_dir() && below.join(".git").exists() {
            Entry::Submodule
        } else if kind.is_dir() && depth >= MAX_FOLDERS {
            Entry::Refused(format!("more than {MAX_FOLDERS} folders inside each other"))
        } else if kind.is_dir() {
            Entry::Folder(Arc::new(folder(&below, depth + 1)?))
        } else if kind.is_file() && manifest::is_manifest(&name) {
            file(&below, found.metadata().map_err(failed)?.len())?
        } else {
            continue;
        };
        entries.push((name, entry));
    }
    Ok(Folder { entries, is_sealed: false })
}

fn file(path: &Path, size: u64) -> Result<Entry, FolderError> {
    if size > MAX_FILE_BYTES as u64 {
        return Ok(Entry::File(Arc::new(too_large(size))));
    }
    let content = fs::read(path).map_err(|source| FolderError::Io { path: path.to_owned(), source })?;
    Ok(Entry::File(Arc::new(manifest::read(&content))))
}
