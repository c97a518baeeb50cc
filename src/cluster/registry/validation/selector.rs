//! Label selectors of workloads and of affinity, and the requirements of node selectors.

use serde_json::Value;

use super::field::{Findings, Path, list, text};
use super::{format, metadata};

const NOT_AN_OPERATOR: &str = "not a valid selector operator";
const VALUES_MISSING: &str = "must be specified when `operator` is 'In' or 'NotIn'";
const VALUES_GIVEN: &str = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";

pub fn labels(selector: &Value, at: Path<'_>, found: &mut Findings) {
    metadata::labels(&selector["matchLabels"], at.child("matchLabels"), found);
    let at = at.child("matchExpressions");
    for (index, requirement) in list(selector, "matchExpressions").iter().enumerate() {
        let at = at.index(index);
        let values = list(requirement, "values");
        match text(requirement, "operator") {
            "In" | "NotIn" if values.is_empty() => found.required(at.child("values"), VALUES_MISSING),
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !values.is_empty() => found.forbidden(at.child("values"), VALUES_GIVEN),
            "Exists" | "DoesNotExist" => {}
            other => found.invalid_text(at.child("operator"), other, NOT_AN_OPERATOR),
        }
        let key = text(requirement, "key");
        found.complain(at.child("key"), key, format::qualified_name(key));
        for (index, value) in values.iter().enumerate() {
            let value = value.as_str().unwrap_or_default();
            found.complain(at.child("values").index(index), value, format::label_value(value));
        }
    }
}

/// A term of a node selector: requirements on labels and on fields.
pub fn node_term(term: &Value, at: Path<'_>, found: &mut Findings) {
    for (index, requirement) in list(term, "matchExpressions").iter().enumerate() {
        node_requirement(requirement, at.child("matchExpressions").index(index), found);
    }
    for (index, requirement) in list(term, "matchFields").iter().enumerate() {
        let at = at.child("matchFields");
        let at = at.index(index);
        let values = list(requirement, "values");
        match text(requirement, "operator") {
            "In" | "NotIn" if values.len() != 1 => {
                let why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                found.required(at.child("values"), why);
            }
            "In" | "NotIn" => {}
            other => found.invalid_text(at.child("operator"), other, NOT_AN_OPERATOR),
        }
        if text(requirement, "key") != "metadata.name" {
            found.invalid(at.child("key"), &requirement["key"], "not a valid field selector key");
        }
    }
}

fn node_requirement(requirement: &Value, at: Path<'_>, found: &mut Findings) {
    let values = list(requirement, "values");
    match text(requirement, "operator") {
        "In" | "NotIn" if values.is_empty() => found.required(at.child("values"), VALUES_MISSING),
        "In" | "NotIn" => {}
        "Exists" | "DoesNotExist" if !values.is_empty() => found.forbidden(at.child("values"), VALUES_GIVEN),
        "Exists" | "DoesNotExist" => {}
        "Gt" | "Lt" if values.len() != 1 => {
            found.required(at.child("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
        }
        "Gt" | "Lt" => {}
        other => found.invalid_text(at.child("operator"), other, NOT_AN_OPERATOR),
    }
    let key = text(requirement, "key");
    found.complain(at.child("key"), key, format::qualified_name(key));
}
