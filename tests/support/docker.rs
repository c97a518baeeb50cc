//! The Docker engine of this machine, for the tests that need a real one.

use std::path::Path;
use std::process::{Command, Output};

use windlass::agent::images;
use windlass::agent::runtime::Docker;

use super::Windlass;

/// Whether an engine answers.
pub fn answers() -> bool {
    Command::new("docker").arg("info").output().is_ok_and(|output| output.status.success())
}

/// A test without an engine proves nothing, and says so.
pub fn say_skipped(test: &str) {
    eprintln!("SKIPPED {test}: no Docker engine answers (`docker info` fails)");
}

pub fn docker(args: &[&str]) -> Output {
    Command::new("docker").args(args).output().unwrap()
}

/// Makes the demo application's images, which need no registry.
pub async fn load_demo_images() {
    images::ensure_demo(&Docker::connect().await.unwrap()).await.unwrap();
}

/// An image with a shell and a few commands.
pub const SHELL_IMAGE: &str = "windlass-test-shell:1";

/// Makes [`SHELL_IMAGE`] out of programs of this machine, so that no registry is needed.
pub fn make_shell_image() {
    make_image(SHELL_IMAGE, "");
}

/// An image with the commands of [`SHELL_IMAGE`] and these.
pub fn make_image(name: &str, more: &str) {
    let script = r#"
bins="/bin/dash /bin/cat /bin/tar /bin/sleep /usr/bin/test /usr/bin/stty /usr/bin/seq $1"
libs=$(for bin in $bins; do ldd $bin | grep -o '/[^ ]*'; done | sort -u)
tar -chf - --transform='s,^bin/dash,bin/sh,' -C / $(for file in $bins $libs; do echo ${file#/}; done) | docker import - "$0"
"#;
    let made = Command::new("sh").args(["-c", script, name, more]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// Removes the containers, rules and network of the windlass with this data directory when dropped, so that a
/// failing test leaves nothing behind either. Declare it before the `Windlass`, which must be gone by then.
pub struct CleanUp<'a>(pub &'a Path);

impl Drop for CleanUp<'_> {
    fn drop(&mut self) {
        let down = Windlass::command().arg("down").arg("--data-dir").arg(self.0).output();
        if !down.is_ok_and(|output| output.status.success()) {
            eprintln!("the containers of {} are still there", self.0.display());
        }
    }
}
