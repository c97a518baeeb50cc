//! The JavaScript package `@kubernetes/client-node`: `client.mjs` is the program.

use std::path::Path;

use super::world::World;
use super::{drive, place, run};

const PACKAGE: &str = "@kubernetes/client-node@1.3.0";

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_client_finds_everything_as_it_is_used_to() {
    let folder = place("javascript-client");
    let prefix = folder.display().to_string();
    let installed = folder.join("node_modules/@kubernetes/client-node/package.json").exists()
        || run("npm", &["install", "--silent", "--no-audit", "--no-fund", "--prefix", &prefix, PACKAGE])
            .await
            .is_some();
    if !installed || run("node", &["--version"]).await.is_none() {
        eprintln!("\n*** SKIPPED: no node, or {PACKAGE} cannot be fetched; this test has tested nothing ***\n");
        return;
    }
    // Modules are looked for beside the program, so it goes where they are.
    let script = folder.join("client.mjs");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/client.mjs"), &script).unwrap();
    let world = World::start().await;
    drive(Path::new("node"), &script.display().to_string(), &world).await;
    world.stop().await;
}
