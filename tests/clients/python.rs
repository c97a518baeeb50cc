//! The Python package `kubernetes`: `client.py` is the program.

use super::world::World;
use super::{drive, place, run};

const PACKAGE: &str = "kubernetes==37.0.2";

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_finds_everything_as_it_is_used_to() {
    let folder = place("python-client");
    let python = folder.join("bin/python");
    if run(&python, &["-c", "import kubernetes"]).await.is_none() {
        let made = run("python3", &["-m", "venv", &folder.display().to_string()]).await;
        let fetched = run(&python, &["-m", "pip", "install", "--quiet", PACKAGE]).await;
        if made.and(fetched).is_none() {
            eprintln!("\n*** SKIPPED: no Python, or {PACKAGE} cannot be fetched; this test has tested nothing ***\n");
            return;
        }
    }
    let world = World::start().await;
    drive(&python, "client.py", &world).await;
    world.stop().await;
}
