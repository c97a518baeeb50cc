//! The objects that a cluster begins with. Runs at every start and makes only what is missing.

use serde_json::{Value, json};

use super::author::Author;
use super::options::WriteOptions;
use super::transaction::Transaction;
use super::verbs::Registry;
use crate::object::{ApiError, Kind, ObjectKey, SYSTEM_NAMESPACE, kinds};

const NAMESPACES: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease", SYSTEM_NAMESPACE];

/// Makes the namespaces and the `kubernetes` Service, all at one revision.
///
/// # Errors
/// When the store cannot write.
pub async fn bootstrap(registry: &Registry) -> Result<(), ApiError> {
    let mut transaction = registry.begin(&Author::controller("bootstrap"));
    for name in NAMESPACES {
        make(&mut transaction, kinds::NAMESPACE, "", json!({"metadata": {"name": name}}))?;
    }
    let wanted = registry.services().first().to_string();
    // Another Service may have taken the first address while this one was gone: then any other will do.
    make(&mut transaction, kinds::SERVICE, "default", api_service(Some(&wanted)))
        .or_else(|_| make(&mut transaction, kinds::SERVICE, "default", api_service(None)))?;
    transaction.commit().await.map(drop)
}

fn make(transaction: &mut Transaction, kind: &'static Kind, namespace: &str, object: Value) -> Result<(), ApiError> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    match transaction.exists(&ObjectKey::new(kind, namespace, name)) {
        true => Ok(()),
        false => transaction.create(kind, namespace, object, WriteOptions::default()),
    }
}

/// By which pods find the API server.
fn api_service(address: Option<&str>) -> Value {
    let mut service = json!({"metadata": {"name": "kubernetes",
            "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]}});
    if let Some(address) = address {
        service["spec"]["clusterIP"] = json!(address);
    }
    service
}
