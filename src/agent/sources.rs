//! The ConfigMaps, Secrets and Services that a pod's environment and volumes are made from, fetched when needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::api::Api;

use super::context::{self, ApiFailure, Context};

/// Names of what is needed, in the pod's namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    pub config_maps: BTreeSet<String>,
    pub secrets: BTreeSet<String>,
}

/// What was found; what is missing does not exist.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub config_maps: BTreeMap<String, ConfigMap>,
    pub secrets: BTreeMap<String, Secret>,
    pub services: Arc<Vec<Service>>,
}

/// Fetches all that is needed.
///
/// # Errors
/// When the API does not answer; that something is missing is no error here.
pub async fn gather(context: &Context, namespace: &str, needs: &Needs) -> Result<Sources, ApiFailure> {
    let mut sources = Sources { services: context.proxy.services(), ..Sources::default() };
    let config_maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), namespace);
    for name in &needs.config_maps {
        if let Some(found) = context::request(config_maps.get_opt(name)).await? {
            sources.config_maps.insert(name.clone(), found);
        }
    }
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    for name in &needs.secrets {
        if let Some(found) = context::request(secrets.get_opt(name)).await? {
            sources.secrets.insert(name.clone(), found);
        }
    }
    Ok(sources)
}

/// Why a key of a ConfigMap or Secret cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    #[error("configmap \"{0}\" not found")]
    ConfigMap(String),
    #[error("secret \"{0}\" not found")]
    Secret(String),
    #[error("couldn't find key {key} in {of}")]
    Key { key: String, of: String },
    #[error("{0}")]
    Field(String),
}

impl Sources {
    /// All keys of a ConfigMap.
    ///
    /// # Errors
    /// When there is no such ConfigMap.
    pub fn config_map(&self, name: &str) -> Result<BTreeMap<&str, Vec<u8>>, Missing> {
        let found = self.config_maps.get(name).ok_or_else(|| Missing::ConfigMap(name.to_owned()))?;
        let text = found.data.iter().flatten().map(|(key, value)| (key.as_str(), value.clone().into_bytes()));
        let binary = found.binary_data.iter().flatten().map(|(key, value)| (key.as_str(), value.0.clone()));
        Ok(text.chain(binary).collect())
    }

    /// All keys of a Secret.
    ///
    /// # Errors
    /// When there is no such Secret.
    pub fn secret(&self, name: &str) -> Result<BTreeMap<&str, Vec<u8>>, Missing> {
        let found = self.secrets.get(name).ok_or_else(|| Missing::Secret(name.to_owned()))?;
        Ok(found.data.iter().flatten().map(|(key, value)| (key.as_str(), value.0.clone())).collect())
    }
}
