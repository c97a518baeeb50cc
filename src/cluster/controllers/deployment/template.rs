//! Compares pod templates, and names the ReplicaSet of one by a hash of it. Pure.
//!
//! Which ReplicaSet belongs to a template is decided by comparing templates, never by the hash: a hash may
//! collide, and may be computed differently by another version or another implementation.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;

use crate::cluster::controllers::names;
use crate::object::quantity::Quantity;

/// Label of ReplicaSets and pods that tells the templates of one Deployment apart.
pub const HASH_LABEL: &str = "pod-template-hash";

/// Whether two templates ask for the same pods, whatever their hash labels say.
pub fn same(a: &PodTemplateSpec, b: &PodTemplateSpec) -> bool {
    a == b || canonical(a) == canonical(b)
}

/// The name part for a template: FNV-1a over its canonical form and the number of collisions so far.
pub fn hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let mut hash = Fnv::default();
    hash.write(canonical(template).to_string().as_bytes());
    if let Some(collisions) = collisions {
        hash.write(&collisions.to_le_bytes());
    }
    names::encode(hash.0)
}

/// Without the hash label, and without differences that mean nothing: absent and empty lists and maps are the
/// same, and so are two spellings of one quantity.
fn canonical(template: &PodTemplateSpec) -> Value {
    let mut value = serde_json::to_value(template).unwrap_or_default();
    if let Some(labels) = value.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH_LABEL);
    }
    simplify(&mut value, "");
    value
}

/// Maps whose emptiness says nothing. Other empty objects do: `emptyDir: {}` is a volume.
const MAPS: &[&str] = &["labels", "annotations", "nodeSelector", "limits", "requests", "matchLabels", "metadata"];

fn simplify(value: &mut Value, name: &str) {
    match value {
        Value::Object(members) => {
            let quantities = matches!(name, "limits" | "requests" | "overhead");
            for (name, member) in members.iter_mut() {
                match member {
                    Value::String(text) if quantities => {
                        if let Ok(quantity) = Quantity::parse(text) {
                            *text = quantity.to_string();
                        }
                    }
                    member => simplify(member, name),
                }
            }
            members.retain(|name, member| match member {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(inner) => !inner.is_empty() || !MAPS.contains(&name.as_str()),
                _ => true,
            });
        }
        Value::Array(items) => items.iter_mut().for_each(|item| simplify(item, "")),
        _ => {}
    }
}

/// FNV-1a of 32 bits.
struct Fnv(u32);

impl Default for Fnv {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(labels: Value, container: Value) -> PodTemplateSpec {
        let value = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn templates_are_compared_by_what_they_mean() {
        let base = template(json!({"app": "web"}), json!({"name": "a", "image": "i:1"}));
        for (labels, container, want) in [
            (json!({"app": "web", HASH_LABEL: "x"}), json!({"name": "a", "image": "i:1"}), true),
            (json!({"app": "web"}), json!({"name": "a", "image": "i:1", "env": [], "resources": {}}), false),
            (json!({"app": "web"}), json!({"name": "a", "image": "i:1", "env": []}), true),
            (json!({"app": "web"}), json!({"name": "a", "image": "i:2"}), false),
            (json!({"app": "api"}), json!({"name": "a", "image": "i:1"}), false),
        ] {
            assert_eq!(same(&base, &template(labels.clone(), container.clone())), want, "{labels} {container}");
        }
    }

    #[test]
    fn quantities_are_compared_by_value() {
        let cpu = |cpu: &str| template(json!({}), json!({"name": "a", "resources": {"limits": {"cpu": cpu}}}));
        assert!(same(&cpu("1000m"), &cpu("1")));
        assert!(!same(&cpu("1001m"), &cpu("1")));
        assert_eq!(hash(&cpu("1000m"), None), hash(&cpu("1"), None));
    }

    #[test]
    fn a_collision_changes_the_hash() {
        let one = template(json!({}), json!({"name": "a"}));
        assert_ne!(hash(&one, None), hash(&one, Some(1)));
        assert_ne!(hash(&one, Some(1)), hash(&one, Some(2)));
    }
}
