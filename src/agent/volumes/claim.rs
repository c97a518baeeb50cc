//! Volumes that outlive pods: where the volume of a claim is on this machine. In the pod's own directory a link leads
//! there, so that removing the pod's directory leaves the volume.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::api::Api;

use super::prepare::{VolumeProblem, host_path};
use crate::agent::context::{self, Context};

/// Makes `link` lead to the volume that the claim is bound to.
///
/// # Errors
/// When the claim is missing or not bound, or its volume is of a kind that cannot be shown.
pub async fn attach(context: &Context, pod: &Pod, name: &str, link: &Path) -> Result<(), VolumeProblem> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), namespace);
    let claim = context::request(claims.get_opt(name)).await?;
    let claim = claim.ok_or_else(|| VolumeProblem::NoClaim(name.to_owned()))?;
    let unbound = || VolumeProblem::NotBound(name.to_owned());
    if claim.status.as_ref().and_then(|status| status.phase.as_deref()) != Some("Bound") {
        return Err(unbound());
    }
    let volume = claim.spec.and_then(|spec| spec.volume_name).ok_or_else(unbound)?;
    let volumes: Api<PersistentVolume> = Api::all(context.client.clone());
    let volume = context::request(volumes.get_opt(&volume)).await?.ok_or_else(unbound)?;
    let spec = volume.spec.unwrap_or_default();
    let place = match (&spec.host_path, &spec.local) {
        (Some(host), _) if Path::new(&host.path).parent() == Some(&context.volumes_dir()) => {
            // Whoever the container runs as shall be able to write there.
            std::fs::create_dir_all(&host.path)?;
            std::fs::set_permissions(&host.path, std::fs::Permissions::from_mode(0o777))?;
            PathBuf::from(&host.path)
        }
        (Some(host), _) => {
            host_path(host)?;
            PathBuf::from(&host.path)
        }
        (None, Some(local)) => PathBuf::from(&local.path),
        (None, None) => return Err(VolumeProblem::Unsupported),
    };
    if std::fs::read_link(link).is_ok_and(|present| present == place) {
        return Ok(());
    }
    std::fs::create_dir_all(link.parent().unwrap_or(link))?;
    let _ = std::fs::remove_file(link);
    Ok(symlink(place, link)?)
}
