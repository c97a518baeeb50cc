//! Which ConfigMaps and Secrets of the same folder a workload's pods read, and a digest of their content: when that
//! changes, the pods have to be made anew to see it. Pure.

use std::collections::{BTreeSet, HashMap};

use ring::digest::{Context, SHA256};
use serde_json::Value;

use super::assemble::Document;
use crate::object::{Kind, ObjectKey, kinds};

/// `disabled` on a workload: its pods see new configuration in their own time. On a ConfigMap or Secret: nobody is restarted
/// for it.
pub const OPT_OUT: &str = "windlass.dev/config-rollout";

type Digest = [u8; 32];

/// What a workload's pods read of what is declared beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// SHA-256 over all of it.
    pub digest: Digest,
    pub read: Vec<ObjectKey>,
}

/// The configuration of each workload that reads something of what is declared, by its place among `documents`.
pub fn of(documents: &[Document]) -> Vec<(usize, Config)> {
    let mut config: HashMap<&ObjectKey, (&Document, Option<Digest>)> = HashMap::new();
    for document in documents {
        if [kinds::CONFIG_MAP, kinds::SECRET].contains(&document.key.kind) && !document.facts().opts_out {
            config.insert(&document.key, (document, None));
        }
    }
    if config.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (place, document) in documents.iter().enumerate() {
        let rolls = [kinds::DEPLOYMENT, kinds::STATEFUL_SET, kinds::DAEMON_SET].contains(&document.key.kind);
        if !rolls || document.facts().opts_out {
            continue;
        }
        let mut whole = Context::new(&SHA256);
        let mut read = Vec::new();
        for (kind, name) in &document.facts().reads {
            let key = ObjectKey::new(kind, document.key.namespace.as_str(), &**name);
            let Some((declared, digest)) = config.get_mut(&key) else { continue };
            whole.update(digest.get_or_insert_with(|| content(declared)));
            read.push(key);
        }
        if !read.is_empty() {
            found.push((place, Config { digest: finish(whole), read }));
        }
    }
    found
}

fn content(document: &Document) -> Digest {
    let object = document.object();
    let mut context = Context::new(&SHA256);
    context.update(document.key.to_string().as_bytes());
    for field in ["data", "binaryData", "stringData"] {
        context.update(object[field].to_string().as_bytes());
    }
    finish(context)
}

fn finish(context: Context) -> Digest {
    let digest = context.finish();
    let mut bytes = Digest::default();
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

/// What pods of this spec read, as files or as variables: each once, in an order that does not depend on the spec's.
pub(super) fn read_by(spec: &Value) -> Vec<(&'static Kind, &str)> {
    let mut config_maps: BTreeSet<&str> = BTreeSet::new();
    let mut secrets: BTreeSet<&str> = BTreeSet::new();
    for volume in items(&spec["volumes"]) {
        config_maps.extend(volume["configMap"]["name"].as_str());
        secrets.extend(volume["secret"]["secretName"].as_str());
        for source in items(&volume["projected"]["sources"]) {
            config_maps.extend(source["configMap"]["name"].as_str());
            secrets.extend(source["secret"]["name"].as_str());
        }
    }
    for container in items(&spec["initContainers"]).chain(items(&spec["containers"])) {
        for variable in items(&container["env"]) {
            config_maps.extend(variable["valueFrom"]["configMapKeyRef"]["name"].as_str());
            secrets.extend(variable["valueFrom"]["secretKeyRef"]["name"].as_str());
        }
        for whole in items(&container["envFrom"]) {
            config_maps.extend(whole["configMapRef"]["name"].as_str());
            secrets.extend(whole["secretRef"]["name"].as_str());
        }
    }
    let config_maps = config_maps.into_iter().map(|name| (kinds::CONFIG_MAP, name));
    config_maps.chain(secrets.into_iter().map(|name| (kinds::SECRET, name))).collect()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_pods_read_counts_once() {
        let spec = json!({
            "volumes": [{"configMap": {"name": "a"}}, {"secret": {"secretName": "s"}}, {"emptyDir": {}},
                {"projected": {"sources": [{"configMap": {"name": "b"}}, {"secret": {"name": "t"}}]}}],
            "initContainers": [{"envFrom": [{"secretRef": {"name": "u"}}]}],
            "containers": [{"env": [{"name": "X", "value": "x"}, {"valueFrom": {"configMapKeyRef": {"name": "a"}}},
                {"valueFrom": {"secretKeyRef": {"name": "v"}}}], "envFrom": [{"configMapRef": {"name": "c"}}]}]});
        let found: Vec<String> = read_by(&spec).iter().map(|(kind, name)| format!("{} {name}", kind.kind)).collect();
        let want = ["ConfigMap a", "ConfigMap b", "ConfigMap c", "Secret s", "Secret t", "Secret u", "Secret v"];
        assert_eq!(found, want);
        assert!(read_by(&json!({"containers": "not a list"})).is_empty());
    }
}
