//! Writes the files of a volume so that readers see all of the old ones or all of the new ones: the files are in a
//! directory of their own, to which the link `..data` leads, and the link is replaced in one step.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path};

/// A file of a volume: its content and mode.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    pub content: Vec<u8>,
    pub mode: u32,
}

const DATA: &str = "..data";

/// Makes `files` (by path relative to the volume) the content of the volume at `root`. Does nothing if they are it.
///
/// # Errors
/// What the file system says.
pub fn publish(root: &Path, files: &BTreeMap<String, File>) -> io::Result<()> {
    fs::create_dir_all(root)?;
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
    let data = root.join(DATA);
    if is_current(&data, files) {
        return Ok(());
    }
    let before = fs::read_link(&data).ok();
    let fresh = (0_u32..).map(|n| format!("..{n}")).find(|name| !root.join(name).exists()).unwrap_or_default();
    let directory = root.join(&fresh);
    for (name, file) in files {
        let path = directory.join(safe(name)?);
        fs::create_dir_all(path.parent().unwrap_or(&directory))?;
        fs::write(&path, &file.content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode))?;
    }
    fs::create_dir_all(&directory)?;
    let staged = root.join("..data_tmp");
    let _ = fs::remove_file(&staged);
    symlink(&fresh, &staged)?;
    fs::rename(&staged, &data)?;
    link_names(root, files)?;
    if let Some(before) = before.filter(|before| before.as_os_str() != fresh.as_str()) {
        // Readers that opened files of it keep them.
        let _ = fs::remove_dir_all(root.join(before));
    }
    Ok(())
}

fn is_current(data: &Path, files: &BTreeMap<String, File>) -> bool {
    let same = |(name, file): (&String, &File)| fs::read(data.join(name)).is_ok_and(|content| content == file.content);
    data.is_dir() && files.iter().all(same) && count(data) == files.len()
}

fn count(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
}

/// Each first part of a path becomes a link through `..data`.
fn link_names(root: &Path, files: &BTreeMap<String, File>) -> io::Result<()> {
    let tops: Vec<&str> = files.keys().filter_map(|name| name.split('/').next()).collect();
    for top in &tops {
        let link = root.join(top);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(top), &link)?;
        }
    }
    for entry in fs::read_dir(root)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !tops.contains(&name.as_str()) && entry.file_type()?.is_symlink() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Names come from users: none may lead out of the volume.
fn safe(name: &str) -> io::Result<&Path> {
    let path = Path::new(name);
    let inside = !name.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)));
    match inside && !name.starts_with("..") {
        true => Ok(path),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is not a path inside the volume"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, File> {
        let file = |content: &str| File { content: content.as_bytes().to_vec(), mode: 0o644 };
        pairs.iter().map(|(name, content)| (name.to_string(), file(content))).collect()
    }

    #[test]
    fn an_update_replaces_all_files_at_once() {
        let root = tempfile::tempdir().unwrap();
        publish(root.path(), &files(&[("a", "1"), ("d/b", "2")])).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("d/b")).unwrap(), "2");
        let first = fs::read_link(root.path().join(DATA)).unwrap();
        publish(root.path(), &files(&[("a", "1"), ("d/b", "2")])).unwrap();
        assert_eq!(fs::read_link(root.path().join(DATA)).unwrap(), first, "the same files are left alone");
        publish(root.path(), &files(&[("a", "3")])).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("a")).unwrap(), "3");
        assert!(!root.path().join("d").exists(), "what is gone is gone");
        assert!(!root.path().join(first).exists(), "the old directory is removed");
    }

    #[test]
    fn no_name_leads_out_of_the_volume() {
        let root = tempfile::tempdir().unwrap();
        for name in ["../x", "/etc/x", "a/../../x", "", "..data/x"] {
            assert!(publish(root.path(), &files(&[(name, "1")])).is_err(), "{name:?}");
        }
    }
}
