//! Gives claims that name no class the cluster's default one. (Kubernetes documentation, "Storage Classes".)

use serde_json::{Value, json};

use super::transaction::Transaction;
use crate::object::{Kind, Object, kinds};

const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

impl Transaction {
    /// Of several default classes the youngest is it, of equals the first by name.
    pub(super) fn default_storage_class(&self, kind: &'static Kind, object: &mut Value) {
        if kind != kinds::CLAIM || !object["spec"]["storageClassName"].is_null() {
            return;
        }
        let classes = self.base.list(kinds::STORAGE_CLASS, "").filter(|class| is_default(class));
        let class = classes.max_by_key(|class| (class.meta.created, std::cmp::Reverse(class.key.name.clone())));
        if let Some(class) = class {
            object["spec"]["storageClassName"] = json!(class.key.name);
        }
    }
}

fn is_default(class: &Object) -> bool {
    class.value()["metadata"]["annotations"][DEFAULT] == "true"
}
