//! Notices that a branch of a local repository moved, the moment that git renames the ref into place: a commit,
//! a push into it, a fetch. Works for worktrees and `.git` files, since it watches the common folder.

use std::path::{Path, PathBuf};

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
#[derive(Debug, thiserror::Error)]
#[error("cannot watch {path}: {source}")]
pub struct WatchError {
    path: PathBuf,
    source: notify::Error,
}

/// Watches until it is dropped.
pub struct RefsWatch {
    _watcher: RecommendedWatcher,
}

/// Calls `moved` whenever something that can move a branch is written below `folder`, the common git folder.
///
/// # Errors
/// When the system gives no watch (for example too many).
pub fn watch(folder: &Path, moved: impl Fn() + Send + 'static) -> Result<RefsWatch, WatchError> {
    let root = folder.to_owned();
    let on_event = move |event: notify::Result<notify::Event>| {
        // An error means that events may have been lost: look.
        if event.map_or(true, |event| is_ref_change(&root, &event)) {
            moved();
        }
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| WatchError { path, source }
    };
    let mut watcher = notify::recommended_watcher(on_event).map_err(failed(folder))?;
    watcher.watch(folder, RecursiveMode::NonRecursive).map_err(failed(folder))?;
    for below in ["refs", "reftable"] {
        let path = folder.join(below);
        if path.is_dir() {
            watcher.watch(&path, RecursiveMode::Recursive).map_err(failed(&path))?;
        }
    }
    Ok(RefsWatch { _watcher: watcher })
}

/// Pure: whether the event can mean that a ref has a new value. Lock files come and go around each change.
fn is_ref_change(root: &Path, event: &notify::Event) -> bool {
    if matches!(event.kind, EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_))) {
        return false;
    }
    event.need_rescan()
        || event.paths.iter().any(|path| {
            let Ok(inside) = path.strip_prefix(root) else { return false };
            let locked = inside.extension().is_some_and(|e| e == "lock");
            let first = inside.components().next().map(|c| c.as_os_str().to_string_lossy().into_owned());
            // Notes and the like move no branch.
            let moves = !["refs/notes", "refs/windlass"].iter().any(|other| inside.starts_with(other));
            !locked && moves && matches!(first.as_deref(), Some("refs" | "reftable" | "packed-refs" | "HEAD"))
        })
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, RenameMode};

    use super::*;

    #[test]
    fn only_changes_of_refs_wake_the_syncer() {
        let root = Path::new("/r/.git");
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
        let cases = [
            (renamed, "refs/heads/main", true),
            (renamed, "packed-refs", true),
            (renamed, "reftable/tables.list", true),
            (EventKind::Create(CreateKind::File), "refs/heads/main.lock", false),
            (EventKind::Create(CreateKind::File), "COMMIT_EDITMSG", false),
            (renamed, "index", false),
            (EventKind::Access(notify::event::AccessKind::Any), "refs/heads/main", false),
        ];
        for (kind, path, want) in cases {
            let event = notify::Event::new(kind).add_path(root.join(path));
            assert_eq!(is_ref_change(root, &event), want, "{kind:?} {path}");
        }
    }
}
