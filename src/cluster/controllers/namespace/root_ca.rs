//! Gives every namespace a ConfigMap with the cluster's certificate authority, by which pods know the API server.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cluster::controllers::decode::is_namespace_terminating;
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source};
use crate::cluster::registry::{Author, ROOT_CA, Registry, WriteOptions};
use crate::cluster::store::Snapshot;
use crate::object::{ObjectKey, Reason, kinds};

pub struct RootCaController {
    registry: Registry,
    author: Author,
    /// PEM.
    authority: String,
}

impl Controller for RootCaController {
    fn name(&self) -> &'static str {
        "root-ca"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::NAMESPACE),
            Source::new(kinds::CONFIG_MAP, |_, event| {
                let namespace = ObjectKey::new(kinds::NAMESPACE, "", &*event.object.key.namespace);
                (event.object.key.name == ROOT_CA).then_some(namespace).into_iter().collect()
            }),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(namespace) = snapshot.get(&key).filter(|n| !n.meta.is_deleting()) else { return Ok(Next::Done) };
        let wanted = json!({"ca.crt": self.authority});
        let options = WriteOptions::default();
        let written = match snapshot.find(kinds::CONFIG_MAP, &namespace.key.name, ROOT_CA) {
            Some(there) if there.value()["data"] == wanted => return Ok(Next::Done),
            Some(there) => {
                let mut map = there.value();
                map["data"] = wanted;
                self.registry.update(&self.author, &there.key.clone().into(), map, options).await
            }
            None => {
                let map = self.made(wanted);
                self.registry.create(&self.author, kinds::CONFIG_MAP, &namespace.key.name, map, options).await
            }
        };
        match written {
            Err(error) if error.reason == Reason::AlreadyExists => Ok(Next::Done),
            Err(error) => {
                let failure = Failure::Refused(error);
                if is_namespace_terminating(&failure) { Ok(Next::Done) } else { Err(failure) }
            }
            Ok(_) => Ok(Next::Done),
        }
    }
}

impl RootCaController {
    pub fn new(registry: &Registry, authority: String) -> Self {
        Self { registry: registry.clone(), author: Author::controller("root-ca-cert-publisher"), authority }
    }

    fn made(&self, data: Value) -> Value {
        let about = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such \
            as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of \
            Kubernetes clusters.";
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {"name": ROOT_CA, "annotations": {"kubernetes.io/description": about}}})
    }
}
