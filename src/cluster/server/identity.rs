//! Who asks, and whether they may. Pure: the identity comes from the client certificate (`CN` is the user, each
//! `O` a group), the verdict from identity and request alone.

use super::path::Attributes;
use crate::object::{ApiError, Reason};

/// The user that a request comes from; a request extension, put there by whoever accepted the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub user: String,
    pub groups: Vec<String>,
}

const ADMINS: &str = "system:masters";
const NODES: &str = "system:nodes";
const NODE_USER: &str = "system:node:";
/// Where each node's heartbeat Lease lives.
const NODE_LEASES: &str = "kube-node-lease";

impl Identity {
    /// May do everything.
    pub fn admin(user: &str) -> Self {
        Self { user: user.into(), groups: vec![ADMINS.into(), "system:authenticated".into()] }
    }

    /// The agent of a node.
    pub fn node(name: &str) -> Self {
        Self { user: format!("{NODE_USER}{name}"), groups: vec![NODES.into(), "system:authenticated".into()] }
    }

    /// A caller that showed no credentials.
    pub fn anonymous() -> Self {
        Self { user: "system:anonymous".into(), groups: vec!["system:unauthenticated".into()] }
    }

    /// Reads the subject of a certificate whose chain the TLS layer has verified; `None` when it names no user.
    pub fn from_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let subject = certificate.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let named = subject.iter_organization().filter_map(|o| o.as_str().ok().map(str::to_owned));
        Some(Self { user, groups: named.chain(["system:authenticated".to_owned()]).collect() })
    }

    pub fn is_anonymous(&self) -> bool {
        self.is_in("system:unauthenticated")
    }

    fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// The node that this identity is the agent of.
    fn as_node(&self) -> Option<&str> {
        self.user.strip_prefix(NODE_USER).filter(|_| self.is_in(NODES))
    }
}

/// Paths that answer anybody: what a load balancer or a client asks before it has credentials, and the
/// webhook, which checks a signature of its own.
const OPEN: [&str; 5] = ["/healthz", "/livez", "/readyz", "/version", "/api/webhook"];
/// Paths below `/` that every user may read: they describe the API and hold no data.
const DESCRIPTIONS: [&str; 3] = ["/api", "/apis", "/openapi"];

/// # Errors
/// `Forbidden`, in Kubernetes's words.
pub fn authorize(identity: &Identity, request: &Attributes) -> Result<(), ApiError> {
    let allowed = identity.is_in(ADMINS)
        || is_open(&request.path)
        || (!identity.is_anonymous() && (is_description(request) || is_about_oneself(request)))
        || identity.as_node().is_some_and(|node| node_may(node, request));
    if allowed { Ok(()) } else { Err(forbidden(identity, request)) }
}

fn is_open(path: &str) -> bool {
    OPEN.iter().any(|open| is_below(path, open))
}

fn is_description(request: &Attributes) -> bool {
    request.resource.is_empty()
        && request.verb == "get"
        && DESCRIPTIONS.iter().any(|root| is_below(&request.path, root))
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `kubectl auth whoami` and `can-i` ask about the caller only.
fn is_about_oneself(request: &Attributes) -> bool {
    request.verb == "create" && request.resource.starts_with("selfsubject")
}

/// What an agent needs: to read what its pods use, and to write its own node, its heartbeat, the status of
/// pods, and events.
fn node_may(node: &str, request: &Attributes) -> bool {
    let own = request.name == node;
    let reads = matches!(request.verb, "get" | "list" | "watch");
    match (request.group.as_str(), request.resource.as_str(), request.subresource.as_str()) {
        ("", "nodes", "") => reads || request.verb == "create" || (own && matches!(request.verb, "update" | "patch")),
        ("", "nodes", "status") => own && matches!(request.verb, "get" | "update" | "patch"),
        ("", "pods", "") => reads || request.verb == "delete",
        ("", "pods", "status") => matches!(request.verb, "get" | "update" | "patch"),
        ("", "services" | "endpoints" | "namespaces" | "configmaps" | "secrets" | "serviceaccounts", "") => reads,
        ("discovery.k8s.io", "endpointslices", "") => reads,
        ("", "events", "") => matches!(request.verb, "create" | "update" | "patch"),
        ("coordination.k8s.io", "leases", "") => {
            request.namespace == NODE_LEASES
                && (request.verb == "create" || (own && matches!(request.verb, "get" | "update" | "patch")))
        }
        _ => false,
    }
}

fn forbidden(identity: &Identity, request: &Attributes) -> ApiError {
    let Attributes { verb, group, resource, subresource, namespace, name, path, .. } = request;
    let user = &identity.user;
    if resource.is_empty() {
        let message = format!("forbidden: User {user:?} cannot {verb} path {path:?}");
        return ApiError::new(Reason::Forbidden, message);
    }
    let plural = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
    let object = if name.is_empty() { String::new() } else { format!(" {name:?}") };
    let full = if subresource.is_empty() { resource.clone() } else { format!("{resource}/{subresource}") };
    let place = match namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let message = format!(
        "{plural}{object} is forbidden: User {user:?} cannot {verb} resource {full:?} in API group {group:?} {place}"
    );
    let about = crate::object::error::About {
        name: name.clone(),
        group: group.clone(),
        kind: resource.clone(),
        ..Default::default()
    };
    ApiError { about: Some(Box::new(about)), ..ApiError::new(Reason::Forbidden, message) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    fn may(identity: &Identity, method: &str, uri: &str) -> bool {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        authorize(identity, &Attributes::of(&method, &uri.parse().unwrap())).is_ok()
    }

    #[test]
    fn each_kind_of_caller_may_do_its_own_job_only() {
        let (admin, node, nobody) = (Identity::admin("a"), Identity::node("n1"), Identity::anonymous());
        let someone = Identity { user: "eve".into(), groups: vec!["system:authenticated".into()] };
        let cases = [
            (&admin, "DELETE", "/api/v1/namespaces/default", true),
            (&admin, "GET", "/metrics", true),
            (&nobody, "GET", "/readyz", true),
            (&nobody, "POST", "/api/webhook", true),
            (&nobody, "GET", "/api/webhooks", false),
            (&nobody, "GET", "/api", false),
            (&nobody, "GET", "/api/v1/pods", false),
            (&someone, "GET", "/apis", true),
            (&someone, "GET", "/api/v1", true),
            (&someone, "GET", "/api/v1/nodes", false),
            (&someone, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", true),
            (&node, "GET", "/api/v1/pods?fieldSelector=spec.nodeName=n1&watch=1", true),
            (&node, "PATCH", "/api/v1/nodes/n1/status", true),
            (&node, "PATCH", "/api/v1/nodes/n2/status", false),
            (&node, "PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1", true),
            (&node, "PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/n1", false),
            (&node, "POST", "/api/v1/namespaces/default/secrets", false),
            (&node, "POST", "/api/v1/namespaces/default/events", true),
        ];
        for (identity, method, uri, want) in cases {
            assert_eq!(may(identity, method, uri), want, "{} {method} {uri}", identity.user);
        }
    }

    #[test]
    fn a_refusal_reads_as_in_kubernetes() {
        let request = Attributes::of(&Method::GET, &"/apis/apps/v1/namespaces/d/deployments/web".parse().unwrap());
        let refusal = authorize(&Identity::anonymous(), &request).unwrap_err();
        assert_eq!(
            refusal.message,
            "deployments.apps \"web\" is forbidden: User \"system:anonymous\" cannot get resource \"deployments\" \
             in API group \"apps\" in the namespace \"d\""
        );
    }
}
