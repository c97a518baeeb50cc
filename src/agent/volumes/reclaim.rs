//! Removes volumes of this machine that nobody claims any more. The control plane says which: a volume with this node's label
//! that is being deleted. Its directory goes, then the finalizer that kept the object.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;

use crate::agent::context::{self, ApiFailure, Context};
use crate::object::local_path;

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0:?} is not the name of a directory")]
    Name(String),
    #[error(transparent)]
    Files(#[from] io::Error),
    #[error(transparent)]
    Api(#[from] ApiFailure),
}

/// Removes volumes until it is dropped.
pub async fn run(context: Arc<Context>) {
    let volumes: Api<PersistentVolume> = Api::all(context.client.clone());
    let label = format!("{}={}", local_path::NODE, context.node_name);
    loop {
        let config = watcher::Config::default().labels(&label);
        let mut changes = watcher(volumes.clone(), config).default_backoff().applied_objects().boxed();
        let mut failed = false;
        // The list that a new watch begins with tells of those again that failed.
        while !failed {
            match changes.next().await {
                Some(Ok(volume)) => failed = !remove_if_asked(&context, &volumes, &volume).await,
                Some(Err(error)) => tracing::debug!(%error, "the watch of volumes is being retried"),
                None => return,
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// False when it failed.
async fn remove_if_asked(context: &Context, volumes: &Api<PersistentVolume>, volume: &PersistentVolume) -> bool {
    let held = volume.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == local_path::FINALIZER);
    if volume.metadata.deletion_timestamp.is_none() || !held {
        return true;
    }
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    let removed = remove(context, volumes, volume, name).await;
    match &removed {
        Ok(()) => tracing::info!(name, "a volume that nobody claims any more is removed"),
        Err(error) => tracing::warn!(name, %error, "a volume cannot be removed; trying again in {} s", RETRY.as_secs()),
    }
    removed.is_ok()
}

async fn remove(
    context: &Context,
    volumes: &Api<PersistentVolume>,
    volume: &PersistentVolume,
    name: &str,
) -> Result<(), Failure> {
    remove_directory(&context.volumes_dir(), name).await?;
    let finalizers = volume.metadata.finalizers.iter().flatten();
    let rest: Vec<&String> = finalizers.filter(|finalizer| *finalizer != local_path::FINALIZER).collect();
    let version = &volume.metadata.resource_version;
    let patch = Patch::Merge(json!({"metadata": {"finalizers": rest, "resourceVersion": version}}));
    match context::request(volumes.patch(name, &PatchParams::default(), &patch)).await {
        // Others changed it: the watch tells of that, and then it is done. Or it has gone.
        Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(()),
        done => Ok(done.map(drop)?),
    }
}

/// Removes `root/name` and nothing else, whatever the name; links in it are removed and not followed.
async fn remove_directory(root: &Path, name: &str) -> Result<(), Failure> {
    let mut parts = Path::new(name).components();
    let (Some(std::path::Component::Normal(only)), None) = (parts.next(), parts.next()) else {
        return Err(Failure::Name(name.to_owned()));
    };
    match tokio::fs::remove_dir_all(root.join(only)).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => Ok(done?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_directory_of_the_volume_is_removed() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("precious"), "data").unwrap();
        for volume in ["one", "other"] {
            std::fs::create_dir(root.path().join(volume)).unwrap();
        }
        std::os::unix::fs::symlink(outside.path(), root.path().join("one/link")).unwrap();
        remove_directory(root.path(), "one").await.unwrap();
        remove_directory(root.path(), "one").await.unwrap();
        assert!(!root.path().join("one").exists() && root.path().join("other").exists());
        assert!(outside.path().join("precious").exists());
        for name in ["", ".", "..", "../other", "other/..", "/etc"] {
            assert!(remove_directory(root.path(), name).await.is_err(), "{name:?}");
        }
        assert!(root.path().join("other").exists());
    }
}
