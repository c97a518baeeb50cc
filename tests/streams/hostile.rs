//! Clients that mean ill or are broken: they are answered or cut off, and nobody else notices.

use kube::api::AttachParams;
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_holds_up_nobody_else() {
    let world = World::start().await;
    world.run("web", "n2", json!({})).await;
    let pods = world.pods();
    let mut stuck = Vec::new();
    for _ in 0..20 {
        stuck.push(pods.exec("web", ["yes"], &AttachParams::default().stderr(false)).await.unwrap());
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let mut exec = pods.exec("web", ["echo", "still", "here"], &AttachParams::default().stderr(false)).await.unwrap();
    let mut text = String::new();
    let reading = exec.stdout().unwrap();
    let mut reading = std::pin::pin!(reading);
    tokio::time::timeout(super::world::PATIENCE, reading.read_to_string(&mut text)).await.unwrap().unwrap();
    assert_eq!(text, "still here\n");
    drop(stuck);
    world.stop().await;
}
