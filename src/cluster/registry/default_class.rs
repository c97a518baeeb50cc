//! Gives claims and Ingresses that name no class the cluster's default one. (Kubernetes documentation, "Default
//! StorageClass" and "Default IngressClass".)

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::transaction::Transaction;
use crate::object::{Kind, kinds};

const DEFAULT_STORAGE: &str = "storageclass.kubernetes.io/is-default-class";
const DEFAULT_INGRESS: &str = "ingressclass.kubernetes.io/is-default-class";
/// How an Ingress named its class before there was a field for it.
const OLD_CLASS: &str = "kubernetes.io/ingress.class";

impl Transaction {
    pub(super) fn take_default_class(&self, kind: &'static Kind, object: &mut Value) {
        let (class, field, mark) = if kind == kinds::CLAIM {
            (kinds::STORAGE_CLASS, "storageClassName", DEFAULT_STORAGE)
        } else if kind == kinds::INGRESS && object["metadata"]["annotations"][OLD_CLASS].is_null() {
            (kinds::INGRESS_CLASS, "ingressClassName", DEFAULT_INGRESS)
        } else {
            return;
        };
        if object["spec"][field].is_null()
            && let Some(name) = self.default_of(class, mark)
        {
            object["spec"][field] = json!(name);
        }
    }

    /// Of several default classes the youngest is it, of equals the first by name.
    fn default_of(&self, class: &'static Kind, mark: &str) -> Option<String> {
        let stored = self.base.list(class, "").filter(|object| self.step(&object.key).is_none());
        let stored = stored.map(|object| object.value());
        let stepped = self.pending_of(class).filter_map(|step| step.after.clone());
        let defaults = stored.chain(stepped).filter(|found| found["metadata"]["annotations"][mark] == "true");
        let text = |class: &Value, name: &str| class["metadata"][name].as_str().unwrap_or_default().to_owned();
        let youngest = defaults.max_by_key(|found| (text(found, "creationTimestamp"), Reverse(text(found, "name"))));
        youngest.map(|found| text(&found, "name"))
    }
}
