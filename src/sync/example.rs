//! The example repository, out of the binary: `windlass demo` commits it, and users can copy it. Its folder
//! `strategies` is for copying only.

/// Each file of `repo-example/`: its path and its content.
pub fn files() -> &'static [(&'static str, &'static str)] {
    FILES
}

macro_rules! files {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("../../repo-example/", $path)))),*] };
}

const FILES: &[(&str, &str)] = files![
    "README.md",
    "extras.yaml",
    "namespace.yaml",
    "web/deployment.yaml",
    "web/service.yaml",
    "web/settings.yaml",
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::sync::{lint, render};

    fn below(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path == root.join("strategies") => {}
                true => below(&path, root, found),
                false => found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }

    #[test]
    fn every_file_of_the_example_is_in_the_binary() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("repo-example");
        let mut found = Vec::new();
        below(&root, &root, &mut found);
        found.sort();
        let mut listed: Vec<_> = files().iter().map(|(path, _)| (*path).to_owned()).collect();
        listed.sort();
        assert_eq!(listed, found);
    }

    #[tokio::test(start_paused = true)]
    async fn the_example_is_without_fault() {
        let root = tempfile::TempDir::new().unwrap();
        for (path, content) in files() {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let rendered = render::directory(root.path(), "default").unwrap();
        assert_eq!(rendered.documents.len(), 5);
        assert_eq!(lint(&rendered, &[]).await.unwrap().errors, []);
    }

    #[tokio::test(start_paused = true)]
    async fn the_strategies_are_without_fault() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("repo-example/strategies");
        let rendered = render::directory(&root, "default").unwrap();
        assert_eq!(lint(&rendered, &[]).await.unwrap().errors, []);
    }
}
