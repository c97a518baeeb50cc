//! The objects that a cluster begins with. Runs at every start and makes only what is missing.

use serde_json::{Value, json};

use super::author::Author;
use super::options::WriteOptions;
use super::transaction::Transaction;
use super::verbs::Registry;
use crate::cluster::rbac::{self, DefaultObject};
use crate::object::{ApiError, Kind, ObjectKey, SYSTEM_NAMESPACE, kinds, local_path};

const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
const NAMESPACES: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease", SYSTEM_NAMESPACE];

/// Makes the namespaces, the `kubernetes` Service and the first roles, all at one revision.
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
    rbac::defaults().into_iter().try_for_each(|default| reconcile(&mut transaction, default))?;
    transaction.commit().await.map(drop)
}

/// Makes the class of volumes that are directories of a node, for clusters whose agents keep such volumes.
///
/// # Errors
/// When the store cannot write.
pub async fn bootstrap_storage(registry: &Registry) -> Result<(), ApiError> {
    let mut transaction = registry.begin(&Author::controller("bootstrap"));
    let annotations = json!({"storageclass.kubernetes.io/is-default-class": "true"});
    let class = json!({"metadata": {"name": "local-path", "annotations": annotations},
        "provisioner": local_path::PROVISIONER, "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer"});
    make(&mut transaction, kinds::STORAGE_CLASS, "", class)?;
    transaction.commit().await.map(drop)
}

/// Makes a role or binding of the beginning, or adds to the one that is there what it lacks, unless it is
/// annotated to be left alone. What a user has added stays.
fn reconcile(transaction: &mut Transaction, default: DefaultObject) -> Result<(), ApiError> {
    let DefaultObject { kind, object } = default;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let key = ObjectKey::new(kind, "", name);
    let Some(mut current) = transaction.current(&key) else {
        return transaction.create(kind, "", object, WriteOptions::default());
    };
    // The rules of an aggregated role are its controller's.
    let lacks = |field: &str| -> Vec<Value> {
        let has = |item: &Value| current[field].as_array().is_some_and(|items| items.contains(item));
        object[field].as_array().into_iter().flatten().filter(|item| !has(item)).cloned().collect()
    };
    let (rules, subjects) = (lacks("rules"), lacks("subjects"));
    let left_alone = current["metadata"]["annotations"][AUTOUPDATE] == "false";
    if left_alone || rules.is_empty() && subjects.is_empty() {
        return Ok(());
    }
    for (field, lacking) in [("rules", rules), ("subjects", subjects)] {
        match current[field].as_array_mut() {
            Some(items) => items.extend(lacking),
            None if lacking.is_empty() => {}
            None => current[field] = json!(lacking),
        }
    }
    transaction.update(&key.into(), current, WriteOptions::default())
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
