//! What must stay fast, checked loosely: the figures come from `benches/sync.rs`.

use std::time::Instant;

use super::*;

#[tokio::test]
async fn a_second_read_of_a_large_repository_costs_only_what_changed() {
    let world = World::new().await;
    let names: Vec<String> = (0..500).map(|i| format!("apps/a{}/c{i}.yaml", i % 50)).collect();
    let texts: Vec<String> = (0..500).map(|i| config_map(&format!("c{i}"), "x")).collect();
    let files: Vec<_> = names.iter().zip(&texts).map(|(name, text)| (name.as_str(), Some(text.as_str()))).collect();
    let first = world.commit("Many", &files);
    let syncer = world.start().await;
    let began = Instant::now();
    settled(&syncer, first).await;
    let whole = began.elapsed();
    let text = config_map("c7", "y");
    let second = world.commit("One", &[("apps/a7/c7.yaml", Some(&text))]);
    let began = Instant::now();
    settled(&syncer, second).await;
    let one = began.elapsed();
    assert!(one * 2 < whole, "one of 500 files took {one:?}, all of them {whole:?}");
}
