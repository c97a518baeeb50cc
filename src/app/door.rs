//! Makes the API reachable for pods: where it listens on the loopback only, it listens on the pods' bridge as well,
//! whose rules let pods of this machine in and nobody else. The Service `kubernetes` gets that place as its endpoint.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::agent::AgentHandle;
use crate::cluster::registry::{Author, DeleteOptions, Registry, Target, WriteOptions};
use crate::cluster::server;
use crate::object::{ApiError, Kind, ObjectKey, kinds};
use crate::tasks::Tasks;

const NAMESPACE: &str = "default";
/// Of the Service, its Endpoints and its EndpointSlice.
const NAME: &str = "kubernetes";

/// What another listener of the API is made of.
pub(super) struct Door {
    pub registry: Registry,
    pub tls: Arc<rustls::ServerConfig>,
    pub router: Router,
    /// Where the API listens already.
    pub address: SocketAddr,
}

impl Door {
    /// Finds or makes the place where pods reach the API, and tells the cluster of it.
    pub async fn open(self, agent: &AgentHandle, tasks: &Tasks) {
        let place = match (self.address.ip(), agent.gateway()) {
            (ip, _) if !ip.is_loopback() && !ip.is_unspecified() => Some(self.address),
            (_, None) => None,
            // Pods of other nodes come too, and they know no bridge but their own.
            (ip, Some(gateway)) if ip.is_unspecified() => {
                Some(SocketAddr::new(agent.address().unwrap_or(gateway), self.address.port()))
            }
            (_, Some(gateway)) => self.listen(gateway, tasks).await,
        };
        if let Err(error) = publish(&self.registry, place).await {
            tracing::error!(%error, "pods will not find the API");
        }
    }

    /// On the port that the API has elsewhere, if it is free here too.
    async fn listen(&self, gateway: IpAddr, tasks: &Tasks) -> Option<SocketAddr> {
        let listener = match TcpListener::bind((gateway, self.address.port())).await {
            Err(_) => TcpListener::bind((gateway, 0)).await,
            bound => bound,
        };
        match listener.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((place, listener)) => {
                server::serve(listener, self.tls.clone(), self.router.clone(), tasks);
                Some(place)
            }
            Err(error) => {
                tracing::error!(%error, %gateway, "the API cannot listen where pods would reach it");
                None
            }
        }
    }
}

/// Writes the Endpoints and the EndpointSlice of the Service, or takes away those of an earlier run.
async fn publish(registry: &Registry, place: Option<SocketAddr>) -> Result<(), ApiError> {
    let mut transaction = registry.begin(&Author::controller("endpoints"));
    for (kind, object) in [(kinds::ENDPOINTS, endpoints as Writer), (kinds::ENDPOINT_SLICE, slice)] {
        let key = ObjectKey::new(kind, NAMESPACE, NAME);
        match (transaction.current(&key), place) {
            (None, None) => {}
            (Some(_), None) => transaction.delete(&key, &DeleteOptions::default())?,
            (None, Some(place)) => create(kind, object(place), &mut transaction)?,
            (Some(current), Some(place)) => {
                let mut next = object(place);
                next["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"].clone();
                transaction.update(&Target::from(key), next, WriteOptions::default())?;
            }
        }
    }
    transaction.commit().await.map(drop)
}

type Writer = fn(SocketAddr) -> Value;

fn create(
    kind: &'static Kind,
    object: Value,
    transaction: &mut crate::cluster::registry::Transaction,
) -> Result<(), ApiError> {
    transaction.create(kind, NAMESPACE, object, WriteOptions::default())
}

fn endpoints(place: SocketAddr) -> Value {
    // The slice is written here, not mirrored from these.
    json!({"metadata": {"name": NAME, "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": [{"ip": place.ip().to_string()}],
            "ports": [{"name": "https", "port": place.port(), "protocol": "TCP"}]}]})
}

fn slice(place: SocketAddr) -> Value {
    let family = if place.is_ipv4() { "IPv4" } else { "IPv6" };
    json!({"metadata": {"name": NAME, "labels": {"kubernetes.io/service-name": NAME}}, "addressType": family,
        "endpoints": [{"addresses": [place.ip().to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": place.port(), "protocol": "TCP"}]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::registry;
    use crate::cluster::store::Store;
    use crate::object::Clock;

    #[tokio::test]
    async fn the_endpoints_follow_the_place_of_the_api() {
        let tasks = Tasks::default();
        let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
        registry::bootstrap(&registry).await.unwrap();
        let found = |kind| registry.get(&ObjectKey::new(kind, NAMESPACE, NAME)).ok().map(|object| object.value());
        for port in [6443, 7443] {
            publish(&registry, Some(SocketAddr::from(([10, 244, 0, 1], port)))).await.unwrap();
            let slice = found(kinds::ENDPOINT_SLICE).unwrap();
            assert_eq!(slice["endpoints"][0]["addresses"], json!(["10.244.0.1"]));
            assert_eq!(slice["ports"][0]["port"], port);
            assert_eq!(found(kinds::ENDPOINTS).unwrap()["subsets"][0]["ports"][0]["port"], port);
        }
        publish(&registry, None).await.unwrap();
        assert!(found(kinds::ENDPOINTS).is_none() && found(kinds::ENDPOINT_SLICE).is_none());
        tasks.stop().await;
    }
}
