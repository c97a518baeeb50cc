//! `docs/kinds.md` says what the kinds table says. `UPDATE_DOCS=1 cargo test --test docs` writes it anew.

use std::fs;
use std::path::Path;

use windlass::object::{kinds, views};

const HEAD: &str = "\
# Kinds

What the API serves, as Kubernetes serves it. The page is checked against the kinds table by a test.

| kind | apiVersion | short names | scope | subresources |
|---|---|---|---|---|
";

fn page() -> String {
    let row = |kind: &kinds::Kind| {
        let subresources: Vec<_> = kind.subresources.iter().map(|subresource| subresource.as_str()).collect();
        let scope = if kind.namespaced { "namespace" } else { "cluster" };
        let (version, shorts) = (kind.api_version(), kind.short_names.join(", "));
        format!("| {} | `{version}` | {shorts} | {scope} | {} |\n", kind.kind, subresources.join(", "))
    };
    HEAD.to_owned() + &kinds::all().iter().chain(views::all().map(|view| &view.kind)).map(row).collect::<String>()
}

#[test]
fn the_page_of_kinds_is_the_table_of_kinds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kinds.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, page()).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap_or_default(),
        page(),
        "write it anew: UPDATE_DOCS=1 cargo test --test docs"
    );
}
