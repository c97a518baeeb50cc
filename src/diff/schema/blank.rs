//! The object of each kind before anybody has set anything: the fields that are always written, even when empty.
//! Ownership on creation is what differs from it, which is why a new Deployment's manager does not own `spec` itself.

use serde_json::{Value, json};

use crate::object::custom::Described;

/// The empty object of a kind.
pub fn blank(kind: Described<'_>) -> Value {
    if kind.definition.is_some() {
        return json!({"metadata": {}});
    }
    let template = json!({"metadata": {}, "spec": {"containers": null}});
    match (kind.group, kind.kind) {
        ("", "Pod") => json!({"metadata": {}, "spec": {"containers": null}, "status": {}}),
        ("", "Service") => json!({"metadata": {}, "spec": {}, "status": {"loadBalancer": {}}}),
        ("", "Node") => json!({"metadata": {}, "spec": {},
            "status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}, "nodeInfo": {}}}),
        ("", "Event") => json!({"metadata": {}, "involvedObject": {}, "source": {}, "firstTimestamp": null,
            "lastTimestamp": null, "eventTime": null, "reportingComponent": "", "reportingInstance": ""}),
        ("apps", "Deployment") => {
            json!({"metadata": {}, "spec": {"selector": null, "strategy": {}, "template": template}, "status": {}})
        }
        ("apps", "DaemonSet") => {
            json!({"metadata": {}, "spec": {"selector": null, "updateStrategy": {}, "template": template}, "status": {}})
        }
        ("apps", "StatefulSet") => json!({"metadata": {},
            "spec": {"selector": null, "serviceName": "", "updateStrategy": {}, "template": template}, "status": {}}),
        ("apps", "ReplicaSet") => {
            json!({"metadata": {}, "spec": {"selector": null, "template": template}, "status": {"replicas": 0}})
        }
        ("batch", "Job") => json!({"metadata": {}, "spec": {"template": template}, "status": {}}),
        ("batch", "CronJob") => json!({"metadata": {}, "status": {},
            "spec": {"schedule": "", "jobTemplate": {"metadata": {}, "spec": {"template": template}}}}),
        ("discovery.k8s.io", "EndpointSlice") => {
            json!({"metadata": {}, "addressType": "", "endpoints": null, "ports": null})
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            json!({"metadata": {}, "roleRef": {}})
        }
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => json!({"metadata": {}, "rules": null}),
        ("argoproj.io", _) => json!({"metadata": {}}),
        (
            _,
            "Namespace"
            | "Ingress"
            | "PersistentVolume"
            | "PersistentVolumeClaim"
            | "ResourceQuota"
            | "PodDisruptionBudget",
        ) => json!({"metadata": {}, "spec": {}, "status": {}}),
        (_, "Lease" | "NetworkPolicy") => json!({"metadata": {}, "spec": {}}),
        _ => json!({"metadata": {}}),
    }
}
