//! Which lines of a text changed: Myers' algorithm, and nothing of the other algorithms that the library could use.

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::udiff::UnifiedHunkHeader;
use similar::{ChangeTag, DiffOp, group_diff_ops};

/// Two texts, line by line.
pub struct Lines<'a> {
    old: Vec<&'a str>,
    new: Vec<&'a str>,
}

/// Lines that changed, with those around them.
pub struct Hunk<'a> {
    ops: Vec<DiffOp>,
    lines: &'a Lines<'a>,
}

impl<'a> Lines<'a> {
    pub fn of(old: &'a str, new: &'a str) -> Self {
        Self { old: old.split_inclusive('\n').collect(), new: new.split_inclusive('\n').collect() }
    }

    /// What changed, with `context` lines around each change.
    pub fn hunks(&self, context: usize) -> Vec<Hunk<'_>> {
        let (old, new) = (self.old.as_slice(), self.new.as_slice());
        let mut found = Compact::new(Replace::new(Capture::new()), old, new);
        let Ok(()) = myers::diff(&mut found, old, 0..old.len(), new, 0..new.len());
        let groups = group_diff_ops(found.into_inner().into_inner().into_ops(), context);
        groups.into_iter().map(|ops| Hunk { ops, lines: self }).collect()
    }
}

impl Hunk<'_> {
    /// Each line with its end, in the order of a unified diff.
    pub fn lines(&self) -> impl Iterator<Item = (ChangeTag, &str)> {
        let (old, new) = (&self.lines.old, &self.lines.new);
        self.ops.iter().flat_map(move |op| op.iter_changes(old, new)).map(|change| (change.tag(), change.value()))
    }

    /// As `diff -u` writes it, with its heading.
    pub fn unified(&self) -> String {
        let mut out = format!("{}\n", UnifiedHunkHeader::new(&self.ops));
        for (tag, line) in self.lines() {
            out += &format!("{tag}{line}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hunk_shows_what_changed_with_the_lines_around_it() {
        let old = "a\nb\nc\nd\ne\nf\n";
        let new = "a\nb\nC\nd\ne\nf\ng\n";
        let lines = Lines::of(old, new);
        let shown: Vec<String> = lines.hunks(1).iter().map(Hunk::unified).collect();
        assert_eq!(shown, ["@@ -2,3 +2,3 @@\n b\n-c\n+C\n d\n", "@@ -6 +6,2 @@\n f\n+g\n"]);
        assert!(Lines::of(old, old).hunks(3).is_empty());
    }
}
