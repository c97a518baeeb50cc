//! Reaches a running windlass from a command: kubeconfig, Application, and plain requests beside kube's own.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::args::Connection;
use crate::object::application::Application;
use crate::object::{SYSTEM_NAMESPACE, kinds};

/// Where `up` keeps its state unless told otherwise: `windlass` in the user's data directory.
pub fn data_dir(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    match given {
        Some(dir) => Ok(dir),
        None => Ok(dirs::data_dir().context("there is no home directory: name one with --data-dir")?.join("windlass")),
    }
}

/// A client for the server that the options name.
pub async fn connect(connection: &Connection) -> anyhow::Result<kube::Client> {
    let path = match &connection.kubeconfig {
        Some(path) => path.clone(),
        None => data_dir(connection.data_dir.clone())?.join("kubeconfig"),
    };
    from_kubeconfig(&path, connection.server.as_deref()).await
}

/// A client for the server of a kubeconfig, or for another one with the kubeconfig's credentials.
pub async fn from_kubeconfig(path: &Path, server: Option<&str>) -> anyhow::Result<kube::Client> {
    let mut kubeconfig = Kubeconfig::read_from(path).with_context(|| {
        format!("cannot read {}: is `windlass up` running? (--kubeconfig, --data-dir)", path.display())
    })?;
    if let Some(server) = server {
        for cluster in kubeconfig.clusters.iter_mut().filter_map(|c| c.cluster.as_mut()) {
            cluster.server = Some(server.to_owned());
        }
    }
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let config = config.with_context(|| format!("{} is not a usable kubeconfig", path.display()))?;
    Ok(kube::Client::try_from(config)?)
}

/// Applications of windlass's own namespace.
pub fn applications(client: &kube::Client) -> Api<DynamicObject> {
    let kind = kinds::APPLICATION;
    let resource = ApiResource {
        group: kind.group.into(),
        version: kind.version.into(),
        api_version: kind.api_version(),
        kind: kind.kind.into(),
        plural: kind.plural.into(),
    };
    Api::namespaced_with(client.clone(), SYSTEM_NAMESPACE, &resource)
}

/// The Application that the command is about: the one named, or the only one there is.
pub async fn application(client: &kube::Client, connection: &Connection) -> anyhow::Result<Application> {
    let api = applications(client);
    let found = match &connection.application {
        Some(name) => api.get(name).await.with_context(|| format!("cannot get Application {name:?}"))?,
        None => {
            let mut all = api.list(&ListParams::default()).await.context("cannot list the Applications")?.items;
            let names: Vec<_> = all.iter().filter_map(|a| a.metadata.name.clone()).collect();
            match (all.pop(), names.len()) {
                (Some(only), 1) => only,
                (None, _) => bail!("the server has no Application: was it started with a repository?"),
                _ => bail!("the server has several Applications, name one with --application: {}", names.join(", ")),
            }
        }
    };
    serde_json::from_value(serde_json::to_value(found)?)
        .context("the server's Application is not one this version knows")
}
