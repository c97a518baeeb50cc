//! `kubectl top`, fed by both nodes.

use serde_json::json;

use super::world::{PATIENCE, World, programs};

#[tokio::test(flavor = "multi_thread")]
async fn top_shows_what_the_agents_measure() {
    let world = World::start().await;
    for node in ["n1", "n2"] {
        world.run(&format!("web-{node}"), node, json!({})).await;
    }
    for program in programs() {
        let shown = program.display();
        let asking = async {
            loop {
                let said = world.kubectl(&program, &["top", "pods", "--no-headers"], b"").await;
                if said.text().lines().count() == 2 {
                    return said;
                }
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            }
        };
        let said = tokio::time::timeout(PATIENCE, asking).await.unwrap();
        for line in said.text().lines() {
            let cells: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(cells[1..], ["250m", "64Mi"], "{shown}: {line}");
        }
        let one =
            world.kubectl(&program, &["top", "pods", "-l", "app=web-n1", "--containers", "--no-headers"], b"").await;
        let cells: Vec<String> = one.text().split_whitespace().map(str::to_owned).collect();
        assert_eq!(cells, ["web-n1", "c", "250m", "64Mi"], "{shown}: {one:?}");
        let nodes = world.kubectl(&program, &["top", "nodes", "--no-headers"], b"").await;
        assert_eq!(nodes.text().lines().count(), 2, "{shown}: {nodes:?}");
        let none = world.kubectl(&program, &["top", "pod", "none"], b"").await;
        assert!(none.err.contains("\"default/none\" not found") || none.err.contains("\"none\" not found"), "{none:?}");
    }
    world.stop().await;
}
