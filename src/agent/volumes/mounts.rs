//! Where a container sees the volumes of its pod.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use k8s_openapi::api::core::v1::{Container, Pod};

use super::prepare::{claim_of, location};
use crate::agent::context::Context;
use crate::agent::environment;
use crate::agent::runtime::Mount;

#[derive(Debug, thiserror::Error)]
pub enum MountError {
    #[error("the pod has no volume \"{0}\"")]
    NoVolume(String),
    #[error("subPath {0:?} leads out of its volume")]
    Outside(String),
    #[error("failed to create subPath {path:?}: {reason}")]
    NotMade { path: String, reason: String },
}

/// The mounts of a container. A sub-path that is not there is made, as a directory.
///
/// # Errors
/// When a volume is missing or a sub-path cannot be used.
pub fn mounts(
    context: &Context,
    pod: &Pod,
    container: &Container,
    env: &[(String, String)],
) -> Result<Vec<Mount>, MountError> {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
    let variables: BTreeMap<String, String> = env.iter().cloned().collect();
    let mut mounts = Vec::new();
    for wanted in container.volume_mounts.iter().flatten() {
        let volume = volumes.iter().find(|volume| volume.name == wanted.name);
        let volume = volume.ok_or_else(|| MountError::NoVolume(wanted.name.clone()))?;
        let root = location(context, pod, volume);
        let sub = match (&wanted.sub_path_expr, &wanted.sub_path) {
            (Some(expression), _) if !expression.is_empty() => environment::expand(expression, &variables),
            (_, Some(path)) => path.clone(),
            _ => String::new(),
        };
        // What outlives the pod is behind a link.
        let root = if claim_of(pod, volume).is_some() { root.canonicalize().unwrap_or(root) } else { root };
        let source = if sub.is_empty() { root } else { inside(&root, &sub)? };
        mounts.push(Mount {
            source,
            target: wanted.mount_path.clone(),
            read_only: wanted.read_only == Some(true) || is_read_only_kind(volume),
            propagation: wanted.mount_propagation.clone(),
        });
    }
    Ok(mounts)
}

fn is_read_only_kind(volume: &k8s_openapi::api::core::v1::Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
}

/// The place of a sub-path, which must be inside the volume also after all links in it are followed.
fn inside(root: &Path, sub: &str) -> Result<std::path::PathBuf, MountError> {
    let outside = || MountError::Outside(sub.to_owned());
    let made = |error: std::io::Error| MountError::NotMade { path: sub.to_owned(), reason: error.to_string() };
    if !Path::new(sub).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(outside());
    }
    let path = root.join(sub);
    if !path.exists() {
        // The part that is there must be inside before anything is made in it.
        let there = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(root);
        if !there.canonicalize().map_err(made)?.starts_with(root.canonicalize().map_err(made)?) {
            return Err(outside());
        }
        std::fs::create_dir_all(&path).map_err(made)?;
    }
    let real = path.canonicalize().map_err(made)?;
    if real.starts_with(root.canonicalize().map_err(made)?) { Ok(real) } else { Err(outside()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_path_stays_inside_its_volume() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", root.path().join("link")).unwrap();
        assert!(inside(root.path(), "a/b").unwrap().ends_with("a/b"));
        for bad in ["../x", "/etc", "link", "link/new"] {
            assert!(inside(root.path(), bad).is_err(), "{bad}");
        }
    }
}
