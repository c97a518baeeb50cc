//! Asks the policies about one write, and gives the violations with what each is to do.
//! (The order of evaluation and the words are those of Kubernetes's validating admission policy dispatcher.)

use std::collections::BTreeMap;
use std::sync::PoisonError;

use kube_cel::cel::{Context, Value as Cel};
use serde_json::Value;

use super::expression::{BadExpression, Expression, Machine};
use super::instrument::variable_name;
use super::manifest::{Binding, Chosen, ParamKind, ParamRef, Policies, Policy, Validation, is_policy};
use super::names;
use crate::object::selector::Selector;
use crate::object::{Kind, Reason, kinds};

/// Longest text of a `messageExpression` that is used.
const LONGEST_MESSAGE: usize = 5 * 1024;

/// What a violation does to the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Refuses it.
    Deny,
    /// Lets it pass with a warning to the client.
    Warn,
    /// Lets it pass and records the violation.
    Audit,
}

impl Effect {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "Deny" => Self::Deny,
            "Warn" => Self::Warn,
            "Audit" => Self::Audit,
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// The write that is judged.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub kind: &'static Kind,
    /// Empty for the object itself.
    pub subresource: &'a str,
    pub operation: Operation,
    pub namespace: &'a str,
    pub name: &'a str,
    /// The new state, or the body of the subresource; none for a delete.
    pub object: Option<&'a Value>,
    pub old: Option<&'a Value>,
    pub user: &'a str,
    pub groups: &'a [String],
    pub dry_run: bool,
}

/// The objects that policies look at beside the one that is written.
pub trait Cluster {
    fn kind(&self, api_version: &str, kind: &str) -> Option<&'static Kind>;
    fn object(&self, kind: &'static Kind, namespace: &str, name: &str) -> Option<Value>;
    /// Of all namespaces when `namespace` is empty.
    fn objects(&self, kind: &'static Kind, namespace: &str, selected: &Selector) -> Vec<Value>;
}

/// One violation.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub policy: String,
    pub binding: String,
    pub effect: Effect,
    /// Why the write is refused, for the answer's status.
    pub reason: Reason,
    pub message: String,
}

impl Verdict {
    /// `ValidatingAdmissionPolicy 'P' with binding 'B' denied request: MESSAGE`
    pub fn refusal(&self) -> String {
        let Self { policy, binding, message, .. } = self;
        format!("ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {message}")
    }

    /// `Validation failed for ValidatingAdmissionPolicy 'P' with binding 'B': MESSAGE`
    pub fn warning(&self) -> String {
        let Self { policy, binding, message, .. } = self;
        format!("Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{binding}': {message}")
    }
}

impl Policies {
    /// All violations of all policies that hold for the request; empty when it may pass.
    pub fn review(&self, request: &Request, cluster: &dyn Cluster) -> Vec<Verdict> {
        if self.bindings.is_empty() || is_policy(request.kind) {
            return Vec::new();
        }
        let namespace = || {
            let named = request.kind.namespaced && !request.namespace.is_empty();
            named.then(|| cluster.object(kinds::NAMESPACE, "", request.namespace)).flatten()
        };
        let mut asked: Vec<Asked> = Vec::new();
        let mut verdicts = Vec::new();
        for ((policy_name, name), binding) in &self.bindings {
            let Some(policy) = self.policies.get(policy_name) else { continue };
            let asked_now = Asked { policy_name, name, policy, binding };
            match (&policy.matching, &binding.matching) {
                (Ok(of_policy), Ok(of_binding)) => {
                    if of_policy.covers(request, namespace) && of_binding.covers(request, namespace) {
                        asked.push(asked_now);
                    }
                }
                (Err(wrong), _) | (_, Err(wrong)) => verdicts.extend(asked_now.misconfigured(&wrong.0)),
            }
        }
        if asked.is_empty() {
            return verdicts;
        }
        let machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scope = machine.scope();
        names::add_request(&mut scope, request, namespace().as_ref());
        for asked in asked {
            match asked.params(request, cluster) {
                Err(wrong) => verdicts.extend(asked.misconfigured(&wrong)),
                Ok(params) => {
                    for params in params {
                        machine.refill();
                        verdicts.extend(asked.judge(&machine, &scope, params.as_ref()));
                    }
                }
            }
        }
        verdicts
    }
}

/// A policy that is about the request, and the binding that says so.
struct Asked<'a> {
    policy_name: &'a str,
    name: &'a str,
    policy: &'a Policy,
    binding: &'a Binding,
}

