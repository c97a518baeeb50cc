//! Holds the house rules: who may import whom, how files open, and how long they may grow.

use std::fs;
use std::path::{Path, PathBuf};

/// A file longer than this has two things in it.
const LINES: usize = 500;

/// Folder, and what it may import of ours. (ARCHITECTURE.md, "The map".)
const IMPORTS: &[(&str, &[&str])] = &[
    ("object", &["object"]),
    ("tasks", &[]),
    ("streams", &["streams", "object", "tasks"]),
    ("diff", &["diff", "object"]),
    ("policy", &["policy", "object"]),
    ("cluster/store", &["cluster::store", "object", "tasks"]),
    ("cluster/rbac", &["cluster::rbac", "cluster::store", "object"]),
    ("cluster/quota", &["cluster::quota", "cluster::store", "object"]),
    (
        "cluster/registry",
        &[
            "cluster::registry",
            "cluster::quota",
            "cluster::rbac",
            "cluster::store",
            "diff",
            "policy",
            "object",
            "tasks",
        ],
    ),
    ("cluster", &["cluster", "diff", "policy", "streams", "object", "tasks"]),
    (
        "sync",
        &["sync", "cluster::registry", "cluster::scheduler", "cluster::store", "diff", "policy", "object", "tasks"],
    ),
    ("agent", &["agent", "streams", "object", "tasks"]),
];

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true if !path.ends_with("data") => walk(&path, found),
                false if path.extension().is_some_and(|e| e == "rs") => found.push(path),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    found.sort();
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

fn everything() -> Vec<(PathBuf, String)> {
    ["src", "tests", "benches", "images"].into_iter().flat_map(sources).collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string()
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let silent: Vec<_> =
        everything().iter().filter(|(_, text)| !text.starts_with("//!")).map(|(path, _)| shown(path)).collect();
    assert!(silent.is_empty(), "these files do not open with `//!`: {silent:#?}");
}

#[test]
fn no_file_outgrows_one_sitting() {
    let count = |text: &str| text.lines().count();
    let long: Vec<_> = everything()
        .iter()
        .filter(|(_, text)| count(text) > LINES)
        .map(|(path, text)| format!("{} has {} lines", shown(path), count(text)))
        .collect();
    assert!(long.is_empty(), "split these files (at most {LINES} lines): {long:#?}");
}

#[test]
fn imports_point_one_way() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let inside = path.strip_prefix(&source).unwrap().with_extension("").display().to_string();
        let Some((_, allowed)) = IMPORTS.iter().find(|(folder, _)| in_folder(&inside, folder)) else { continue };
        for (number, line) in text.lines().enumerate() {
            for used in line.split("crate::").skip(1) {
                if !allowed.iter().any(|module| in_module(used, module)) {
                    wrong.push(format!("{}:{}: {}", shown(&path), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "these imports point the wrong way: {wrong:#?}");
}

fn in_folder(file: &str, folder: &str) -> bool {
    file == folder || file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether what follows `crate::` is `module` or inside it.
fn in_module(used: &str, module: &str) -> bool {
    used.strip_prefix(module).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    let marks = ["todo!(", "unimplemented!(", concat!("#[ign", "ore")];
    let marked = |text: &str| marks.into_iter().any(|mark| text.contains(mark));
    let this = Path::new(file!()).file_name();
    let found: Vec<_> = everything()
        .iter()
        .filter(|(path, text)| path.file_name() != this && marked(text))
        .map(|(path, _)| shown(path))
        .collect();
    assert!(found.is_empty(), "stubs or switched-off tests: {found:#?}");
}
