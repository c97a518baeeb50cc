//! What a pod says about nodes and about other pods, read once: node selector terms, tolerations, terms of pod
//! affinity, spread constraints.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as api;

use crate::object::selector::{Operator, Requirement, Selector};

pub type Labels = BTreeMap<String, String>;

/// The label that says in which failure domain a node is.
pub const ZONE: &str = "topology.kubernetes.io/zone";

/// One of the terms of a node affinity: all of its requirements hold.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeTerm {
    labels: Vec<Requirement>,
    /// `matchFields`; the only field there is, is `metadata.name`.
    name: Vec<Operator>,
}

impl NodeTerm {
    /// `None` when the term is empty or cannot be read: such a term matches no node.
    pub fn of(term: &api::NodeSelectorTerm) -> Option<Self> {
        let labels = term.match_expressions.iter().flatten().map(requirement).collect::<Option<Vec<_>>>()?;
        let fields = term.match_fields.iter().flatten().map(requirement).collect::<Option<Vec<_>>>()?;
        let name = fields.into_iter().filter(|f| f.key == "metadata.name").map(|f| f.operator).collect::<Vec<_>>();
        (!labels.is_empty() || !name.is_empty()).then_some(Self { labels, name })
    }

    pub fn matches(&self, node: &str, labels: &Labels) -> bool {
        self.labels.iter().all(|r| r.operator.matches(labels.get(&r.key).map(String::as_str)))
            && self.name.iter().all(|operator| operator.matches(Some(node)))
    }

    /// The names of nodes that the term can match, where it names any.
    pub fn names(&self) -> Option<Vec<&str>> {
        self.name.iter().find_map(|operator| match operator {
            Operator::In(names) => Some(names.iter().map(String::as_str).collect()),
            _ => None,
        })
    }
}

fn requirement(given: &api::NodeSelectorRequirement) -> Option<Requirement> {
    let values = || given.values.iter().flatten().cloned();
    let number = || values().next()?.parse().ok();
    let operator = match given.operator.as_str() {
        "In" => Operator::In(values().collect()),
        "NotIn" => Operator::NotIn(values().collect()),
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::GreaterThan(number()?),
        "Lt" => Operator::LessThan(number()?),
        _ => return None,
    };
    Some(Requirement { key: given.key.clone(), operator })
}

/// Whether the toleration is for the taint. (Kubernetes documentation, "Taints and Tolerations".)
pub fn tolerates(toleration: &api::Toleration, taint: &api::Taint) -> bool {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (key, effect) = (text(&toleration.key), text(&toleration.effect));
    let of_value = match toleration.operator.as_deref().unwrap_or_default() {
        "Exists" => true,
        "" | "Equal" => text(&toleration.value) == text(&taint.value),
        _ => false,
    };
    of_value && (key.is_empty() || key == taint.key) && (effect.is_empty() || effect == taint.effect)
}

/// Which pods a term of affinity or spreading is about, and what counts as one place.
#[derive(Clone, Debug, PartialEq)]
pub struct PodTerm {
    pub selector: Selector,
    pub topology: String,
    namespaces: Vec<String>,
    namespace_labels: Option<Selector>,
}

impl PodTerm {
    /// `None` when it selects nothing or cannot be read.
    pub fn of(term: &api::PodAffinityTerm, namespace: &str, labels: &Labels) -> Option<Self> {
        let mut selector = term.label_selector.clone()?;
        for key in term.match_label_keys.iter().flatten() {
            if let Some(value) = labels.get(key) {
                selector.match_labels.get_or_insert_default().insert(key.clone(), value.clone());
            }
        }
        let namespace_labels = term.namespace_selector.as_ref().and_then(|s| Selector::of_workload(s).ok());
        let mut namespaces = term.namespaces.clone().unwrap_or_default();
        if namespaces.is_empty() && namespace_labels.is_none() {
            namespaces.push(namespace.to_owned());
        }
        let selector = Selector::of_workload(&selector).ok()?;
        Some(Self { selector, topology: term.topology_key.clone(), namespaces, namespace_labels })
    }

    pub fn matches(&self, namespace: &str, labels: &Labels, namespaces: &BTreeMap<String, Labels>) -> bool {
        let by_label = || {
            let selected = self.namespace_labels.as_ref().zip(namespaces.get(namespace));
            selected.is_some_and(|(selector, labels)| selector.matches(labels))
        };
        (self.namespaces.iter().any(|n| n == namespace) || by_label()) && self.selector.matches(labels)
    }
}

/// An explicit topology spread constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    pub max_skew: i64,
    pub topology: String,
    pub selector: Selector,
    pub min_domains: i64,
    /// `DoNotSchedule`: a node that would exceed the skew is not used at all.
    pub required: bool,
    /// Nodes that the pod's node affinity rules out do not count as places.
    pub honours_affinity: bool,
    /// Nor do nodes whose taints it does not tolerate.
    pub honours_taints: bool,
}

impl Spread {
    pub fn of(given: &api::TopologySpreadConstraint, labels: &Labels) -> Option<Self> {
        let mut selector = given.label_selector.clone().unwrap_or_default();
        for key in given.match_label_keys.iter().flatten() {
            if let Some(value) = labels.get(key) {
                selector.match_labels.get_or_insert_default().insert(key.clone(), value.clone());
            }
        }
        Some(Self {
            max_skew: i64::from(given.max_skew),
            topology: given.topology_key.clone(),
            selector: Selector::of_workload(&selector).ok()?,
            min_domains: i64::from(given.min_domains.unwrap_or(1)),
            required: given.when_unsatisfiable == "DoNotSchedule",
            honours_affinity: given.node_affinity_policy.as_deref() != Some("Ignore"),
            honours_taints: given.node_taints_policy.as_deref() == Some("Honor"),
        })
    }
}