impl Asked<'_> {
    /// The parameters to ask with, one after another; a policy without parameters is asked once.
    fn params(&self, request: &Request, cluster: &dyn Cluster) -> Result<Vec<Option<Value>>, String> {
        let (Some(ParamKind { api_version, kind }), Some(reference)) = (&self.policy.params, &self.binding.params)
        else {
            return Ok(vec![None]);
        };
        let found = cluster.kind(api_version, kind);
        let kind = found
            .ok_or_else(|| format!("failed to find resource referenced by paramKind: '{api_version}, Kind={kind}'"))?;
        let ParamRef { namespace, chosen, absent_denies } = reference;
        let namespace = match (kind.namespaced, namespace.as_str()) {
            (false, "") => "",
            (false, _) => return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".into()),
            (true, "") if request.namespace.is_empty() => {
                let why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
                return Err(why.into());
            }
            (true, "") => request.namespace,
            (true, named) => named,
        };
        let params = match chosen.as_ref().map_err(|wrong| wrong.0.clone())? {
            Chosen::Named(name) => cluster.object(kind, namespace, name).into_iter().collect(),
            Chosen::Selected(selector) => cluster.objects(kind, namespace, selector),
        };
        match params.is_empty() && *absent_denies {
            true => Err("no params found for policy binding with `Deny` parameterNotFoundAction".into()),
            false => Ok(params.into_iter().map(Some).collect()),
        }
    }

    fn judge(&self, machine: &Machine, scope: &Context, params: Option<&Value>) -> Vec<Verdict> {
        let mut scope = scope.new_inner_scope();
        names::add(&mut scope, "params", params);
        let mut run = Run { machine, scope, policy: self.policy, failed: BTreeMap::new() };
        for (_, condition) in &self.policy.conditions {
            match run.is_true(condition) {
                Ok(true) => {}
                Ok(false) => return Vec::new(),
                Err(error) => return self.failure(&error),
            }
        }
        let mut verdicts = Vec::new();
        for validation in &self.policy.validations {
            match run.is_true(&validation.expression) {
                Ok(true) => {}
                Ok(false) => verdicts.extend(self.verdicts(validation.reason, &run.message(validation))),
                Err(error) => verdicts.extend(self.failure(&error)),
            }
        }
        verdicts
    }

    fn failure(&self, error: &BadExpression) -> Vec<Verdict> {
        if self.policy.fail_closed { self.verdicts(Reason::Invalid, &error.to_string()) } else { Vec::new() }
    }

    /// A binding that cannot be used refuses, whatever it is to do otherwise.
    fn misconfigured(&self, why: &str) -> Option<Verdict> {
        let message = format!("failed to configure binding: {why}");
        self.policy.fail_closed.then(|| self.verdict(Effect::Deny, Reason::Invalid, &message))
    }

    fn verdicts(&self, reason: Reason, message: &str) -> Vec<Verdict> {
        self.binding.effects.iter().map(|effect| self.verdict(*effect, reason, message)).collect()
    }

    fn verdict(&self, effect: Effect, reason: Reason, message: &str) -> Verdict {
        Verdict {
            policy: self.policy_name.to_owned(),
            binding: self.name.to_owned(),
            effect,
            reason,
            message: message.to_owned(),
        }
    }
}

/// One policy with one set of parameters: variables are computed when an expression that uses them is.
struct Run<'a> {
    machine: &'a Machine,
    scope: Context<'a>,
    policy: &'a Policy,
    /// Variables that were computed, with why that failed. What uses a failed one fails where it does so.
    failed: BTreeMap<&'a str, Option<String>>,
}

impl<'a> Run<'a> {
    fn is_true(&mut self, expression: &'a Result<Expression, BadExpression>) -> Result<bool, BadExpression> {
        let expression = expression.as_ref().map_err(Clone::clone)?;
        self.prepare(expression);
        expression.is_true(self.machine, &self.scope).map_err(|error| self.explained(error))
    }

    fn prepare(&mut self, expression: &'a Expression) {
        let policy = self.policy;
        for (name, variable) in policy.variables.iter().filter(|(name, _)| expression.variables.contains(name)) {
            if self.failed.contains_key(name.as_str()) {
                continue;
            }
            let value = match variable {
                Ok(variable) => {
                    self.prepare(variable);
                    variable.evaluate(self.machine, &self.scope).map_err(|error| self.explained(error))
                }
                Err(error) => Err(error.clone()),
            };
            let failed = match value {
                Ok(value) => {
                    self.scope.add_variable_from_value(variable_name(name), value);
                    None
                }
                Err(BadExpression::Evaluation { why, .. }) => Some(why),
                Err(other) => Some(other.to_string()),
            };
            self.failed.insert(name, failed);
        }
    }

    /// A variable that could not be computed is missing from the scope; this says why.
    fn explained(&self, error: BadExpression) -> BadExpression {
        let BadExpression::Evaluation { expression, why } = error else { return error };
        let missing = self.failed.iter().find_map(|(name, failed)| {
            let failed = failed.as_ref()?;
            let told = format!("composited variable \"{name}\" fails to evaluate: {failed}");
            (why == format!("undeclared reference to '{}'", variable_name(name))).then_some(told)
        });
        BadExpression::Evaluation { expression, why: missing.unwrap_or(why) }
    }

    fn message(&mut self, validation: &'a Validation) -> String {
        let computed = validation.message_expression.as_ref().and_then(|expression| {
            let expression = expression.as_ref().ok()?;
            self.prepare(expression);
            match expression.evaluate(self.machine, &self.scope) {
                Ok(Cel::String(text)) => Some(text.trim().to_owned()),
                _ => None,
            }
        });
        let usable = |text: &String| !text.is_empty() && text.len() <= LONGEST_MESSAGE && !text.contains('\n');
        match computed.filter(usable) {
            Some(text) => text,
            None if !validation.message.is_empty() => validation.message.clone(),
            None => format!("failed expression: {}", validation.text),
        }
    }
}
