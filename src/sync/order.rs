//! The order in which objects of one sync are written, as Argo CD has it: what others need comes first, and before it
//! the policies, which judge the rest of their commit, too. Pruning goes the other way. Within one transaction the order only decides what a later step can see. Pure.

use std::cmp::Ordering;

use crate::object::ObjectKey;

const KINDS: &[&str] = &[
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
];

/// Kind, then namespace, then name.
pub fn compare(a: &ObjectKey, b: &ObjectKey) -> Ordering {
    let rank = |key: &ObjectKey| KINDS.iter().position(|kind| *kind == key.kind.kind).unwrap_or(KINDS.len());
    rank(a).cmp(&rank(b)).then_with(|| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name))).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::kinds;

    #[test]
    fn what_others_need_comes_first() {
        let mut keys = [
            ObjectKey::new(kinds::APPLICATION, "a", "z"),
            ObjectKey::new(kinds::DEPLOYMENT, "a", "web"),
            ObjectKey::new(kinds::SERVICE, "b", "web"),
            ObjectKey::new(kinds::SERVICE, "a", "web"),
            ObjectKey::new(kinds::CONFIG_MAP, "a", "web"),
            ObjectKey::new(kinds::NAMESPACE, "", "a"),
        ];
        keys.sort_by(compare);
        let order: Vec<_> = keys.iter().map(|k| format!("{} {}", k.kind.kind, k.namespace)).collect();
        assert_eq!(order, ["Namespace ", "ConfigMap a", "Service a", "Service b", "Deployment a", "Application a"]);
    }
}
