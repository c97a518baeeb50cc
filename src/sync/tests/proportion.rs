//! Work is in proportion to the change, counted and not timed: the figures come from `benches/`.

use std::sync::Arc;

use super::*;
use crate::sync::mirror::Mirror;
use crate::sync::reader::{Reader, Wanted};
use crate::sync::settings::Selection;

#[tokio::test]
async fn a_second_read_of_a_large_repository_parses_only_what_changed() {
    let world = World::new().await;
    let names: Vec<String> = (0..500).map(|i| format!("apps/a{}/c{i}.yaml", i % 50)).collect();
    let texts: Vec<String> = (0..500).map(|i| config_map(&format!("c{i}"), "x")).collect();
    let files: Vec<_> = names.iter().zip(&texts).map(|(name, text)| (name.as_str(), Some(text.as_str()))).collect();
    let first = world.commit("Many", &files);
    let second = world.commit("One", &[("apps/a7/c7.yaml", Some(&config_map("c7", "y")))]);
    let mirror = Mirror::open(&world.path(), &RepoLocation::Local(world.path())).unwrap();
    let reader = Reader::new(mirror, Arc::default());
    let selection = Selection::all();
    let read = |commit| {
        let wanted = Wanted { path: "", selection: &selection, namespace: "default", tools: None };
        reader.read(commit, wanted).unwrap()
    };
    let (before, after) = (read(first), read(second));
    let pairs = before.rendered.documents.iter().zip(&after.rendered.documents);
    let anew: Vec<_> = pairs.filter(|(one, other)| !one.same_source(other)).map(|(_, d)| d.key.name.as_str()).collect();
    assert_eq!((after.rendered.documents.len(), anew), (500, vec!["c7"]));
}
