//! Which requests a policy or a binding is about: rules, exclusions, namespace and object selectors.
//! (`MatchResources` of admissionregistration.k8s.io/v1, as Kubernetes evaluates it.)

use k8s_openapi::api::admissionregistration::v1 as api;
use serde_json::Value;

use super::review::Request;
use crate::object::kinds;
use crate::object::meta::string_map;
use crate::object::selector::{BadSelector, Selector};

#[derive(Default)]
pub struct Matching {
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    namespaces: Selector,
    objects: Selector,
}

/// `*` stands for all.
#[derive(Clone, Debug, Default)]
struct Rule {
    groups: Vec<String>,
    versions: Vec<String>,
    /// `pods`, `pods/status`, `*`, `*/*`, `pods/*`, `*/scale`.
    resources: Vec<String>,
    names: Vec<String>,
    operations: Vec<String>,
    scope: String,
}

impl Matching {
    /// # Errors
    /// When a selector does not read.
    pub fn read(constraints: Option<api::MatchResources>) -> Result<Self, BadSelector> {
        let constraints = constraints.unwrap_or_default();
        let selector = |selector: Option<_>| selector.map_or(Ok(Selector::everything()), |s| Selector::of_workload(&s));
        let rules = |rules: Option<Vec<_>>| rules.into_iter().flatten().map(Rule::of).collect();
        Ok(Self {
            rules: rules(constraints.resource_rules),
            excluded: rules(constraints.exclude_resource_rules),
            namespaces: selector(constraints.namespace_selector)?,
            objects: selector(constraints.object_selector)?,
        })
    }

    /// Whether the request is meant. Without rules every resource is.
    pub fn covers(&self, request: &Request, namespace: impl Fn() -> Option<Value>) -> bool {
        (self.rules.is_empty() || self.rules.iter().any(|rule| rule.covers(request)))
            && !self.excluded.iter().any(|rule| rule.covers(request))
            && self.objects_match(request)
            && self.namespace_matches(request, namespace)
    }

    /// Either state of the object may be the selected one.
    fn objects_match(&self, request: &Request) -> bool {
        let states = [request.object, request.old];
        self.objects.is_everything()
            || states.into_iter().flatten().any(|o| self.objects.matches(&string_map(&o["metadata"]["labels"])))
    }

    /// A Namespace is judged by its own labels; other objects without a namespace are always meant.
    fn namespace_matches(&self, request: &Request, namespace: impl Fn() -> Option<Value>) -> bool {
        if self.namespaces.is_everything() {
            return true;
        }
        let labels = |object: &Value| string_map(&object["metadata"]["labels"]);
        if request.kind == kinds::NAMESPACE {
            return request.object.or(request.old).is_some_and(|object| self.namespaces.matches(&labels(object)));
        }
        !request.kind.namespaced || namespace().is_some_and(|object| self.namespaces.matches(&labels(&object)))
    }
}

impl Rule {
    fn of(rule: api::NamedRuleWithOperations) -> Self {
        Self {
            groups: rule.api_groups.unwrap_or_default(),
            versions: rule.api_versions.unwrap_or_default(),
            resources: rule.resources.unwrap_or_default(),
            names: rule.resource_names.unwrap_or_default(),
            operations: rule.operations.unwrap_or_default(),
            scope: rule.scope.unwrap_or_default(),
        }
    }

    fn covers(&self, request: &Request) -> bool {
        let has = |list: &[String], value: &str| list.iter().any(|entry| entry == "*" || entry == value);
        has(&self.operations, request.operation.as_str())
            && has(&self.groups, request.kind.group)
            && has(&self.versions, request.kind.version)
            && self.resources.iter().any(|entry| covers_resource(entry, request))
            && (self.names.is_empty() || self.names.iter().any(|name| name == request.name))
            && match self.scope.as_str() {
                "Namespaced" => request.kind.namespaced,
                "Cluster" => !request.kind.namespaced,
                _ => true,
            }
    }
}

fn covers_resource(entry: &str, request: &Request) -> bool {
    let (resource, subresource) = entry.split_once('/').unwrap_or((entry, ""));
    (resource == "*" || resource == request.kind.plural) && (subresource == "*" || subresource == request.subresource)
}
