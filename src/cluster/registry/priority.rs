//! Gives a pod that is created the priority of its PriorityClass: of the one that it names, else of the one that is the
//! default of the cluster. (Kubernetes documentation, "Pod Priority and Preemption".)

use std::collections::BTreeSet;

use serde_json::Value;

use super::transaction::Transaction;
use crate::object::{Kind, ObjectKey, kinds};

/// A class that a pod is of.
pub(super) struct Class {
    name: String,
    object: Value,
}

impl Transaction {
    /// Takes the name of its class out of a pod, to be given back by `apply`. `None` when the pod is of no class that
    /// is an object: the classes that every cluster has, and unknown ones, are left to the pod's admission.
    pub(super) fn take_priority_class(&self, kind: &'static Kind, object: &mut Value) -> Option<Class> {
        if kind != kinds::POD {
            return None;
        }
        let class = match object["spec"]["priorityClassName"].as_str().filter(|name| !name.is_empty()) {
            Some(name) => {
                let object = self.current(&ObjectKey::new(kinds::PRIORITY_CLASS, "", name))?;
                Class { name: name.to_owned(), object }
            }
            None => self.default_class()?,
        };
        let spec = object["spec"].as_object_mut()?;
        spec.remove("priorityClassName");
        // The class decides; a number that agrees with it is accepted, as one that was read and written again.
        if spec.get("priority") == Some(&class.object["value"]) {
            spec.remove("priority");
        }
        Some(class)
    }

    /// Of several defaults, the one with the smallest value.
    fn default_class(&self) -> Option<Class> {
        let stored = self.base.list(kinds::PRIORITY_CLASS, "").map(|class| &class.key);
        let keys: BTreeSet<_> = stored.chain(self.pending_of(kinds::PRIORITY_CLASS).map(|step| &step.key)).collect();
        let classes = keys.into_iter().filter_map(|key| self.current(key));
        let defaults = classes.filter(|class| class["globalDefault"] == true);
        let object = defaults.min_by_key(|class| class["value"].as_i64())?;
        Some(Class { name: object["metadata"]["name"].as_str()?.to_owned(), object })
    }
}

impl Class {
    pub(super) fn apply(self, pod: &mut Value) {
        pod["spec"]["priorityClassName"] = Value::String(self.name);
        pod["spec"]["priority"] = self.object["value"].clone();
        pod["spec"]["preemptionPolicy"] = self.object["preemptionPolicy"].clone();
    }
}
