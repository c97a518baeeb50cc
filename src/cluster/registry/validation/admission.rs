//! ValidatingAdmissionPolicies and their bindings.

use std::collections::BTreeSet;

use serde_json::Value;

use super::field::{Findings, Path, list, text};
use super::{format, selector};
use crate::object::kinds;
use crate::policy::Expression;

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const REASONS: [&str; 4] = ["Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge"];

pub fn policy(policy: &Value, found: &mut Findings) {
    let spec = &policy["spec"];
    let at = Path::Root.child("spec");
    found.one_of(at.child("failurePolicy"), &spec["failurePolicy"], &["Fail", "Ignore"]);
    if spec["paramKind"].is_object() {
        param_kind(&spec["paramKind"], at.child("paramKind"), found);
    }
    let matching_at = at.child("matchConstraints");
    if spec["matchConstraints"].is_object() {
        matching(&spec["matchConstraints"], matching_at, found);
        if list(&spec["matchConstraints"], "resourceRules").is_empty() {
            found.required(matching_at.child("resourceRules"), "");
        }
    } else {
        found.required(matching_at, "");
    }
    let mut names = BTreeSet::new();
    for (index, condition) in list(spec, "matchConditions").iter().enumerate() {
        let at = at.child("matchConditions");
        let at = at.index(index);
        match text(condition, "name") {
            "" => found.required(at.child("name"), ""),
            name => {
                found.complain(at.child("name"), name, format::qualified_name(name));
                if !names.insert(name) {
                    found.duplicate(at.child("name"), &condition["name"]);
                }
            }
        }
        expression(text(condition, "expression"), "", at.child("expression"), found);
    }
    for (index, variable) in list(spec, "variables").iter().enumerate() {
        let at = at.child("variables");
        let at = at.index(index);
        if text(variable, "name").is_empty() {
            found.required(at.child("name"), "name is not specified");
        }
        expression(text(variable, "expression"), "expression is not specified", at.child("expression"), found);
    }
    let (validations, annotations) = (list(spec, "validations"), list(spec, "auditAnnotations"));
    if validations.is_empty() && annotations.is_empty() {
        let why = "validations or auditAnnotations must contain at least one item";
        found.required(at.child("validations"), why);
        found.required(at.child("auditAnnotations"), why);
    }
    for (index, one) in validations.iter().enumerate() {
        validation(one, at.child("validations").index(index), found);
    }
    let mut keys = BTreeSet::new();
    for (index, annotation) in annotations.iter().enumerate() {
        let at = at.child("auditAnnotations");
        let at = at.index(index);
        let key = text(annotation, "key");
        if key.is_empty() {
            found.required(at.child("key"), "");
        } else if !keys.insert(key) {
            found.duplicate(at.child("key"), &annotation["key"]);
        }
        let why = "valueExpression is not specified";
        expression(text(annotation, "valueExpression"), why, at.child("valueExpression"), found);
    }
}

fn param_kind(kind: &Value, at: Path<'_>, found: &mut Findings) {
    match text(kind, "apiVersion") {
        "" => found.required(at.child("apiVersion"), ""),
        api_version => {
            let (group, version) = kinds::split_api_version(api_version);
            if !group.is_empty() {
                found.complain(at.child("apiVersion"), group, format::subdomain(group));
            }
            found.complain(at.child("apiVersion"), version, format::label_1035(version));
        }
    }
    if text(kind, "kind").is_empty() {
        found.required(at.child("kind"), "");
    }
}

fn validation(validation: &Value, at: Path<'_>, found: &mut Findings) {
    let text_of = text(validation, "expression");
    if expression(text_of, "expression is not specified", at.child("expression"), found)
        && let Some(kind) = constant_kind(text_of.trim())
    {
        found.invalid_text(at.child("expression"), text_of, format_args!("must evaluate to bool but got {kind}"));
    }
    let message = text(validation, "message");
    if !message.is_empty() && message.trim().is_empty() {
        found.invalid_text(at.child("message"), message, "message must be non-empty if specified");
    } else if message.trim().contains(['\n', '\r']) {
        found.invalid_text(at.child("message"), message, "message must not contain line breaks");
    }
    let by_expression = text(validation, "messageExpression");
    if !by_expression.is_empty() {
        expression(by_expression, "", at.child("messageExpression"), found);
    }
    found.one_of(at.child("reason"), &validation["reason"], &REASONS);
}

/// The type of an expression that is a constant other than `true` and `false`.
fn constant_kind(text: &str) -> Option<&'static str> {
    match text.chars().next()? {
        '\'' | '"' => Some("string"),
        _ if text.parse::<i64>().is_ok() => Some("int"),
        _ if text.parse::<f64>().is_ok() && text.contains('.') => Some("double"),
        _ if text == "null" => Some("null_type"),
        _ => None,
    }
}

