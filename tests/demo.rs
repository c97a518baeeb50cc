//! `windlass demo` tells its story to the end on a real Docker engine, and leaves nothing behind.

mod support;

use support::{Windlass, docker};
use tempfile::TempDir;

#[test]
fn the_demo_tells_its_whole_story_and_cleans_up() {
    if !docker::answers() {
        return docker::say_skipped("the_demo_tells_its_whole_story_and_cleans_up");
    }
    let dir = TempDir::new().unwrap();
    let output = Windlass::command().arg("demo").arg("--dir").arg(dir.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    for chapter in ["curl http://", "from demo v1.1; 0 failures", "runs the pods again", "is ready again", "is pruned"]
    {
        assert!(told.contains(chapter), "{chapter:?} is not in:\n{told}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the demo left files behind");
}
