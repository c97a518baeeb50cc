//! What makes a pod the one of its ordinal: its name, its labels and its claims. Pure.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::cluster::controllers::claims::Claimant;
use crate::cluster::controllers::offspring;

pub const REVISION: &str = "controller-revision-hash";
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// The ordinal of a pod of the set by its name: `web-3` is the fourth of `web`.
pub fn ordinal(set: &str, pod: &str) -> Option<i64> {
    let digits = pod.strip_prefix(set)?.strip_prefix('-')?;
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i32>().ok())?;
    number.map(i64::from)
}

pub fn pod_name(set: &str, ordinal: i64) -> String {
    format!("{set}-{ordinal}")
}

/// A StatefulSet in its JSON form, as far as its pods take after it.
pub struct Parent<'a> {
    pub claimant: &'a Claimant<'a>,
    /// The whole set.
    pub value: &'a Value,
}

impl Parent<'_> {
    pub fn name(&self) -> &str {
        &self.claimant.owner.key.name
    }

    fn claim_templates(&self) -> impl Iterator<Item = &Value> {
        self.value["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten()
    }

    /// The name of a claim, for each template by the template's name.
    pub fn claims(&self, ordinal: i64) -> Vec<(String, String)> {
        let named = |template: &Value| {
            let name = template["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let claim = format!("{name}-{}-{ordinal}", self.name());
            (name, claim)
        };
        self.claim_templates().map(named).collect()
    }

    /// The pod of an ordinal at a revision, whose template may be another than the set's present one.
    pub fn pod(&self, ordinal: i64, revision: &str, template: &Value) -> Value {
        let name = pod_name(self.name(), ordinal);
        let mut pod = offspring::pod_of(template, self.claimant, &format!("{}-", self.name()));
        pod["metadata"]["name"] = json!(name);
        for (label, value) in self.labels(ordinal) {
            pod["metadata"]["labels"][label] = json!(value);
        }
        pod["metadata"]["labels"][REVISION] = json!(revision);
        pod["spec"]["hostname"] = json!(name);
        if let Some(service) = self.value["spec"]["serviceName"].as_str().filter(|s| !s.is_empty()) {
            pod["spec"]["subdomain"] = json!(service);
        }
        let claims = self.claims(ordinal);
        if !claims.is_empty() {
            let own = |volume: &&Value| !claims.iter().any(|(name, _)| volume["name"] == name.as_str());
            let others = template["spec"]["volumes"].as_array().into_iter().flatten().filter(own).cloned();
            let of_claim =
                |(name, claim): &(String, String)| json!({"name": name, "persistentVolumeClaim": {"claimName": claim}});
            let volumes: Vec<Value> = claims.iter().map(of_claim).chain(others).collect();
            pod["spec"]["volumes"] = json!(volumes);
        }
        pod
    }

    /// The labels that tell who a pod is.
    pub fn labels(&self, ordinal: i64) -> [(&'static str, String); 2] {
        [(POD_NAME, pod_name(self.name(), ordinal)), (POD_INDEX, ordinal.to_string())]
    }

    /// The claims of an ordinal as they are made, in the order of their templates.
    pub fn new_claims(&self, ordinal: i64) -> Vec<Value> {
        let selector = &self.value["spec"]["selector"]["matchLabels"];
        let named = self.claim_templates().zip(self.claims(ordinal));
        let make = |(template, (_, name)): (&Value, (String, String))| {
            let mut metadata = json!({"name": name, "namespace": self.claimant.owner.key.namespace});
            for member in ["labels", "annotations", "finalizers"] {
                if !template["metadata"][member].is_null() {
                    metadata[member] = template["metadata"][member].clone();
                }
            }
            for (label, value) in selector.as_object().into_iter().flatten() {
                metadata["labels"][label] = value.clone();
            }
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata,
                "spec": template["spec"]})
        };
        named.map(make).collect()
    }

    /// Whether the pod has the labels and the claims of its ordinal.
    pub fn is_identity_of(&self, pod: &Pod, ordinal: i64) -> bool {
        let labels = pod.metadata.labels.as_ref();
        let labelled = self.labels(ordinal).iter().all(|(k, v)| labels.and_then(|l| l.get(*k)) == Some(v));
        let volumes = || pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
        let stored = self.claims(ordinal).iter().all(|(name, claim)| {
            let source = volumes().find(|v| v.name == *name).and_then(|v| v.persistent_volume_claim.as_ref());
            source.is_some_and(|source| source.claim_name == *claim)
        });
        labelled && stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::selector::Selector;
    use crate::object::{Object, kinds};

    #[test]
    fn ordinals_are_read_from_names_of_the_set_only() {
        for (pod, want) in [
            ("web-0", Some(0)),
            ("web-12", Some(12)),
            ("web-x", None),
            ("web-", None),
            ("web-1-2", None),
            ("webs-1", None),
            ("web--1", None),
            ("web-99999999999", None),
        ] {
            assert_eq!(ordinal("web", pod), want, "{pod}");
        }
    }

    #[test]
    fn a_pod_has_its_own_name_labels_and_claims() {
        let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "db", "namespace": "n", "uid": "u"},
            "spec": {"serviceName": "peers", "selector": {"matchLabels": {"app": "db"}}, "volumeClaimTemplates": [
                {"metadata": {"name": "data", "labels": {"tier": "x"}}, "spec": {"accessModes": ["ReadWriteOnce"]}}]}});
        let owner = Object::from_json(kinds::STATEFUL_SET, set.to_string().into()).unwrap();
        let claimant = Claimant { owner: &owner, selector: &Selector::everything() };
        let parent = Parent { claimant: &claimant, value: &set };
        let template = json!({"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [], "volumes": [
            {"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]}});
        let pod = parent.pod(2, "db-abc", &template);
        assert_eq!(pod["metadata"]["name"], "db-2");
        assert_eq!(
            pod["metadata"]["labels"],
            json!({"app": "db", "apps.kubernetes.io/pod-index": "2",
            "statefulset.kubernetes.io/pod-name": "db-2", "controller-revision-hash": "db-abc"})
        );
        assert_eq!((&pod["spec"]["hostname"], &pod["spec"]["subdomain"]), (&json!("db-2"), &json!("peers")));
        assert_eq!(
            pod["spec"]["volumes"],
            json!([
            {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-2"}}, {"name": "tmp", "emptyDir": {}}])
        );
        let claims = parent.new_claims(2);
        assert_eq!(
            claims[0]["metadata"],
            json!({"name": "data-db-2", "namespace": "n",
            "labels": {"app": "db", "tier": "x"}})
        );
        let typed: Pod = serde_json::from_value(pod).unwrap();
        assert!(parent.is_identity_of(&typed, 2));
        assert!(!parent.is_identity_of(&typed, 1));
    }
}
