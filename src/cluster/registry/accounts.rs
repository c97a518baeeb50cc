//! Gives a pod that is created its service account: the account's name, its pull secrets, and the volume with which
//! its programs find the API server and say who they are. (Kubernetes's ServiceAccount admission.)

use serde_json::{Value, json};

use super::names;
use super::transaction::Transaction;
use crate::object::{ApiError, Kind, ObjectKey, kinds};

const DEFAULT: &str = "default";
/// Where client libraries look for the token.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const MIRROR: &str = "kubernetes.io/config.mirror";
/// The ConfigMap with the cluster's certificate authority that each namespace has.
pub const ROOT_CA: &str = "kube-root-ca.crt";
/// A little more than an hour, so that it can be told from a token that was asked for by hand.
const LIFETIME_SECONDS: i64 = 3607;

impl Transaction {
    /// # Errors
    /// `Forbidden` when the pod names an account that does not exist. The namespace's own account `default` may still
    /// be on its way: its controller makes it as soon as it sees the namespace.
    pub(super) fn admit_account(&mut self, kind: &'static Kind, pod: &mut Value) -> Result<(), ApiError> {
        if kind != kinds::POD || !self.context.accounts || !pod["metadata"]["annotations"][MIRROR].is_null() {
            return Ok(());
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (name, namespace) = (text(&pod["metadata"]["name"]), text(&pod["metadata"]["namespace"]));
        let account = match text(&pod["spec"]["serviceAccountName"]) {
            unnamed if unnamed.is_empty() => DEFAULT.to_owned(),
            account => account,
        };
        let found = self.current(&ObjectKey::new(kinds::SERVICE_ACCOUNT, &*namespace, &*account));
        if found.is_none() && account != DEFAULT {
            let why =
                format!("error looking up service account {namespace}/{account}: serviceaccount {account:?} not found");
            return Err(ApiError::forbidden(kinds::POD, &name, why));
        }
        let found = found.unwrap_or_default();
        let spec = &mut pod["spec"];
        spec["serviceAccountName"] = json!(account);
        spec["serviceAccount"] = json!(account);
        let has_pull_secrets = spec["imagePullSecrets"].as_array().is_some_and(|secrets| !secrets.is_empty());
        if !has_pull_secrets && found["imagePullSecrets"].is_array() {
            spec["imagePullSecrets"] = found["imagePullSecrets"].clone();
        }
        let automount = &[&spec["automountServiceAccountToken"], &found["automountServiceAccountToken"]];
        if automount.iter().find_map(|flag| flag.as_bool()).unwrap_or(true) {
            mount_token(spec, || names::generate("kube-api-access-", &mut self.random));
        }
        Ok(())
    }
}

/// Mounts the volume where nothing of the pod's own is mounted.
fn mount_token(spec: &mut Value, volume: impl FnOnce() -> String) {
    let volume = volume();
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        // By `get_mut`: an index would leave a null where there is no list.
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let mounts = &mut container["volumeMounts"];
            if mounts.as_array().is_some_and(|all| all.iter().any(|mount| mount["mountPath"] == MOUNT_PATH)) {
                continue;
            }
            let mount = json!({"name": volume, "readOnly": true, "mountPath": MOUNT_PATH});
            match mounts.as_array_mut() {
                Some(all) => all.push(mount),
                None => *mounts = json!([mount]),
            }
            mounted = true;
        }
    }
    if !mounted {
        return;
    }
    let sources = json!([
        {"serviceAccountToken": {"expirationSeconds": LIFETIME_SECONDS, "path": "token"}},
        {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace",
            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]);
    let volume = json!({"name": volume, "projected": {"defaultMode": 0o644, "sources": sources}});
    match spec["volumes"].as_array_mut() {
        Some(all) => all.push(volume),
        None => spec["volumes"] = json!([volume]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::registry::{self, Author, Registry, WriteOptions};
    use crate::cluster::store::Store;
    use crate::object::Clock;
    use crate::tasks::Tasks;

    #[tokio::test]
    async fn a_pod_gets_its_account_and_a_token_unless_it_wants_none() {
        let tasks = Tasks::default();
        let registry = Registry::new(Store::in_memory(&tasks), Clock::start()).with_accounts();
        registry::bootstrap(&registry).await.unwrap();
        let author = Author::controller("test");
        let account = json!({"metadata": {"name": "robot"}, "imagePullSecrets": [{"name": "registry"}],
            "automountServiceAccountToken": false});
        let options = WriteOptions::default();
        registry.create(&author, kinds::SERVICE_ACCOUNT, "default", account, options).await.unwrap();
        let create = async |name: &str, spec: Value| {
            let mut pod = json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
            for (field, value) in spec.as_object().into_iter().flatten() {
                pod["spec"][field] = value.clone();
            }
            let made = registry.create(&author, kinds::POD, "default", pod, options).await;
            made.map(|written| written.object.value())
        };

        let plain = create("plain", json!({})).await.unwrap();
        assert_eq!(plain["spec"]["serviceAccountName"], "default");
        assert!(!plain.to_string().contains("null"), "what was not given stays away: {plain}");
        let mount = &plain["spec"]["containers"][0]["volumeMounts"][0];
        assert_eq!((&mount["mountPath"], &mount["readOnly"]), (&json!(MOUNT_PATH), &json!(true)));
        assert_eq!(mount["name"], plain["spec"]["volumes"][0]["name"]);
        assert_eq!(plain["spec"]["volumes"][0]["projected"]["sources"][1]["configMap"]["name"], ROOT_CA);

        let robot = create("robot", json!({"serviceAccountName": "robot"})).await.unwrap();
        assert_eq!(robot["spec"]["imagePullSecrets"], json!([{"name": "registry"}]));
        assert!(robot["spec"]["volumes"].is_null(), "the account says no");
        let told = json!({"serviceAccountName": "robot", "automountServiceAccountToken": true});
        assert!(create("told", told).await.unwrap()["spec"]["volumes"].is_array(), "the pod has the last word");

        let refused = create("lost", json!({"serviceAccountName": "nobody"})).await.unwrap_err();
        let want = "pods \"lost\" is forbidden: error looking up service account default/nobody: \
            serviceaccount \"nobody\" not found";
        assert_eq!(refused.message, want);
        tasks.stop().await;
    }
}
