//! Whether somebody who holds some rules holds all that other rules allow. Nobody may grant more than that.
//! (Kubernetes reference, "Privilege escalation prevention and bootstrapping".)

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::rule::{Ask, list};

/// The rules of `wanted`, broken down to what each allows, that `held` does not allow.
pub fn uncovered(held: &[PolicyRule], wanted: &[PolicyRule]) -> Vec<PolicyRule> {
    wanted.iter().flat_map(atoms).filter(|atom| !held.iter().any(|rule| covers(rule, atom))).collect()
}

/// A rule of one verb, one group, one resource and at most one name, or of one verb and one path, for each that
/// `rule` allows.
fn atoms(rule: &PolicyRule) -> Vec<PolicyRule> {
    let mut all = Vec::new();
    let one = |text: &String| Some(vec![text.clone()]);
    for verb in &rule.verbs {
        let verbs = vec![verb.clone()];
        for url in list(&rule.non_resource_urls) {
            all.push(PolicyRule { verbs: verbs.clone(), non_resource_urls: one(url), ..PolicyRule::default() });
        }
        for group in list(&rule.api_groups) {
            for resource in list(&rule.resources) {
                let plain = PolicyRule {
                    verbs: verbs.clone(),
                    api_groups: one(group),
                    resources: one(resource),
                    ..PolicyRule::default()
                };
                match list(&rule.resource_names) {
                    [] => all.push(plain),
                    names => all.extend(names.iter().map(|n| PolicyRule { resource_names: one(n), ..plain.clone() })),
                }
            }
        }
    }
    all
}

/// An atom is covered as the request that it stands for would be allowed; an atom for all of something needs a
/// rule for all of it.
fn covers(rule: &PolicyRule, atom: &PolicyRule) -> bool {
    let first = |given: &Option<Vec<String>>| list(given).first().map(String::as_str).unwrap_or_default().to_owned();
    let (group, resource, name) = (first(&atom.api_groups), first(&atom.resources), first(&atom.resource_names));
    let path = first(&atom.non_resource_urls);
    let verb = atom.verbs.first().map(String::as_str).unwrap_or_default();
    let (plain, subresource) = resource.split_once('/').unwrap_or((resource.as_str(), ""));
    if name.is_empty() && !list(&rule.resource_names).is_empty() {
        return false;
    }
    if resource == "*" && !list(&rule.resources).iter().any(|r| r == "*") {
        return false;
    }
    Ask { verb, group: &group, resource: plain, subresource, name: &name, path: &path }.is_allowed_by(rule)
}

/// `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`, as Go prints a rule. Atoms that differ in
/// their verb only become one.
pub fn compact(rules: &[PolicyRule]) -> Vec<String> {
    let mut merged: Vec<PolicyRule> = Vec::new();
    for rule in rules {
        let alike = merged.iter_mut().find(|known| {
            known.api_groups == rule.api_groups
                && known.resources == rule.resources
                && known.resource_names == rule.resource_names
                && known.non_resource_urls == rule.non_resource_urls
        });
        match alike {
            Some(known) => known.verbs.extend(rule.verbs.iter().cloned()),
            None => merged.push(rule.clone()),
        }
    }
    let mut shown: Vec<String> = merged.iter().map(show).collect();
    shown.sort();
    shown.dedup();
    shown
}

fn show(rule: &PolicyRule) -> String {
    let parts = [
        ("APIGroups", list(&rule.api_groups)),
        ("Resources", list(&rule.resources)),
        ("NonResourceURLs", list(&rule.non_resource_urls)),
        ("ResourceNames", list(&rule.resource_names)),
        ("Verbs", rule.verbs.as_slice()),
    ];
    let quoted = |items: &[String]| items.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>().join(" ");
    let parts: Vec<String> = parts
        .iter()
        .filter(|(_, items)| !items.is_empty())
        .map(|(name, items)| format!("{name}:[{}]", quoted(items)))
        .collect();
    format!("{{{}}}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rules(value: Value) -> Vec<PolicyRule> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn nobody_grants_more_than_it_holds() {
        let all = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
        let reader = json!([{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}]);
        let named =
            json!([{"apiGroups": [""], "resources": ["pods"], "resourceNames": ["web"], "verbs": ["get", "list"]}]);
        let paths = json!([{"nonResourceURLs": ["/metrics/*"], "verbs": ["get"]}]);
        let cases = [
            (&all, &reader, ""),
            (&reader, &reader, ""),
            (&reader, &named, ""),
            (
                &named,
                &reader,
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]} {APIGroups:[""], Resources:["pods/log"], Verbs:["get" "list"]}"#,
            ),
            (&reader, &all, r#"{APIGroups:["*"], Resources:["*"], Verbs:["*"]}"#),
            (&paths, &json!([{"nonResourceURLs": ["/metrics/x"], "verbs": ["get"]}]), ""),
            (
                &paths,
                &json!([{"nonResourceURLs": ["/logs"], "verbs": ["get"]}]),
                r#"{NonResourceURLs:["/logs"], Verbs:["get"]}"#,
            ),
        ];
        for (held, wanted, missing) in cases {
            let found = compact(&uncovered(&rules(held.clone()), &rules(wanted.clone()))).join(" ");
            assert_eq!(found, missing, "{held} grants {wanted}");
        }
    }
}
