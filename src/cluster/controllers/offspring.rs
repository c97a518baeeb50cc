//! What workloads make their pods from.

use serde_json::{Value, json};

use super::claims::Claimant;
use super::names;
use crate::cluster::registry::Transaction;
use crate::object::{Kind, ObjectKey};

/// A pod of a workload's template (`spec.template` in its JSON form), without a name.
pub fn pod_of(template: &Value, owner: &Claimant<'_>, generate_name: &str) -> Value {
    let given = &template["metadata"];
    let mut metadata = json!({"generateName": generate_name, "namespace": owner.owner.key.namespace,
        "ownerReferences": [owner.reference()]});
    for member in ["labels", "annotations", "finalizers"] {
        if !given[member].is_null() {
            metadata[member] = given[member].clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

/// `BASExxxxx`, a name that no object of the kind has.
pub fn free_name(
    transaction: &Transaction,
    kind: &'static Kind,
    namespace: &str,
    base: &str,
    random: &mut fastrand::Rng,
) -> String {
    loop {
        let name = names::generate(base, random);
        if !transaction.exists(&ObjectKey::new(kind, namespace, &*name)) {
            return name;
        }
    }
}
