//! What the bindings of a snapshot give a caller.

use std::fmt;
use std::ops::ControlFlow;

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::rule::Ask;
use crate::cluster::store::Snapshot;
use crate::object::kinds;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    pub user: &'a str,
    pub groups: &'a [String],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// With the binding, role and subject that allow it.
    Allowed(String),
    /// Nothing allows it; with the roles that bindings name and that do not exist.
    NoOpinion(Vec<String>),
}

/// Whether the roles allow the caller what it asks in `namespace` (empty: at the cluster scope).
pub fn decide(snapshot: &Snapshot, caller: Caller<'_>, namespace: &str, ask: &Ask<'_>) -> Decision {
    let mut missing = Vec::new();
    let walked = each_grant(snapshot, caller, namespace, &mut missing, |grant, rules| {
        match rules.iter().any(|rule| ask.is_allowed_by(rule)) {
            true => ControlFlow::Break(format!("RBAC: allowed by {grant}")),
            false => ControlFlow::Continue(()),
        }
    });
    match walked {
        ControlFlow::Break(reason) => Decision::Allowed(reason),
        ControlFlow::Continue(()) => Decision::NoOpinion(missing),
    }
}

/// All rules that hold for the caller in `namespace`, and the roles that bindings name and that do not exist.
pub fn rules_of(snapshot: &Snapshot, caller: Caller<'_>, namespace: &str) -> (Vec<PolicyRule>, Vec<String>) {
    let (mut all, mut missing) = (Vec::new(), Vec::new());
    let _ = each_grant(snapshot, caller, namespace, &mut missing, |_, rules| {
        all.extend_from_slice(rules);
        ControlFlow::<()>::Continue(())
    });
    (all, missing)
}

/// The rules of the role that a binding in `namespace` refers to; the role's name when it does not exist.
///
/// # Errors
/// What does not exist, as Kubernetes words it.
pub fn referenced_rules(snapshot: &Snapshot, namespace: &str, role: &RoleRef) -> Result<Vec<PolicyRule>, String> {
    with_rules(snapshot, namespace, role, <[PolicyRule]>::to_vec)
}

/// One binding that concerns the caller, for messages.
struct Grant<'a> {
    binding: &'a str,
    name: String,
    role: &'a RoleRef,
    subject: &'a Subject,
}

impl fmt::Display for Grant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject { kind, name, namespace, .. } = self.subject;
        let subject = match namespace.as_deref() {
            Some(namespace) if kind == "ServiceAccount" => format!("{name}/{namespace}"),
            _ => name.clone(),
        };
        let RoleRef { kind: role_kind, name: role, .. } = self.role;
        let Self { binding, name, .. } = self;
        write!(f, "{binding} {name:?} of {role_kind} {role:?} to {kind} {subject:?}")
    }
}

/// Bindings of the whole cluster first, then those of the namespace.
fn each_grant<B>(
    snapshot: &Snapshot,
    caller: Caller<'_>,
    namespace: &str,
    missing: &mut Vec<String>,
    mut take: impl FnMut(&Grant<'_>, &[PolicyRule]) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut visit = |binding: &'static str, name: String, place: &str, role: &RoleRef, subjects: &[Subject]| {
        let Some(subject) = subjects.iter().find(|subject| is_subject(subject, caller, place)) else {
            return ControlFlow::Continue(());
        };
        let grant = Grant { binding, name, role, subject };
        with_rules(snapshot, place, role, |rules| take(&grant, rules)).unwrap_or_else(|absent| {
            missing.push(absent);
            ControlFlow::Continue(())
        })
    };
    for object in snapshot.list(kinds::CLUSTER_ROLE_BINDING, "") {
        let Ok(binding) = object.typed::<ClusterRoleBinding>() else { continue };
        let subjects = binding.subjects.as_deref().unwrap_or_default();
        visit("ClusterRoleBinding", object.key.name.clone(), "", &binding.role_ref, subjects)?;
    }
    if namespace.is_empty() {
        return ControlFlow::Continue(());
    }
    for object in snapshot.list(kinds::ROLE_BINDING, namespace) {
        let Ok(binding) = object.typed::<RoleBinding>() else { continue };
        let subjects = binding.subjects.as_deref().unwrap_or_default();
        let name = format!("{}/{namespace}", object.key.name);
        visit("RoleBinding", name, namespace, &binding.role_ref, subjects)?;
    }
    ControlFlow::Continue(())
}

fn with_rules<R>(
    snapshot: &Snapshot,
    namespace: &str,
    role: &RoleRef,
    with: impl FnOnce(&[PolicyRule]) -> R,
) -> Result<R, String> {
    let (kind, place) = match role.kind.as_str() {
        "ClusterRole" => (kinds::CLUSTER_ROLE, ""),
        _ => (kinds::ROLE, namespace),
    };
    let absent = || format!("{}.{} {:?} not found", kind.singular, kind.group, role.name);
    let object = snapshot.find(kind, place, &role.name).ok_or_else(absent)?;
    // What is stored decodes: the registry has seen to it.
    if kind == kinds::CLUSTER_ROLE {
        let found = object.typed::<ClusterRole>().map_err(|_| absent())?;
        return Ok(with(found.rules.as_deref().unwrap_or_default()));
    }
    let found = object.typed::<Role>().map_err(|_| absent())?;
    Ok(with(found.rules.as_deref().unwrap_or_default()))
}

fn is_subject(subject: &Subject, caller: Caller<'_>, namespace: &str) -> bool {
    match subject.kind.as_str() {
        "User" => subject.name == caller.user,
        "Group" => caller.groups.contains(&subject.name),
        "ServiceAccount" => {
            let place = subject.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or(namespace);
            let account = caller.user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
            !place.is_empty() && account == Some((place, subject.name.as_str()))
        }
        _ => false,
    }
}
