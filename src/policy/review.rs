//! Asks the policies about one object, and gives the violations with what each is to do.

use std::collections::{BTreeMap, HashMap};

use kube_cel::cel::Value as Cel;
use serde_json::{Value, json};

use super::expression::{BadExpression, Names};
use super::manifest::{Binding, Policies, Policy, Rule, Validation};
use crate::object::{Kind, Meta};

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
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// The write that is judged.
pub struct Request<'a> {
    pub kind: &'static Kind,
    pub operation: Operation,
    /// The new state; none for a delete.
    pub object: Option<&'a Value>,
    pub old: Option<&'a Value>,
    /// The namespace that the object is in, as an object.
    pub namespace: Option<&'a Value>,
    pub user: &'a str,
    pub groups: &'a [String],
}

/// One violation.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub policy: String,
    pub effect: Effect,
    pub message: String,
}

impl Policies {
    /// All violations of all policies that hold for the request; empty when it may pass.
    pub fn review(&self, request: &Request) -> Vec<Verdict> {
        let bound = self.bindings.iter().filter_map(|b| Some((b, self.policies.get(&b.policy)?)));
        bound.filter(|(b, p)| applies(b, p, request)).flat_map(|(b, p)| violations(b, p, request)).collect()
    }
}

fn applies(binding: &Binding, policy: &Policy, request: &Request) -> bool {
    let object = request.object.or(request.old).map(Meta::of).unwrap_or_default();
    let namespace = request.namespace.map(Meta::of).unwrap_or_default();
    let selected = |rules: &[Rule]| rules.is_empty() || rules.iter().any(|rule| covers(rule, request));
    // A policy that names no resources is about none; a binding that names none narrows nothing.
    policy.rules.iter().any(|rule| covers(rule, request))
        && selected(&binding.rules)
        && [&policy.objects, &binding.objects].iter().all(|s| s.matches(&object.labels))
        && (!request.kind.namespaced
            || [&policy.namespaces, &binding.namespaces].iter().all(|s| s.matches(&namespace.labels)))
}

fn covers(rule: &Rule, request: &Request) -> bool {
    let has = |list: &[String], value: &str| list.iter().any(|entry| entry == "*" || entry == value);
    let resources = |list: &[String]| has(list, request.kind.plural) || list.iter().any(|entry| entry == "*/*");
    has(&rule.groups, request.kind.group)
        && has(&rule.versions, request.kind.version)
        && resources(&rule.resources)
        && has(&rule.operations, request.operation.as_str())
}

fn violations(binding: &Binding, policy: &Policy, request: &Request) -> Vec<Verdict> {
    let mut names = names_of(binding, request);
    for condition in &policy.conditions {
        match condition.is_true(&names) {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(error) => return failure(binding, policy, &error),
        }
    }
    let mut variables: HashMap<String, Cel> = HashMap::new();
    for (name, expression) in &policy.variables {
        // A variable that cannot be evaluated is missing; the validation that uses it then says so.
        if let Ok(value) = expression.evaluate(&names) {
            variables.insert(name.clone(), value);
            names.set_cel("variables", Cel::Map(variables.clone().into()));
        }
    }
    let judge = |validation: &Validation| match validation.expression.is_true(&names) {
        Ok(true) => Vec::new(),
        Ok(false) => verdicts(binding, &message(validation, &names)),
        Err(error) => failure(binding, policy, &error),
    };
    policy.validations.iter().flat_map(judge).collect()
}

fn names_of(binding: &Binding, request: &Request) -> Names {
    let or_null = |value: Option<&Value>| value.cloned().unwrap_or(Value::Null);
    let meta = &request.object.or(request.old).unwrap_or(&Value::Null)["metadata"];
    let mut names = Names::default();
    names.set("object", &or_null(request.object));
    names.set("oldObject", &or_null(request.old));
    names.set("params", &or_null(binding.params.as_ref()));
    names.set("namespaceObject", &or_null(request.namespace));
    names.set("variables", &json!({}));
    names.set(
        "request",
        &json!({"operation": request.operation.as_str(), "name": meta["name"], "namespace": meta["namespace"],
            "kind": {"group": request.kind.group, "version": request.kind.version, "kind": request.kind.kind},
            "resource": {"group": request.kind.group, "version": request.kind.version, "resource": request.kind.plural},
            "userInfo": {"username": request.user, "groups": request.groups}}),
    );
    names
}

fn message(validation: &Validation, names: &Names) -> String {
    let computed = validation.message_expression.as_ref().and_then(|expression| expression.text_of(names).ok());
    let computed = computed.filter(|text| !text.trim().is_empty() && !text.contains('\n'));
    computed
        .or_else(|| validation.message.clone())
        .unwrap_or_else(|| format!("failed expression: {}", validation.expression.text()))
}

fn failure(binding: &Binding, policy: &Policy, error: &BadExpression) -> Vec<Verdict> {
    if policy.fail_closed { verdicts(binding, &error.to_string()) } else { Vec::new() }
}

/// Deny and Warn together are legal in a binding of neither Kubernetes nor ours; each action speaks for itself.
fn verdicts(binding: &Binding, message: &str) -> Vec<Verdict> {
    let each =
        |effect: &Effect| Verdict { policy: binding.policy.clone(), effect: *effect, message: message.to_owned() };
    let distinct: BTreeMap<Effect, Verdict> = binding.effects.iter().map(|effect| (*effect, each(effect))).collect();
    distinct.into_values().collect()
}
