//! Label selectors, as text (`app=web,tier in (a,b),!old`) and as the `LabelSelector` of workloads; field selectors.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

type Labels = BTreeMap<String, String>;

/// All requirements must hold; the empty selector matches everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    DoesNotExist,
    /// Compared as integers; a label that is not one does not match.
    GreaterThan(i64),
    LessThan(i64),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSelector(pub String);

impl Selector {
    pub fn everything() -> Self {
        Self::default()
    }

    /// Every pair of `labels`, as the selector of a Service is meant.
    pub fn of_labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let equal = |(key, value): (&String, &String)| Requirement {
            key: key.clone(),
            operator: Operator::In([value.clone()].into()),
        };
        Self { requirements: labels.into_iter().map(equal).collect() }
    }

    /// The selector of a workload. `None` and the empty selector match everything here; callers that must
    /// not (a workload without a selector) check before.
    ///
    /// # Errors
    /// When an operator is unknown.
    pub fn of_workload(selector: &LabelSelector) -> Result<Self, BadSelector> {
        let mut all = Self::of_labels(selector.match_labels.iter().flatten());
        for expression in selector.match_expressions.iter().flatten() {
            let values = || expression.values.iter().flatten().cloned().collect();
            let operator = match expression.operator.as_str() {
                "In" => Operator::In(values()),
                "NotIn" => Operator::NotIn(values()),
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(BadSelector(format!("\"{other}\" is not a valid label selector operator"))),
            };
            all.requirements.push(Requirement { key: expression.key.clone(), operator });
        }
        Ok(all)
    }

    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|r| r.operator.matches(labels.get(&r.key).map(String::as_str)))
    }
}

impl Operator {
    pub fn matches(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|v| v.parse::<i64>().ok());
        match self {
            Self::In(set) => value.is_some_and(|v| set.contains(v)),
            Self::NotIn(set) => !value.is_some_and(|v| set.contains(v)),
            Self::Exists => value.is_some(),
            Self::DoesNotExist => value.is_none(),
            Self::GreaterThan(bound) => number().is_some_and(|n| n > *bound),
            Self::LessThan(bound) => number().is_some_and(|n| n < *bound),
        }
    }
}

/// A field selector: terms over paths such as `metadata.name` or `spec.nodeName`, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSelector {
    pub terms: Vec<FieldTerm>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FieldTerm {
    pub path: String,
    pub value: String,
    pub equal: bool,
}

impl FieldSelector {
    /// `field` gives the text of a path; an absent field is the empty text, as in Kubernetes.
    pub fn matches(&self, field: impl Fn(&str) -> String) -> bool {
        self.terms.iter().all(|t| (field(&t.path) == t.value) == t.equal)
    }

    /// The value that the selector demands of `path`, if it demands one.
    pub fn exact(&self, path: &str) -> Option<&str> {
        self.terms.iter().find(|t| t.equal && t.path == path).map(|t| t.value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn text_selectors_match_as_in_kubectl() {
        let web = labels(&[("app", "web"), ("tier", "a"), ("n", "5")]);
        let cases = [
            ("", true),
            ("app=web", true),
            ("app==web,tier!=b", true),
            ("app in (web, api),!old", true),
            ("tier notin (a,b)", false),
            ("missing notin (a)", true),
            ("app", true),
            ("missing", false),
            ("n>4", true),
            ("n<5", false),
            ("missing!=x", true),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse::<Selector>().unwrap().matches(&web), want, "{text}");
        }
    }

    #[test]
    fn field_selectors_take_empty_values() {
        let fields: FieldSelector = "spec.nodeName=,status.phase!=Failed".parse().unwrap();
        assert!(fields.matches(|p| if p == "status.phase" { "Running".into() } else { String::new() }));
        assert_eq!(fields.exact("spec.nodeName"), Some(""));
    }
}
