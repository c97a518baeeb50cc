//! The images that the binary carries: the sandbox of pods and the demo application, as archives in `docker save` form.
//! They are a function of their content: made twice, they are the same image, and loading them twice changes nothing.

use bytes::Bytes;
use ring::digest;
use serde_json::{Value, json};

use super::runtime::{Runtime, RuntimeError};

static SANDBOX: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sandbox"));
static DEMO: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/demo"));

/// The image of every pod's sandbox. The tag changes when the program does.
pub const SANDBOX_IMAGE: &str = "windlass-sandbox:1";
/// The demo application's image, without its tag.
pub const DEMO_IMAGE: &str = "windlass-demo";
/// The tags of the demo application: two that work, one that ends at its start, one that never becomes ready.
pub const DEMO_TAGS: [&str; 4] = ["v1.0", "v1.1", "broken", "unready"];

/// Fixed, so that the same content is the same image.
const CREATED: &str = "2026-01-01T00:00:00Z";

/// An image to be loaded.
#[derive(Clone, Debug)]
pub struct Archive {
    /// Name and tag.
    pub name: String,
    /// What the engine calls it, once it has it.
    pub id: String,
    pub tar: Bytes,
}

struct Recipe<'a> {
    name: String,
    program: &'static [u8],
    path: &'static str,
    env: Vec<String>,
    port: Option<&'a str>,
}

/// Loads the sandbox's image where it is missing.
///
/// # Errors
/// When the engine does not take it.
pub async fn ensure_sandbox(runtime: &dyn Runtime) -> Result<(), RuntimeError> {
    ensure(runtime, &sandbox()).await
}

/// Loads the demo application's images where they are missing.
///
/// # Errors
/// When the engine does not take one.
pub async fn ensure_demo(runtime: &dyn Runtime) -> Result<(), RuntimeError> {
    for archive in demo_images() {
        ensure(runtime, &archive).await?;
    }
    Ok(())
}

async fn ensure(runtime: &dyn Runtime, archive: &Archive) -> Result<(), RuntimeError> {
    // Asked by id, so that another image of this name (an older program's) is replaced.
    match runtime.image(&archive.name).await? {
        Some(there) if there.id == format!("docker://{}", archive.id) => Ok(()),
        _ => runtime.load(archive.tar.clone()).await,
    }
}

fn sandbox() -> Archive {
    archive(&Recipe { name: SANDBOX_IMAGE.to_owned(), program: SANDBOX, path: "sandbox", env: Vec::new(), port: None })
}

/// The demo application in all its tags.
pub fn demo_images() -> Vec<Archive> {
    let tagged = |tag: &str| {
        let fault = match tag {
            "broken" => "exit",
            "unready" => "unready",
            _ => "",
        };
        let env = [("DEMO_VERSION", tag), ("DEMO_FAULT", fault)];
        let env = env.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={value}"));
        archive(&Recipe {
            name: format!("{DEMO_IMAGE}:{tag}"),
            program: DEMO,
            path: "demo",
            env: env.collect(),
            port: Some("8080/tcp"),
        })
    };
    DEMO_TAGS.into_iter().map(tagged).collect()
}

fn archive(recipe: &Recipe<'_>) -> Archive {
    let layer = tar(&[(recipe.path, recipe.program, 0o755)]);
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let mut config = json!({
        "Entrypoint": [format!("/{}", recipe.path)],
        "Env": recipe.env,
        "Labels": {"windlass.dev/image": recipe.path},
    });
    if let Some(port) = recipe.port {
        config["ExposedPorts"] = json!({port: {}});
    }
    let image = json!({
        "architecture": architecture,
        "os": "linux",
        "created": CREATED,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))]},
        "history": [{"created": CREATED, "created_by": "windlass"}],
    });
    let image = image.to_string();
    let id = sha256(image.as_bytes());
    let config_name = format!("{id}.json");
    let manifest: Value = json!([{"Config": config_name, "RepoTags": [recipe.name], "Layers": ["layer.tar"]}]);
    let manifest = manifest.to_string();
    let tar = tar(&[
        ("layer.tar", &layer, 0o644),
        (&config_name, image.as_bytes(), 0o644),
        ("manifest.json", manifest.as_bytes(), 0o644),
    ]);
    Archive { name: recipe.name.clone(), id: format!("sha256:{id}"), tar: Bytes::from(tar) }
}

fn tar(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content, mode) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        header.set_mtime(0);
        // Writing into memory cannot fail, and the names are ours and short.
        let _ = builder.append_data(&mut header, path, *content);
    }
    builder.into_inner().unwrap_or_default()
}

fn sha256(content: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, content);
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_holds_what_its_manifest_names_and_is_the_same_each_time() {
        let first = demo_images();
        assert_eq!(first[0].tar, demo_images()[0].tar);
        assert_ne!(first[0].tar, first[1].tar, "each tag is an image of its own");
        let mut names = Vec::new();
        for entry in tar::Archive::new(first[0].tar.as_ref()).entries().unwrap() {
            names.push(entry.unwrap().path().unwrap().display().to_string());
        }
        assert_eq!((names[0].as_str(), names[2].as_str()), ("layer.tar", "manifest.json"));
        assert!(names[1].ends_with(".json"));
    }

    #[test]
    fn the_sandbox_is_tiny() {
        assert!(SANDBOX.len() < 16 << 10, "{} bytes", SANDBOX.len());
    }
}
