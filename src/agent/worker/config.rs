//! Hears of changes of the ConfigMaps and Secrets that a pod shows as files: one watch each, of that object only. Also
//! tells when a token that is shown has to be replaced.

use std::fmt::Debug;

use futures::stream::{self, BoxStream, SelectAll};
use futures::{FutureExt, StreamExt, future};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use serde::de::DeserializeOwned;

use crate::agent::{tokens, volumes};

/// An item for each change.
pub type Changes = SelectAll<BoxStream<'static, ()>>;

/// Watches what the pod's volumes are made from. Empty, and so without cost, for most pods.
pub fn changes(client: &kube::Client, pod: &Pod) -> Changes {
    let needs = volumes::needs(pod);
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let mut all = Changes::new();
    for name in &needs.config_maps {
        all.push(one::<ConfigMap>(client, namespace, name));
    }
    for name in &needs.secrets {
        all.push(one::<Secret>(client, namespace, name));
    }
    for projection in volumes::tokens(pod) {
        let period = tokens::shown_for(projection);
        all.push(stream::unfold((), move |()| tokio::time::sleep(period).map(|()| Some(((), ())))).boxed());
    }
    all
}

fn one<K>(client: &kube::Client, namespace: &str, name: &str) -> BoxStream<'static, ()>
where
    K: kube::Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Default,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let events = watcher(api, config).default_backoff();
    // The first listing tells what the volumes were just made from, but it may also follow a gap: it counts.
    let changed = |event: &Result<watcher::Event<K>, watcher::Error>| {
        matches!(event, Ok(watcher::Event::Apply(_) | watcher::Event::InitApply(_) | watcher::Event::Delete(_)))
    };
    events.filter(move |event| future::ready(changed(event))).map(|_| ()).boxed()
}
