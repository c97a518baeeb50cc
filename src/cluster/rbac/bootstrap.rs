//! The roles and bindings that every cluster begins with, as Kubernetes names and fills them for the resources that
//! are served here. Whoever may make Applications may deploy anything, so no role but `cluster-admin` lets one.

use serde_json::Value;

use crate::object::Kind;
use crate::object::kinds;

/// A role or binding of the beginning.
#[derive(Debug)]
pub struct DefaultObject {
    pub kind: &'static Kind,
    pub object: Value,
}

const DEFAULTS: &str = include_str!("defaults.json");

/// All of them, roles first.
pub fn defaults() -> Vec<DefaultObject> {
    let all: Vec<Value> = serde_json::from_str(DEFAULTS).unwrap_or_default();
    let kind = |object: &Value| match object["kind"].as_str() {
        Some("ClusterRole") => kinds::CLUSTER_ROLE,
        _ => kinds::CLUSTER_ROLE_BINDING,
    };
    all.into_iter().map(|object| DefaultObject { kind: kind(&object), object }).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};

    use super::*;

    #[test]
    fn every_default_is_of_its_kind_and_every_binding_has_its_role() {
        let all = defaults();
        let roles: Vec<ClusterRole> = all
            .iter()
            .filter(|d| d.kind == kinds::CLUSTER_ROLE)
            .map(|d| serde_json::from_value(d.object.clone()).unwrap())
            .collect();
        let bindings = all.iter().filter(|d| d.kind == kinds::CLUSTER_ROLE_BINDING);
        let bindings: Vec<ClusterRoleBinding> =
            bindings.map(|d| serde_json::from_value(d.object.clone()).unwrap()).collect();
        assert!(roles.len() > 10 && bindings.len() > 5);
        for binding in bindings {
            assert!(roles.iter().any(|role| role.metadata.name.as_ref() == Some(&binding.role_ref.name)));
        }
    }
}
