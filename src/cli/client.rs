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

/// Applications of a namespace.
pub fn applications(client: &kube::Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource())
}

fn resource() -> ApiResource {
    let kind = kinds::APPLICATION;
    ApiResource {
        group: kind.group.into(),
        version: kind.version.into(),
        api_version: kind.api_version(),
        kind: kind.kind.into(),
        plural: kind.plural.into(),
    }
}

/// The Application that the command is about: the one named (`NAME`, or `NAMESPACE/NAME` where several are called so), or the
/// one of the repository that the server was started with.
pub async fn application(client: &kube::Client, connection: &Connection) -> anyhow::Result<Application> {
    let named = connection.application.as_deref();
    let found = match named.and_then(|name| name.split_once('/')) {
        Some((namespace, name)) => {
            let found = applications(client, namespace).get(name).await;
            found.with_context(|| format!("cannot get Application {namespace}/{name}"))?
        }
        None => find(client, named).await?,
    };
    serde_json::from_value(serde_json::to_value(found)?)
        .context("the server's Application is not one this version knows")
}

/// The one Application of this name in whatever namespace, or the only one that can be meant.
async fn find(client: &kube::Client, name: Option<&str>) -> anyhow::Result<DynamicObject> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource());
    let all = api.list(&ListParams::default()).await.context("cannot list the Applications")?.items;
    let list = |these: &[DynamicObject]| {
        let full = |found: &DynamicObject| {
            let text = |part: &Option<String>| part.clone().unwrap_or_default();
            format!("{}/{}", text(&found.metadata.namespace), text(&found.metadata.name))
        };
        these.iter().map(full).collect::<Vec<_>>().join(", ")
    };
    let is_meant = |found: &&DynamicObject| match name {
        Some(name) => found.metadata.name.as_deref() == Some(name),
        None => all.len() == 1 || found.metadata.namespace.as_deref() == Some(SYSTEM_NAMESPACE),
    };
    let mut meant: Vec<DynamicObject> = all.iter().filter(is_meant).cloned().collect();
    match (meant.pop(), name) {
        (Some(only), _) if meant.is_empty() => Ok(only),
        (None, _) if all.is_empty() => bail!("the server has no Application: was it started with a repository?"),
        (None, Some(name)) => bail!("there is no Application {name:?}; there are {}", list(&all)),
        (None, None) => bail!("name an Application with --application: {}", list(&all)),
        (Some(another), _) => {
            meant.push(another);
            bail!("several Applications are meant, name one with --application: {}", list(&meant))
        }
    }
}
