//! Reads `ValidatingAdmissionPolicy` and `ValidatingAdmissionPolicyBinding` manifests
//! (admissionregistration.k8s.io/v1) into policies that can be asked.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1 as api;
use serde_json::Value;

use super::expression::{BadExpression, Expression};
use super::review::Effect;
use crate::object::selector::{BadSelector, Selector};

/// The policies in force, and the parameters that they refer to.
#[derive(Default)]
pub struct Policies {
    pub(super) policies: BTreeMap<String, Policy>,
    pub(super) bindings: Vec<Binding>,
}

pub(super) struct Policy {
    pub rules: Vec<Rule>,
    pub namespaces: Selector,
    pub objects: Selector,
    pub conditions: Vec<Expression>,
    pub variables: Vec<(String, Expression)>,
    pub validations: Vec<Validation>,
    /// `failurePolicy: Fail`, the default: an expression that cannot be evaluated counts as a violation.
    pub fail_closed: bool,
}

/// Which requests a policy is about; `*` stands for all.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    pub groups: Vec<String>,
    pub versions: Vec<String>,
    pub resources: Vec<String>,
    pub operations: Vec<String>,
}

pub(super) struct Validation {
    pub expression: Expression,
    pub message: Option<String>,
    pub message_expression: Option<Expression>,
}

pub(super) struct Binding {
    pub policy: String,
    pub effects: Vec<Effect>,
    pub rules: Vec<Rule>,
    pub namespaces: Selector,
    pub objects: Selector,
    /// The object that the policy knows as `params`.
    pub params: Option<Value>,
}

#[derive(Debug, thiserror::Error)]
pub enum BadPolicy {
    #[error("the policy does not read as a {kind}: {source}")]
    Shape { kind: String, source: serde_json::Error },
    #[error("{field}: {source}")]
    Expression { field: String, source: BadExpression },
    #[error("{field}: {source}")]
    Selector { field: String, source: BadSelector },
    #[error("spec.validationActions: {0:?} is none of Deny, Warn, Audit")]
    Action(String),
    #[error("a {0} is neither a policy nor the binding of one")]
    Kind(String),
}

const POLICY: &str = "ValidatingAdmissionPolicy";
const BINDING: &str = "ValidatingAdmissionPolicyBinding";

impl Policies {
    /// Whether a manifest of this kind is for `add`.
    pub fn understands(kind: &str) -> bool {
        kind == POLICY || kind == BINDING
    }

    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    /// Takes a policy or a binding; `params` finds the object that a binding refers to by kind and name.
    ///
    /// # Errors
    /// When the manifest cannot be understood; nothing was added then.
    pub fn add(&mut self, manifest: &Value, params: impl Fn(&str, &str) -> Option<Value>) -> Result<(), BadPolicy> {
        let shape = |source| BadPolicy::Shape { kind: manifest["kind"].as_str().unwrap_or_default().into(), source };
        match manifest["kind"].as_str() {
            Some(POLICY) => {
                let policy: api::ValidatingAdmissionPolicy = serde_json::from_value(manifest.clone()).map_err(shape)?;
                let name = policy.metadata.name.clone().unwrap_or_default();
                self.policies.insert(name, read_policy(policy)?);
            }
            Some(BINDING) => {
                let binding: api::ValidatingAdmissionPolicyBinding =
                    serde_json::from_value(manifest.clone()).map_err(shape)?;
                self.bindings.push(read_binding(binding, params)?);
            }
            other => return Err(BadPolicy::Kind(other.unwrap_or_default().into())),
        }
        Ok(())
    }

    /// Makes every policy that no binding names hold everywhere, and deny.
    pub fn bind_the_unbound(&mut self) {
        let unbound = self.policies.keys().filter(|name| !self.bindings.iter().any(|b| b.policy == **name));
        let everywhere = |name: &String| Binding {
            policy: name.clone(),
            effects: vec![Effect::Deny],
            rules: Vec::new(),
            namespaces: Selector::everything(),
            objects: Selector::everything(),
            params: None,
        };
        let added: Vec<_> = unbound.map(everywhere).collect();
        self.bindings.extend(added);
    }
}

