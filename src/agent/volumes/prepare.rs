//! Makes the volumes of a pod: directories, and the files of ConfigMaps, Secrets and the downward API in them.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, HostPathVolumeSource, KeyToPath, Pod, ServiceAccountTokenProjection, Volume,
};

use super::claim;
use super::files::{self, File};
use crate::agent::context::{ApiFailure, Context};
use crate::agent::environment::{self, Place};
use crate::agent::sources::{self, Missing, Needs, Sources};
use crate::agent::tokens;

/// Files are readable by all unless the volume says otherwise, as in Kubernetes.
const MODE: i32 = 0o644;

#[derive(Debug)]
pub struct VolumeError {
    pub volume: String,
    pub why: VolumeProblem,
}

#[derive(Debug, thiserror::Error)]
pub enum VolumeProblem {
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error(transparent)]
    Api(#[from] ApiFailure),
    #[error(transparent)]
    Files(#[from] io::Error),
    #[error("hostPath type check failed: {path} is not a {expected}")]
    HostPath { path: String, expected: String },
    #[error("persistentvolumeclaim {0:?} not found")]
    NoClaim(String),
    #[error("persistentvolumeclaim {0:?} is not bound")]
    NotBound(String),
    #[error("volumes of this kind are not supported")]
    Unsupported,
}

/// Where a volume is on this machine.
pub fn location(context: &Context, pod: &Pod, volume: &Volume) -> PathBuf {
    match &volume.host_path {
        Some(host) => PathBuf::from(&host.path),
        None => {
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            context.pod_dir(uid).join("volumes").join(&volume.name)
        }
    }
}

/// The claim that a volume shows; one that the pod has for itself bears the names of both.
pub(super) fn claim_of(pod: &Pod, volume: &Volume) -> Option<String> {
    match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(claim), _) => Some(claim.claim_name.clone()),
        (None, Some(_)) => Some(format!("{}-{}", pod.metadata.name.as_deref().unwrap_or_default(), volume.name)),
        (None, None) => None,
    }
}

/// Makes all volumes, and brings those that are there up to date.
///
/// # Errors
/// The first volume that cannot be made, and why.
pub async fn prepare(context: &Context, pod: &Pod) -> Result<(), VolumeError> {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
    for volume in volumes {
        let failed = |why: VolumeProblem| VolumeError { volume: volume.name.clone(), why };
        one(context, pod, volume).await.map_err(failed)?;
    }
    Ok(())
}

async fn one(context: &Context, pod: &Pod, volume: &Volume) -> Result<(), VolumeProblem> {
    let path = location(context, pod, volume);
    if let Some(host) = &volume.host_path {
        return host_path(host);
    }
    if let Some(name) = claim_of(pod, volume) {
        return claim::attach(context, pod, &name, &path).await;
    }
    if volume.empty_dir.is_some() {
        std::fs::create_dir_all(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777))?;
        return Ok(());
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let found = sources::gather(context, namespace, &needs_of(volume)).await?;
    let place = Place {
        node_name: context.node_name.clone(),
        host_ip: context.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        pod_ip: String::new(),
    };
    let mut files = content(pod, volume, &found, &place)?;
    for (projection, mode) in tokens_of(volume) {
        let token = tokens::of(context, pod, projection).await?;
        files.insert(projection.path.clone(), file(token.into_bytes(), mode));
    }
    Ok(files::publish(&path, &files)?)
}

/// The tokens that a volume shows, with the mode of their files.
fn tokens_of(volume: &Volume) -> impl Iterator<Item = (&ServiceAccountTokenProjection, i32)> {
    let projected = volume.projected.iter();
    projected.flat_map(|projected| {
        let mode = projected.default_mode.unwrap_or(MODE);
        let sources = projected.sources.iter().flatten();
        sources.filter_map(move |source| source.service_account_token.as_ref().map(|token| (token, mode)))
    })
}

/// The tokens that the pod's volumes show.
pub fn tokens(pod: &Pod) -> impl Iterator<Item = &ServiceAccountTokenProjection> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.flat_map(tokens_of).map(|(projection, _)| projection)
}

/// The ConfigMaps and Secrets that the pod's volumes show.
pub fn needs(pod: &Pod) -> Needs {
    let mut all = Needs::default();
    for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        let needs = needs_of(volume);
        all.config_maps.extend(needs.config_maps);
        all.secrets.extend(needs.secrets);
    }
    all
}

fn needs_of(volume: &Volume) -> Needs {
    let mut needs = Needs::default();
    needs.config_maps.extend(volume.config_map.iter().map(|source| source.name.clone()));
    needs.secrets.extend(volume.secret.iter().filter_map(|source| source.secret_name.clone()));
    for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
        needs.config_maps.extend(source.config_map.iter().map(|source| source.name.clone()));
        needs.secrets.extend(source.secret.iter().map(|source| source.name.clone()));
    }
    needs
}

