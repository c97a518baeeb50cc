//! Compiles the programs of `images/`, which the binary carries: the sandbox of pods and the demo application.
//! They need rustc and a linker and nothing else, and are linked statically: their images hold no other file.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    // Packed relocations: a few kilobytes in place of megabytes. A linker that does not know them says so and goes on.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let bare =
        ["-nostartfiles", "-nostdlib", "-static", "-Wl,--build-id=none,-z,noseparate-code,-z,nognustack,--gc-sections"];
    let bare: Vec<String> = bare.iter().map(|flag| format!("link-arg={flag}")).collect();
    let mut bare: Vec<&str> = bare.iter().map(String::as_str).collect();
    bare.push("relocation-model=static");
    compile("sandbox", &out, &bare);
    compile("demo", &out, &["target-feature=+crt-static", "relocation-model=static"]);
}

/// Compiles `images/NAME.rs` to `OUT_DIR/NAME`.
fn compile(name: &str, out: &Path, codegen: &[&str]) {
    let source = format!("images/{name}.rs");
    println!("cargo::rerun-if-changed={source}");
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let mut command = Command::new(rustc);
    command.args(["--edition=2024", "--crate-type=bin", "--crate-name", name, "--target", &target]);
    for option in ["opt-level=z", "panic=abort", "lto=fat", "codegen-units=1", "strip=symbols", "debuginfo=0"]
        .iter()
        .chain(codegen)
    {
        command.args(["-C", option]);
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        command.arg("-C").arg(format!("linker={}", linker.to_string_lossy()));
    }
    command.arg("-o").arg(out.join(name)).arg(&source);
    let status = command.status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "{source} was not compiled ({status:?}): is the C library there for static linking (libc6-dev, glibc-static)?"
    );
}