fn read_policy(policy: api::ValidatingAdmissionPolicy) -> Result<Policy, BadPolicy> {
    let spec = policy.spec.unwrap_or_default();
    let (rules, namespaces, objects) = read_match(spec.match_constraints, "spec.matchConstraints")?;
    let conditions = spec.match_conditions.into_iter().flatten().enumerate();
    let variables = spec.variables.into_iter().flatten().enumerate();
    let validations = spec.validations.into_iter().flatten().enumerate();
    Ok(Policy {
        rules,
        namespaces,
        objects,
        conditions: conditions
            .map(|(i, c)| compile(&c.expression, || format!("spec.matchConditions[{i}].expression")))
            .collect::<Result<_, _>>()?,
        variables: variables
            .map(|(i, v)| Ok((v.name, compile(&v.expression, || format!("spec.variables[{i}].expression"))?)))
            .collect::<Result<_, BadPolicy>>()?,
        validations: validations.map(|(i, v)| read_validation(i, v)).collect::<Result<_, _>>()?,
        fail_closed: spec.failure_policy.as_deref() != Some("Ignore"),
    })
}

fn read_validation(index: usize, validation: api::Validation) -> Result<Validation, BadPolicy> {
    let field = |name: &str| format!("spec.validations[{index}].{name}");
    let message_expression = validation.message_expression.filter(|text| !text.is_empty());
    Ok(Validation {
        expression: compile(&validation.expression, || field("expression"))?,
        message: validation.message.filter(|text| !text.is_empty()),
        message_expression: message_expression.map(|text| compile(&text, || field("messageExpression"))).transpose()?,
    })
}

fn read_binding(
    binding: api::ValidatingAdmissionPolicyBinding,
    params: impl Fn(&str, &str) -> Option<Value>,
) -> Result<Binding, BadPolicy> {
    let spec = binding.spec.unwrap_or_default();
    let (rules, namespaces, objects) = read_match(spec.match_resources, "spec.matchResources")?;
    let action = |name: String| Effect::parse(&name).ok_or(BadPolicy::Action(name));
    let reference = spec.param_ref.and_then(|reference| reference.name);
    Ok(Binding {
        policy: spec.policy_name.unwrap_or_default(),
        effects: spec.validation_actions.into_iter().flatten().map(action).collect::<Result<_, _>>()?,
        rules,
        namespaces,
        objects,
        params: reference.and_then(|name| params("ConfigMap", &name)),
    })
}

fn read_match(
    constraints: Option<api::MatchResources>,
    field: &str,
) -> Result<(Vec<Rule>, Selector, Selector), BadPolicy> {
    let constraints = constraints.unwrap_or_default();
    let selector = |selector: Option<_>, name: &str| match selector {
        None => Ok(Selector::everything()),
        Some(selector) => Selector::of_workload(&selector)
            .map_err(|source| BadPolicy::Selector { field: format!("{field}.{name}"), source }),
    };
    let rule = |rule: api::NamedRuleWithOperations| Rule {
        groups: rule.api_groups.unwrap_or_default(),
        versions: rule.api_versions.unwrap_or_default(),
        resources: rule.resources.unwrap_or_default(),
        operations: rule.operations.unwrap_or_default(),
    };
    Ok((
        constraints.resource_rules.into_iter().flatten().map(rule).collect(),
        selector(constraints.namespace_selector, "namespaceSelector")?,
        selector(constraints.object_selector, "objectSelector")?,
    ))
}

fn compile(text: &str, field: impl Fn() -> String) -> Result<Expression, BadPolicy> {
    Expression::compile(text).map_err(|source| BadPolicy::Expression { field: field(), source })
}
