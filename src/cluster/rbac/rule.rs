//! Whether one rule of a role allows one request.

use k8s_openapi::api::rbac::v1::PolicyRule;

/// What a request asks for, in the terms of rules. A request names a resource, or else a path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub name: &'a str,
    /// The URL's path, for a request that names no resource.
    pub path: &'a str,
}

const ALL: &str = "*";

impl Ask<'_> {
    pub fn is_allowed_by(&self, rule: &PolicyRule) -> bool {
        let verb = has(&rule.verbs, self.verb);
        if self.resource.is_empty() {
            return verb && self.is_path_of(rule);
        }
        verb && has(list(&rule.api_groups), self.group) && self.is_resource_of(rule) && self.is_name_of(rule)
    }

    /// `pods`, `pods/log`, `*` and `*/scale` are what a rule may say.
    fn is_resource_of(&self, rule: &PolicyRule) -> bool {
        list(&rule.resources).iter().any(|resource| {
            resource == ALL
                || match resource.split_once('/') {
                    Some((ALL, subresource)) => subresource == self.subresource,
                    Some((resource, subresource)) => resource == self.resource && subresource == self.subresource,
                    None => resource == self.resource && self.subresource.is_empty(),
                }
        })
    }

    fn is_name_of(&self, rule: &PolicyRule) -> bool {
        let names = list(&rule.resource_names);
        names.is_empty() || names.iter().any(|name| name == self.name)
    }

    fn is_path_of(&self, rule: &PolicyRule) -> bool {
        list(&rule.non_resource_urls).iter().any(|url| match url.strip_suffix('*') {
            Some(prefix) => self.path.starts_with(prefix),
            None => url == self.path,
        })
    }
}

fn has(allowed: &[String], asked: &str) -> bool {
    allowed.iter().any(|one| one == ALL || one == asked)
}

pub(super) fn list(given: &Option<Vec<String>>) -> &[String] {
    given.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rule(value: Value) -> PolicyRule {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_rule_allows_what_it_names_and_nothing_else() {
        let pods = Ask { verb: "get", resource: "pods", name: "web", ..Ask::default() };
        let log = Ask { subresource: "log", ..pods };
        let scale = Ask { verb: "update", group: "apps", resource: "deployments", subresource: "scale", ..pods };
        let page = Ask { verb: "get", path: "/metrics/cadvisor", ..Ask::default() };
        let core = |resources: Value| json!({"apiGroups": [""], "resources": resources, "verbs": ["get", "list"]});
        let cases = [
            (core(json!(["pods"])), pods, true),
            (core(json!(["pods"])), log, false),
            (core(json!(["pods/log"])), log, true),
            (core(json!(["pods/log"])), pods, false),
            (core(json!(["*"])), log, true),
            (core(json!(["pods"])), Ask { verb: "delete", ..pods }, false),
            (core(json!(["pods"])), Ask { group: "metrics.k8s.io", ..pods }, false),
            (json!({"apiGroups": ["*"], "resources": ["*/scale"], "verbs": ["*"]}), scale, true),
            (json!({"apiGroups": ["*"], "resources": ["*/scale"], "verbs": ["*"]}), pods, false),
            (json!({"apiGroups": [""], "resources": ["pods"], "resourceNames": ["web"], "verbs": ["get"]}), pods, true),
            (json!({"apiGroups": [""], "resources": ["pods"], "resourceNames": ["db"], "verbs": ["get"]}), pods, false),
            (json!({"nonResourceURLs": ["/metrics/*"], "verbs": ["get"]}), page, true),
            (json!({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}), page, false),
            (json!({"nonResourceURLs": ["*"], "verbs": ["*"]}), page, true),
            (json!({"nonResourceURLs": ["*"], "verbs": ["*"]}), pods, false),
        ];
        for (value, ask, want) in cases {
            assert_eq!(ask.is_allowed_by(&rule(value.clone())), want, "{value} {ask:?}");
        }
    }
}
