//! Whether a caller may do what its request says: the administrator everything, a node what its pods need, everybody
//! else what their roles allow. Pure: a function of a snapshot, the identity and the request.

use super::identity::Identity;
use super::node;
use crate::cluster::rbac::{self, Ask, Decision};
use crate::cluster::server::path::Attributes;
use crate::cluster::store::Snapshot;
use crate::object::error::About;
use crate::object::{ApiError, Reason};

/// An answer with its reason, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    pub reason: String,
}

/// The webhook checks a signature of its own.
const OPEN: &str = "/api/webhook";

/// # Errors
/// `Forbidden`, in Kubernetes's words.
pub fn authorize(snapshot: &Snapshot, identity: &Identity, request: &Attributes) -> Result<(), ApiError> {
    if request.path == OPEN && request.resource.is_empty() {
        return Ok(());
    }
    let selected = Selected { fields: &request.field_selector, labels: &request.label_selector };
    let verdict = decide(snapshot, identity, &request.namespace, &request.ask(), selected);
    if verdict.allowed { Ok(()) } else { Err(forbidden(identity, request, &verdict.reason)) }
}

/// The selectors of a list: what it is narrowed to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selected<'a> {
    pub fields: &'a str,
    pub labels: &'a str,
}

/// What Kubernetes calls a subject access review: may `identity` do this?
pub fn decide(
    snapshot: &Snapshot,
    identity: &Identity,
    namespace: &str,
    ask: &Ask<'_>,
    selected: Selected<'_>,
) -> Verdict {
    if identity.is_admin() {
        return Verdict { allowed: true, reason: String::new() };
    }
    if let Some(node) = identity.as_node()
        && node::may(snapshot, node, namespace, ask, selected)
    {
        return Verdict { allowed: true, reason: String::new() };
    }
    match rbac::decide(snapshot, identity.caller(), namespace, ask) {
        Decision::Allowed(reason) => Verdict { allowed: true, reason },
        Decision::NoOpinion(missing) if missing.is_empty() => Verdict { allowed: false, reason: String::new() },
        Decision::NoOpinion(missing) => {
            let reason = match missing.as_slice() {
                [one] => format!("RBAC: {one}"),
                all => format!("RBAC: [{}]", all.join(", ")),
            };
            Verdict { allowed: false, reason }
        }
    }
}