type Files = BTreeMap<String, File>;

fn content(pod: &Pod, volume: &Volume, found: &Sources, place: &Place) -> Result<Files, VolumeProblem> {
    if let Some(source) = &volume.config_map {
        let mode = source.default_mode.unwrap_or(MODE);
        return chosen(found.config_map(&source.name), source.items.as_deref(), source.optional, mode, &source.name);
    }
    if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().unwrap_or_default();
        let mode = source.default_mode.unwrap_or(MODE);
        return chosen(found.secret(name), source.items.as_deref(), source.optional, mode, name);
    }
    if let Some(source) = &volume.downward_api {
        return downward(pod, source.items.as_deref(), source.default_mode.unwrap_or(MODE), place);
    }
    let Some(projected) = &volume.projected else { return Err(VolumeProblem::Unsupported) };
    let mode = projected.default_mode.unwrap_or(MODE);
    let mut all = Files::new();
    for source in projected.sources.iter().flatten() {
        if let Some(source) = &source.config_map {
            let items = source.items.as_deref();
            all.extend(chosen(found.config_map(&source.name), items, source.optional, mode, &source.name)?);
        }
        if let Some(source) = &source.secret {
            let items = source.items.as_deref();
            all.extend(chosen(found.secret(&source.name), items, source.optional, mode, &source.name)?);
        }
        if let Some(source) = &source.downward_api {
            all.extend(downward(pod, source.items.as_deref(), mode, place)?);
        }
    }
    Ok(all)
}

fn file(content: Vec<u8>, mode: i32) -> File {
    File { content, mode: u32::try_from(mode).unwrap_or(0o644) & 0o7777 }
}

/// All keys, or the chosen ones under the chosen paths.
fn chosen(
    found: Result<BTreeMap<&str, Vec<u8>>, Missing>,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    mode: i32,
    name: &str,
) -> Result<Files, VolumeProblem> {
    let optional = optional == Some(true);
    let mut found = match found {
        Err(_) if optional => return Ok(Files::new()),
        other => other?,
    };
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        return Ok(found.into_iter().map(|(key, content)| (key.to_owned(), file(content, mode))).collect());
    };
    let mut all = Files::new();
    for item in items {
        match found.remove(item.key.as_str()) {
            Some(content) => {
                all.insert(item.path.clone(), file(content, item.mode.unwrap_or(mode)));
            }
            None if optional => {}
            None => return Err(Missing::Key { key: item.key.clone(), of: name.to_owned() }.into()),
        }
    }
    Ok(all)
}

fn downward(
    pod: &Pod,
    items: Option<&[DownwardAPIVolumeFile]>,
    mode: i32,
    place: &Place,
) -> Result<Files, VolumeProblem> {
    let mut all = Files::new();
    for item in items.unwrap_or_default() {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(reference), _) => environment::field(pod, reference, place)?,
            (None, Some(reference)) => {
                let none = k8s_openapi::api::core::v1::Container::default();
                environment::resource(pod, &none, reference)?
            }
            (None, None) => continue,
        };
        all.insert(item.path.clone(), file(text.into_bytes(), item.mode.unwrap_or(mode)));
    }
    Ok(all)
}

pub(super) fn host_path(host: &HostPathVolumeSource) -> Result<(), VolumeProblem> {
    let path = Path::new(&host.path);
    let wrong = |expected: &str| VolumeProblem::HostPath { path: host.path.clone(), expected: expected.to_owned() };
    match host.type_.as_deref().unwrap_or_default() {
        "DirectoryOrCreate" => {
            if !path.exists() {
                std::fs::create_dir_all(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
            }
            if path.is_dir() { Ok(()) } else { Err(wrong("directory")) }
        }
        "FileOrCreate" => {
            if !path.exists() {
                std::fs::File::create(path)?;
            }
            if path.is_file() { Ok(()) } else { Err(wrong("file")) }
        }
        "Directory" if !path.is_dir() => Err(wrong("directory")),
        "File" if !path.is_file() => Err(wrong("file")),
        "Socket" | "CharDevice" | "BlockDevice" if !path.exists() => Err(wrong("socket or device")),
        "" if !path.exists() => Ok(std::fs::create_dir_all(path)?),
        _ => Ok(()),
    }
}

/// Removes what the pod has left in the data directory. What is on the host itself stays.
pub async fn remove(context: &Context, uid: &str) {
    context.tokens.forget(uid);
    let path = context.pod_dir(uid);
    if let Err(error) = tokio::fs::remove_dir_all(&path).await
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "a pod's files could not be removed");
    }
}
