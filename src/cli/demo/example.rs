//! `repo-example/`, carried in the binary so that the demo needs no checkout.

macro_rules! carried {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/repo-example/", $path)))),*]
    };
}

/// Path and content of each file.
pub const FILES: &[(&str, &str)] = carried![
    "README.md",
    "namespace.yaml",
    "extras.yaml",
    "web/deployment.yaml",
    "web/service.yaml",
    "web/settings.yaml",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use walkdir::WalkDir;

    use super::*;

    #[test]
    fn no_file_of_the_example_is_left_out() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("repo-example");
        let files = WalkDir::new(&root).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
        let there: BTreeSet<String> =
            files.map(|entry| entry.path().strip_prefix(&root).unwrap().display().to_string()).collect();
        assert_eq!(there, FILES.iter().map(|(path, _)| (*path).to_owned()).collect());
    }
}