/// Whether there is an expression that can be compiled.
fn expression(given: &str, missing: &str, at: Path<'_>, found: &mut Findings) -> bool {
    if given.trim().is_empty() {
        found.required(at, missing);
        return false;
    }
    match Expression::compile(given, None) {
        Ok(_) => true,
        Err(error) => {
            found.invalid_text(at, given, error);
            false
        }
    }
}

fn matching(matching: &Value, at: Path<'_>, found: &mut Findings) {
    found.one_of(at.child("matchPolicy"), &matching["matchPolicy"], &["Equivalent", "Exact"]);
    for field in ["namespaceSelector", "objectSelector"] {
        selector::labels(&matching[field], at.child(field), found);
    }
    for rules in ["resourceRules", "excludeResourceRules"] {
        for (index, rule) in list(matching, rules).iter().enumerate() {
            resource_rule(rule, at.child(rules).index(index), found);
        }
    }
}

fn resource_rule(rule: &Value, at: Path<'_>, found: &mut Findings) {
    let mut names = BTreeSet::new();
    for (index, name) in list(rule, "resourceNames").iter().enumerate() {
        let text = name.as_str().unwrap_or_default();
        let at = at.child("resourceNames");
        found.complain(at.index(index), text, format::path_segment(text));
        if !names.insert(text) {
            found.duplicate(at.index(index), name);
        }
    }
    let operations = list(rule, "operations");
    all_or_some(rule, "operations", "operations", at, found);
    for (index, operation) in operations.iter().enumerate() {
        found.one_of(at.child("operations").index(index), operation, &OPERATIONS);
    }
    for (field, plural) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        all_or_some(rule, field, plural, at, found);
    }
    for (index, version) in list(rule, "apiVersions").iter().enumerate() {
        if version == "" {
            found.required(at.child("apiVersions").index(index), "");
        }
    }
    let resources = list(rule, "resources");
    if resources.is_empty() {
        found.required(at.child("resources"), "");
    }
    for (index, resource) in resources.iter().enumerate() {
        if resource == "" {
            found.required(at.child("resources").index(index), "");
        }
    }
    if resources.len() > 1 && resources.iter().any(|r| r == "*/*") {
        let why = "if '*/*' is present, must not specify other resources";
        found.invalid(at.child("resources"), &rule["resources"], why);
    }
    found.one_of(at.child("scope"), &rule["scope"], &["*", "Cluster", "Namespaced"]);
}

/// A list that is needed, and in which `*` stands alone.
fn all_or_some(rule: &Value, field: &str, plural: &str, at: Path<'_>, found: &mut Findings) {
    let items = list(rule, field);
    if items.is_empty() {
        found.required(at.child(field), "");
    } else if items.len() > 1 && items.iter().any(|item| item == "*") {
        found.invalid(
            at.child(field),
            &rule[field],
            format_args!("if '*' is present, must not specify other {plural}"),
        );
    }
}

pub fn binding(binding: &Value, found: &mut Findings) {
    let spec = &binding["spec"];
    let at = Path::Root.child("spec");
    match text(spec, "policyName") {
        "" => found.required(at.child("policyName"), ""),
        name => found.complain(at.child("policyName"), name, format::subdomain(name)),
    }
    if spec["paramRef"].is_object() {
        param_ref(&spec["paramRef"], at.child("paramRef"), found);
    }
    if spec["matchResources"].is_object() {
        matching(&spec["matchResources"], at.child("matchResources"), found);
    }
    let actions = list(spec, "validationActions");
    let actions_at = at.child("validationActions");
    if actions.is_empty() {
        found.required(actions_at, "at least one validation action is required");
    }
    let mut seen = BTreeSet::new();
    for (index, action) in actions.iter().enumerate() {
        found.one_of(actions_at.index(index), action, &["Audit", "Deny", "Warn"]);
        if !seen.insert(action.as_str().unwrap_or_default()) {
            found.duplicate(actions_at.index(index), action);
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API \
                   response and headers serves no purpose)";
        found.invalid(actions_at, &spec["validationActions"], why);
    }
}

fn param_ref(reference: &Value, at: Path<'_>, found: &mut Findings) {
    let (name, selected) = (text(reference, "name"), reference["selector"].is_object());
    if !name.is_empty() {
        found.complain(at.child("name"), name, format::path_segment(name));
        if selected {
            found.forbidden(at.child("name"), "name and selector are mutually exclusive");
        }
    }
    if selected {
        selector::labels(&reference["selector"], at.child("selector"), found);
        if !name.is_empty() {
            found.forbidden(at.child("selector"), "name and selector are mutually exclusive");
        }
    }
    if name.is_empty() && !selected {
        found.required(at, "one of name or selector must be specified");
    }
    match reference["parameterNotFoundAction"].as_str() {
        None | Some("") => found.required(at.child("parameterNotFoundAction"), ""),
        Some(_) => {
            let field = &reference["parameterNotFoundAction"];
            found.one_of(at.child("parameterNotFoundAction"), field, &["Deny", "Allow"]);
        }
    }
}
