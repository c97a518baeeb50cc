//! Gives every namespace its ServiceAccount `default`, which pods run as that name no other.

use std::sync::Arc;

use serde_json::json;

use crate::cluster::controllers::decode::is_namespace_terminating;
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source};
use crate::cluster::registry::{Author, Registry, WriteOptions};
use crate::cluster::store::{Change, Snapshot};
use crate::object::{ObjectKey, Reason, kinds};

const DEFAULT: &str = "default";

pub struct AccountController {
    registry: Registry,
    author: Author,
}

impl Controller for AccountController {
    fn name(&self) -> &'static str {
        "serviceaccount"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::NAMESPACE),
            Source::new(kinds::SERVICE_ACCOUNT, |_, event| {
                let lost = event.change == Change::Deleted && event.object.key.name == DEFAULT;
                let namespace = ObjectKey::new(kinds::NAMESPACE, "", &*event.object.key.namespace);
                lost.then_some(namespace).into_iter().collect()
            }),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(namespace) = snapshot.get(&key).filter(|n| !n.meta.is_deleting()) else { return Ok(Next::Done) };
        if snapshot.find(kinds::SERVICE_ACCOUNT, &namespace.key.name, DEFAULT).is_some() {
            return Ok(Next::Done);
        }
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": DEFAULT}});
        let created =
            self.registry.create(&self.author, kinds::SERVICE_ACCOUNT, &key.name, account, WriteOptions::default());
        match created.await {
            Err(error) if error.reason == Reason::AlreadyExists => Ok(Next::Done),
            Err(error) => {
                let failure = Failure::Refused(error);
                if is_namespace_terminating(&failure) { Ok(Next::Done) } else { Err(failure) }
            }
            Ok(_) => Ok(Next::Done),
        }
    }
}

impl AccountController {
    pub fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), author: Author::controller("service-account-controller") }
    }
}
