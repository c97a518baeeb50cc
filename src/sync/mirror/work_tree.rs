//! The work tree as the commit that it would become: `git add --all` and `git commit`, made in memory.

use std::path::Path;

use git2::{IndexAddOption, Oid, Signature};

use super::repository::{Mirror, MirrorError};

/// Before the repository's own, so that every new object goes to memory.
const FIRST: i32 = 1000;
/// Larger files are left out: no manifest and nothing that a tool reads is as large, and all are held in memory.
const MOST_BYTES: u64 = 16 << 20;

impl Mirror {
    /// What a commit of the work tree would be, uncommitted files included, ignored ones not. It is known to this mirror
    /// only: neither the repository nor its index is written.
    ///
    /// # Errors
    /// When there is no work tree or it cannot be read.
    pub fn commit_work_tree(&self) -> Result<Oid, MirrorError> {
        let repository = self.repository();
        let root =
            repository.workdir().ok_or_else(|| MirrorError::NoWorkTree { path: repository.path().to_owned() })?;
        let is_large = |path: &Path| root.join(path).symlink_metadata().is_ok_and(|found| found.len() > MOST_BYTES);
        let commit = || {
            let odb = repository.odb()?;
            odb.add_new_mempack_backend(FIRST)?;
            let mut index = repository.index()?;
            index.add_all(["*"], IndexAddOption::DEFAULT, Some(&mut |path, _| i32::from(is_large(path))))?;
            let tree = repository.find_tree(index.write_tree()?)?;
            let who = Signature::now("work tree", "work-tree@localhost")?;
            repository.commit(None, &who, &who, "work tree", &tree, &[])
        };
        commit().map_err(|source| self.failed(source))
    }
}
