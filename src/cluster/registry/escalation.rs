//! Nobody grants what it does not hold: a role may only be given rules, and a binding may only refer to a role, that
//! the author has itself, unless it may `escalate` or `bind`. (Kubernetes reference, "Privilege escalation prevention".)

use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef};
use serde::Deserialize;
use serde_json::Value;

use super::transaction::Transaction;
use crate::cluster::rbac::{self, Ask, Caller, Decision};
use crate::object::{ApiError, Kind, Reason, kinds};

/// May do everything, so may grant everything.
const MASTERS: &str = "system:masters";
const GROUP: &str = "rbac.authorization.k8s.io";

impl Transaction {
    /// # Errors
    /// `Forbidden` when the object would grant more than its author holds.
    pub(super) fn check_grant(&self, kind: &'static Kind, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
        if kind.group != GROUP || self.author.groups.iter().any(|group| group == MASTERS) {
            return Ok(());
        }
        let same = |field: &str| old.is_some_and(|old| old[field] == object[field]);
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let wanted = if kind == kinds::ROLE || kind == kinds::CLUSTER_ROLE {
            if same("rules") && same("aggregationRule") || self.may("escalate", kind, namespace, name) {
                return Ok(());
            }
            let mut rules: Vec<PolicyRule> = read(&object["rules"]);
            if !object["aggregationRule"].is_null() {
                rules.extend(everything());
            }
            rules
        } else {
            if same("roleRef") && same("subjects") {
                return Ok(());
            }
            let role: RoleRef = RoleRef::deserialize(&object["roleRef"]).unwrap_or_default();
            let role_kind = if role.kind == "Role" { kinds::ROLE } else { kinds::CLUSTER_ROLE };
            if self.may("bind", role_kind, namespace, &role.name) {
                return Ok(());
            }
            rbac::referenced_rules(&self.base, namespace, &role)
                .map_err(|what| ApiError::new(Reason::NotFound, what))?
        };
        let (held, missing) = rbac::rules_of(&self.base, self.caller(), namespace);
        let uncovered = rbac::uncovered(&held, &wanted);
        if uncovered.is_empty() {
            return Ok(());
        }
        let groups: Vec<String> = self.author.groups.iter().map(|group| format!("{group:?}")).collect();
        let mut why = format!(
            "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
            self.author.user,
            groups.join(" "),
            rbac::compact(&uncovered).join("\n")
        );
        if !missing.is_empty() {
            why.push_str(&format!("; resolution errors: [{}]", missing.join(", ")));
        }
        Err(ApiError::forbidden(kind, name, why))
    }

    fn caller(&self) -> Caller<'_> {
        Caller { user: &self.author.user, groups: &self.author.groups }
    }

    fn may(&self, verb: &str, kind: &'static Kind, namespace: &str, name: &str) -> bool {
        let ask = Ask { verb, group: kind.group, resource: kind.plural, name, ..Ask::default() };
        matches!(rbac::decide(&self.base, self.caller(), namespace, &ask), Decision::Allowed(_))
    }
}

fn read(rules: &Value) -> Vec<PolicyRule> {
    Vec::deserialize(rules).unwrap_or_default()
}

/// What a role may come to hold whose rules are those of others.
fn everything() -> [PolicyRule; 2] {
    let all = || Some(vec!["*".to_owned()]);
    let verbs = vec!["*".to_owned()];
    [
        PolicyRule { api_groups: all(), resources: all(), verbs: verbs.clone(), ..PolicyRule::default() },
        PolicyRule { non_resource_urls: all(), verbs, ..PolicyRule::default() },
    ]
}
