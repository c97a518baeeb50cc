//! Reads `ValidatingAdmissionPolicy` and `ValidatingAdmissionPolicyBinding` objects
//! (admissionregistration.k8s.io/v1) into policies that can be asked.

use std::collections::BTreeMap;
use std::sync::Mutex;

use k8s_openapi::api::admissionregistration::v1 as api;
use serde_json::Value;

use super::expression::{BadExpression, Expression, Machine};
use super::matching::Matching;
use super::review::Effect;
use crate::object::selector::{BadSelector, Selector};
use crate::object::{Kind, Reason, kinds};

/// The policies in force.
#[derive(Default)]
pub struct Policies {
    pub(super) policies: BTreeMap<String, Policy>,
    /// By policy, then by their own name.
    pub(super) bindings: BTreeMap<(String, String), Binding>,
    /// Asked by one request at a time.
    pub(super) machine: Mutex<Machine>,
}

/// Expressions that do not compile fail at each request that they are asked about, as in Kubernetes.
pub(super) type Compiled = Result<Expression, BadExpression>;

pub(super) struct Policy {
    pub matching: Result<Matching, BadSelector>,
    pub conditions: Vec<(String, Compiled)>,
    pub variables: Vec<(String, Compiled)>,
    pub validations: Vec<Validation>,
    /// `failurePolicy: Fail`, the default: an expression that cannot be evaluated counts as a violation.
    pub fail_closed: bool,
    pub params: Option<ParamKind>,
}

pub(super) struct ParamKind {
    pub api_version: String,
    pub kind: String,
}

pub(super) struct Validation {
    pub expression: Compiled,
    pub text: String,
    pub message: String,
    pub message_expression: Option<Compiled>,
    pub reason: Reason,
}

pub(super) struct Binding {
    pub effects: Vec<Effect>,
    pub matching: Result<Matching, BadSelector>,
    pub params: Option<ParamRef>,
}

/// Which objects a policy knows as `params`, one after another.
pub(super) struct ParamRef {
    pub namespace: String,
    pub chosen: Result<Chosen, BadSelector>,
    pub absent_denies: bool,
}

pub(super) enum Chosen {
    Named(String),
    Selected(Selector),
}

/// Whether objects of the kind are policies or bindings of them. No policy is about these: it could not be undone.
pub fn is_policy(kind: &Kind) -> bool {
    kind == kinds::ADMISSION_POLICY || kind == kinds::ADMISSION_BINDING
}

impl Policies {
    /// Nothing holds anywhere.
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    /// Takes a policy or a binding; objects of other kinds, and those that do not decode, are none.
    pub fn add(&mut self, object: &Value) {
        match object["kind"].as_str() {
            Some("ValidatingAdmissionPolicy") => {
                if let Some((name, policy)) = read_policy(object) {
                    self.policies.insert(name, policy);
                }
            }
            Some("ValidatingAdmissionPolicyBinding") => {
                if let Some((name, policy, binding)) = read_binding(object) {
                    self.bindings.insert((policy, name), binding);
                }
            }
            _ => {}
        }
    }
}

fn read_policy(object: &Value) -> Option<(String, Policy)> {
    let policy: api::ValidatingAdmissionPolicy = serde_json::from_value(object.clone()).ok()?;
    let spec = policy.spec.unwrap_or_default();
    let mut variables: Vec<(String, Compiled)> = Vec::new();
    let mut known: Vec<String> = Vec::new();
    for variable in spec.variables.into_iter().flatten() {
        // A variable can use those before it.
        variables.push((variable.name.clone(), Expression::compile(&variable.expression, Some(&known))));
        known.push(variable.name);
    }
    let conditions = spec.match_conditions.into_iter().flatten();
    let conditions = conditions.map(|c| (c.name, Expression::compile(&c.expression, Some(&known)))).collect();
    let validations = spec.validations.into_iter().flatten();
    let policy_read = Policy {
        matching: Matching::read(spec.match_constraints),
        conditions,
        validations: validations.map(|validation| read_validation(validation, &known)).collect(),
        variables,
        fail_closed: spec.failure_policy.as_deref() != Some("Ignore"),
        params: spec.param_kind.map(|named| ParamKind {
            api_version: named.api_version.unwrap_or_default(),
            kind: named.kind.unwrap_or_default(),
        }),
    };
    Some((policy.metadata.name.unwrap_or_default(), policy_read))
}

fn read_validation(validation: api::Validation, variables: &[String]) -> Validation {
    let message_expression = validation.message_expression.filter(|text| !text.trim().is_empty());
    Validation {
        expression: Expression::compile(&validation.expression, Some(variables)),
        text: validation.expression.trim().to_owned(),
        message: validation.message.unwrap_or_default().trim().to_owned(),
        message_expression: message_expression.map(|text| Expression::compile(&text, Some(variables))),
        reason: match validation.reason.as_deref() {
            Some("Unauthorized") => Reason::Unauthorized,
            Some("Forbidden") => Reason::Forbidden,
            Some("RequestEntityTooLarge") => Reason::RequestEntityTooLarge,
            _ => Reason::Invalid,
        },
    }
}

fn read_binding(object: &Value) -> Option<(String, String, Binding)> {
    let binding: api::ValidatingAdmissionPolicyBinding = serde_json::from_value(object.clone()).ok()?;
    let spec = binding.spec.unwrap_or_default();
    let actions = spec.validation_actions.into_iter().flatten();
    let params = spec.param_ref.map(|reference| ParamRef {
        namespace: reference.namespace.unwrap_or_default(),
        chosen: match reference.name.filter(|name| !name.is_empty()) {
            Some(name) => Ok(Chosen::Named(name)),
            None => Selector::of_workload(&reference.selector.unwrap_or_default()).map(Chosen::Selected),
        },
        absent_denies: reference.parameter_not_found_action.as_deref() != Some("Allow"),
    });
    let read = Binding {
        effects: actions.filter_map(|name| Effect::parse(&name)).collect(),
        matching: Matching::read(spec.match_resources),
        params,
    };
    Some((binding.metadata.name.unwrap_or_default(), spec.policy_name.unwrap_or_default(), read))
}
