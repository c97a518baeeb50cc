//! ClusterRoles that are made of others: their rules are those of all ClusterRoles that their selectors choose.

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};

use crate::cluster::store::Snapshot;
use crate::object::selector::Selector;
use crate::object::{Object, kinds};

/// The rules that an aggregated role has to have; `None` for a role that states its own.
pub fn aggregate(snapshot: &Snapshot, object: &Object) -> Option<Vec<PolicyRule>> {
    let selectors = selectors_of(object)?;
    let mut rules: Vec<PolicyRule> = Vec::new();
    let others = snapshot.list(kinds::CLUSTER_ROLE, "").filter(|other| other.key != object.key);
    for other in others.filter(|other| selectors.iter().any(|selector| selector.matches(&other.meta.labels))) {
        let Ok(role) = other.typed::<ClusterRole>() else { continue };
        for rule in role.rules.iter().flatten() {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    Some(rules)
}

/// Whether `object` is made of others, and `other` is one of them.
pub fn selects(object: &Object, other: &Object) -> bool {
    selectors_of(object).is_some_and(|all| all.iter().any(|selector| selector.matches(&other.meta.labels)))
}

fn selectors_of(object: &Object) -> Option<Vec<Selector>> {
    let role = object.typed::<ClusterRole>().ok()?;
    let selectors = role.aggregation_rule.as_ref()?.cluster_role_selectors.as_deref().unwrap_or_default();
    Some(selectors.iter().filter_map(|selector| Selector::of_workload(selector).ok()).collect())
}
