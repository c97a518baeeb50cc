//! The work tree as the commit that it would become: `git add --all` and `git commit`, made in memory.

use std::path::Path;

use git2::{IndexAddOption, IndexMatchedPath, Oid, Signature};

use super::repository::{Mirror, MirrorError};

/// Before the repository's own, so that every new object goes to memory.
const FIRST: i32 = 1000;
/// Larger files are left out: no manifest and nothing that a tool reads is as large.
const LARGEST_FILE: u64 = 16 << 20;
/// All files together that git does not have yet: they are held in memory.
const MOST_BYTES: u64 = 256 << 20;

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
        let mut total = 0;
        // What git is told to do with a file that it does not have: 0 take it, 1 leave it out, below 0 give up.
        let mut weigh = |path: &Path, _: &[u8]| {
            let size = root.join(path).symlink_metadata().map_or(0, |found| found.len());
            if size > LARGEST_FILE {
                return 1;
            }
            total += size;
            if total > MOST_BYTES { -1 } else { 0 }
        };
        let commit = |weigh: &mut IndexMatchedPath<'_>| {
            let odb = repository.odb()?;
            odb.add_new_mempack_backend(FIRST)?;
            let mut index = repository.index()?;
            index.add_all(["*"], IndexAddOption::DEFAULT, Some(weigh))?;
            let tree = repository.find_tree(index.write_tree()?)?;
            let who = Signature::now("work tree", "work-tree@localhost")?;
            repository.commit(None, &who, &who, "work tree", &tree, &[])
        };
        let made = commit(&mut weigh);
        if total > MOST_BYTES {
            return Err(MirrorError::TooMuch { path: root.to_owned(), mib: MOST_BYTES >> 20 });
        }
        made.map_err(|source| self.failed(source))
    }
}