fn forbidden(identity: &Identity, request: &Attributes, reason: &str) -> ApiError {
    let Attributes { verb, group, resource, subresource, namespace, name, path, .. } = request;
    let user = &identity.user;
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    if resource.is_empty() {
        let message = format!("forbidden: User {user:?} cannot {verb} path {path:?}{reason}");
        return ApiError { about: Some(Box::new(About::default())), ..ApiError::new(Reason::Forbidden, message) };
    }
    let plural = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
    let object = if name.is_empty() { String::new() } else { format!(" {name:?}") };
    let full = if subresource.is_empty() { resource.clone() } else { format!("{resource}/{subresource}") };
    let place = match namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let message = format!(
        "{plural}{object} is forbidden: User {user:?} cannot {verb} resource {full:?} in API group {group:?} {place}{reason}"
    );
    let about = About { name: name.clone(), group: group.clone(), kind: resource.clone(), ..About::default() };
    ApiError { about: Some(Box::new(about)), ..ApiError::new(Reason::Forbidden, message) }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use super::*;
    use crate::cluster::registry::{self, Author, Registry, WriteOptions};
    use crate::cluster::store::Store;
    use crate::object::{Clock, kinds};
    use crate::tasks::Tasks;

    async fn world(tasks: &Tasks) -> Registry {
        let registry = Registry::new(Store::in_memory(tasks), Clock::start());
        registry::bootstrap(&registry).await.unwrap();
        let author = Author::controller("test");
        let pod = json!({"metadata": {"name": "mine"}, "spec": {"nodeName": "n1", "serviceAccountName": "robot",
            "containers": [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "wanted"}}]}]}});
        let binding = json!({"metadata": {"name": "dev"}, "subjects": [{"kind": "Group", "name": "devs"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:aggregate-to-view"}});
        let broken = json!({"metadata": {"name": "broken"}, "subjects": [{"kind": "User", "name": "eve"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "absent"}});
        let robot = json!({"metadata": {"name": "robot"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}});
        let all = [
            (kinds::POD, "default", pod),
            (kinds::ROLE_BINDING, "default", binding),
            (kinds::ROLE_BINDING, "default", broken),
            (kinds::CLUSTER_ROLE_BINDING, "", robot),
        ];
        for (kind, namespace, object) in all {
            registry.create(&author, kind, namespace, object, WriteOptions::default()).await.unwrap();
        }
        registry
    }

    fn asked(method: &str, uri: &str) -> Attributes {
        Attributes::of(&Method::from_bytes(method.as_bytes()).unwrap(), &uri.parse().unwrap())
    }

    #[tokio::test]
    async fn each_kind_of_caller_may_do_its_own_job_only() {
        let tasks = Tasks::default();
        let registry = world(&tasks).await;
        let snapshot = registry.snapshot();
        let (admin, node, nobody) = (Identity::admin("a"), Identity::node("n1"), Identity::anonymous());
        let (other, someone) = (Identity::node("n2"), Identity::authenticated("eve", []));
        let dev = Identity::authenticated("dan", ["devs".to_owned()]);
        let robot = Identity::authenticated("system:serviceaccount:default:robot", []);
        let cases = [
            (&admin, "DELETE", "/api/v1/namespaces/default", true),
            (&admin, "GET", "/metrics", true),
            (&nobody, "GET", "/readyz", true),
            (&nobody, "POST", "/api/webhook", true),
            (&nobody, "GET", "/api/webhooks", false),
            (&nobody, "GET", "/api", false),
            (&nobody, "GET", "/metrics", false),
            (&nobody, "GET", "/api/v1/pods", false),
            (&someone, "GET", "/apis", true),
            (&someone, "GET", "/openapi/v3", true),
            (&someone, "GET", "/api/v1/nodes", false),
            (&someone, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", true),
            (&someone, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", false),
            (&dev, "GET", "/api/v1/namespaces/default/pods/mine/log", true),
            (&dev, "GET", "/api/v1/namespaces/default/pods?watch=1", true),
            (&dev, "GET", "/api/v1/namespaces/kube-system/pods", false),
            (&dev, "GET", "/api/v1/pods", false),
            (&dev, "GET", "/api/v1/namespaces/default/secrets", false),
            (&dev, "DELETE", "/api/v1/namespaces/default/pods/mine", false),
            (&robot, "DELETE", "/api/v1/namespaces/default", true),
            (&node, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&watch=1", true),
            (&node, "GET", "/api/v1/pods", false),
            (&node, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2", false),
            (&node, "GET", "/api/v1/namespaces/default/pods/mine", true),
            (&other, "GET", "/api/v1/namespaces/default/pods/mine", false),
            (&node, "PATCH", "/api/v1/namespaces/default/pods/mine/status", true),
            (&other, "PATCH", "/api/v1/namespaces/default/pods/mine/status", false),
            (&other, "DELETE", "/api/v1/namespaces/default/pods/mine", false),
            (&node, "GET", "/api/v1/namespaces/default/secrets/wanted", true),
            (&node, "GET", "/api/v1/namespaces/default/secrets?fieldSelector=metadata.name%3Dwanted&watch=1", true),
            (&node, "GET", "/api/v1/namespaces/default/secrets/other", false),
            (&other, "GET", "/api/v1/namespaces/default/secrets/wanted", false),
            (&node, "GET", "/api/v1/namespaces/default/secrets", false),
            (&node, "POST", "/api/v1/namespaces/default/serviceaccounts/robot/token", true),
            (&node, "POST", "/api/v1/namespaces/default/serviceaccounts/default/token", false),
            (&node, "PATCH", "/api/v1/nodes/n1/status", true),
            (&node, "PATCH", "/api/v1/nodes/n2/status", false),
            (&node, "PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1", true),
            (&node, "PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/n1", false),
            (&node, "POST", "/api/v1/namespaces/default/secrets", false),
            (&node, "POST", "/api/v1/namespaces/default/events", true),
        ];
        for (identity, method, uri, want) in cases {
            let verdict = authorize(&snapshot, identity, &asked(method, uri));
            assert_eq!(verdict.is_ok(), want, "{} {method} {uri}", identity.user);
        }
        tasks.stop().await;
    }

    #[tokio::test]
    async fn a_refusal_reads_as_in_kubernetes() {
        let tasks = Tasks::default();
        let registry = world(&tasks).await;
        let request = asked("GET", "/apis/apps/v1/namespaces/default/deployments/web");
        let refusal = |identity: &Identity| authorize(&registry.snapshot(), identity, &request).unwrap_err().message;
        let plain = "deployments.apps \"web\" is forbidden: User \"system:anonymous\" cannot get resource \
            \"deployments\" in API group \"apps\" in the namespace \"default\"";
        assert_eq!(refusal(&Identity::anonymous()), plain);
        let broken = refusal(&Identity::authenticated("eve", []));
        assert!(broken.ends_with(": RBAC: role.rbac.authorization.k8s.io \"absent\" not found"), "{broken}");
        tasks.stop().await;
    }

    #[tokio::test]
    async fn a_verdict_says_which_binding_allows() {
        let tasks = Tasks::default();
        let registry = world(&tasks).await;
        let ask = Ask { verb: "list", resource: "pods", ..Ask::default() };
        let dev = Identity::authenticated("dan", ["devs".to_owned()]);
        let verdict = decide(&registry.snapshot(), &dev, "default", &ask, Selected::default());
        let want = "RBAC: allowed by RoleBinding \"dev/default\" of ClusterRole \"system:aggregate-to-view\" to Group \"devs\"";
        assert_eq!(verdict, Verdict { allowed: true, reason: want.into() });
        tasks.stop().await;
    }
}
