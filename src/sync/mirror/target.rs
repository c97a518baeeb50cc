//! Which commit a `targetRevision` means: HEAD, a branch, a tag, the highest of the tags that a version range or a
//! pattern admits, or a commit. Pure but for looking refs up.

use git2::{Oid, Repository};
use globset::GlobBuilder;
use semver::{Version, VersionReq};

/// What a `targetRevision` can be, as far as its text tells.
#[derive(Debug)]
pub enum Target {
    Head,
    /// A branch or a tag of this name, or a commit whose id begins so.
    Name(String),
    /// Tags whose version one of the ranges admits.
    Versions(Vec<VersionReq>),
    /// Tags whose name matches.
    Tags(globset::GlobMatcher),
}

impl Target {
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        if matches!(text, "" | "HEAD") {
            return Self::Head;
        }
        let is_pattern = text.contains(['*', '>', '<', '~', '^', '=', '|', ' ']) || text.ends_with(".x");
        if !is_pattern {
            return Self::Name(text.to_owned());
        }
        if let Some(ranges) = ranges(text) {
            return Self::Versions(ranges);
        }
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        glob.map_or_else(|_| Self::Name(text.to_owned()), |glob| Self::Tags(glob.compile_matcher()))
    }

    /// Whether the tag is one that this may choose.
    pub fn admits(&self, tag: &str) -> bool {
        match self {
            Self::Versions(ranges) => {
                version(tag).is_some_and(|version| ranges.iter().any(|range| range.matches(&version)))
            }
            Self::Tags(glob) => glob.is_match(tag),
            Self::Head | Self::Name(_) => false,
        }
    }

    /// The highest of the tags that it admits; by version where the names are versions, else by name.
    pub fn choose<'a>(&self, tags: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        tags.into_iter().filter(|tag| self.admits(tag)).max_by_key(|tag| (version(tag), *tag))
    }
}

/// `v1.2.3` and `1.2` are versions to people.
fn version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix(['v', 'V']).unwrap_or(tag);
    let split = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(split);
    let missing = match numbers.matches('.').count() {
        0 => ".0.0",
        1 => ".0",
        _ => "",
    };
    Version::parse(&format!("{numbers}{missing}{rest}")).ok()
}

/// A range as Argo CD's users write it: `>=1.2 <2`, `1.*`, `v1.x`, `~1.2 || ^2`, `1.2 - 1.4`.
fn ranges(text: &str) -> Option<Vec<VersionReq>> {
    text.split("||").map(|part| range(part.trim())).collect()
}

fn range(text: &str) -> Option<VersionReq> {
    if let Some((from, to)) = text.split_once(" - ") {
        return VersionReq::parse(&format!(">={},<={}", bare(from), bare(to))).ok();
    }
    // A comparator may stand apart from its version; comparators are apart by commas or blanks.
    let mut comparators: Vec<String> = Vec::new();
    let mut joins = false;
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        let operator: String = word.chars().take_while(|c| "<>=~^!".contains(*c)).collect();
        let rest = bare(&word[operator.len()..]);
        match comparators.last_mut() {
            Some(last) if joins => last.push_str(&rest),
            _ => comparators.push(format!("{operator}{rest}")),
        }
        joins = rest.is_empty();
    }
    VersionReq::parse(&comparators.join(",")).ok()
}

fn bare(version: &str) -> String {
    let version = version.trim();
    version.strip_prefix(['v', 'V']).unwrap_or(version).to_owned()
}

/// The commit that `text` means in a repository; `None` when there is none.
///
/// # Errors
/// When the repository cannot be read.
pub fn resolve(repository: &Repository, text: &str) -> Result<Option<Oid>, git2::Error> {
    let commit_of = |name: &str| {
        let found = repository.find_reference(name).and_then(|reference| reference.peel_to_commit());
        found.map(|commit| commit.id()).ok()
    };
    let target = Target::of(text);
    match &target {
        Target::Head => Ok(commit_of("HEAD")),
        Target::Name(name) => {
            let full = name.starts_with("refs/").then(|| name.clone());
            let named =
                full.into_iter().chain(["heads", "tags", "remotes/origin"].map(|kind| format!("refs/{kind}/{name}")));
            if let Some(commit) = named.into_iter().find_map(|name| commit_of(&name)) {
                return Ok(Some(commit));
            }
            Ok(by_id(repository, name))
        }
        Target::Versions(_) | Target::Tags(_) => {
            let tags = repository.tag_names(None)?;
            let names = tags.iter().filter_map(|name| name.ok().flatten());
            Ok(target.choose(names).and_then(|tag| commit_of(&format!("refs/tags/{tag}"))))
        }
    }
}

/// A commit by its id, or the beginning of it when that is one commit's only.
fn by_id(repository: &Repository, text: &str) -> Option<Oid> {
    if !is_commit_id(text) {
        return None;
    }
    let object = repository.find_object_by_prefix(text, None).ok()?;
    object.peel_to_commit().map(|commit| commit.id()).ok()
}

/// Whether the text can be (the beginning of) a commit's id.
pub fn is_commit_id(text: &str) -> bool {
    (7..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_chooses_the_highest_version_and_a_pattern_the_highest_name() {
        let tags =
            ["v1.0.0", "v1.2.0", "v1.10.1", "v2.0.0-rc.1", "v2.0.0", "1.3", "release-9", "release-10", "nightly"];
        let cases = [
            ("1.*", Some("v1.10.1")),
            ("v1.x", Some("v1.10.1")),
            ("~1.2", Some("v1.2.0")),
            ("^1.0.0", Some("v1.10.1")),
            (">=1.2 <1.4", Some("1.3")),
            (">= 1.2, < 1.4", Some("1.3")),
            (">=v1.2 <v3", Some("v2.0.0")),
            ("1.0 - 1.3", Some("1.3")),
            ("~1.0 || ~1.2", Some("v1.2.0")),
            (">=2.0.0-0", Some("v2.0.0")),
            ("*", Some("v2.0.0")),
            ("release-1*", Some("release-10")),
            ("night*", Some("nightly")),
            (">=3", None),
            ("nothing-*", None),
        ];
        for (text, want) in cases {
            assert_eq!(Target::of(text).choose(tags), want, "{text}");
        }
    }

    #[test]
    fn a_plain_name_is_no_pattern() {
        for text in ["main", "v1.2.3", "feature/x", "1.2", "refs/heads/main", "0123abc"] {
            assert!(matches!(Target::of(text), Target::Name(_)), "{text}");
        }
        assert!(matches!(Target::of(" HEAD "), Target::Head));
    }
}
