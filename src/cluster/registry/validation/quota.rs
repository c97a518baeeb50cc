//! ResourceQuotas and LimitRanges: how much a namespace, and each thing in it, may use.

use std::collections::BTreeSet;

use serde_json::Value;

use super::field::{Findings, Path, entries, list, text};
use super::format;
use crate::object::Quantity;

/// What is counted in whole numbers.
const COUNTED: [&str; 9] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
const COMPUTE: [&str; 12] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "storage",
    "requests.storage",
];
const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];

pub fn resource_quota(quota: &Value, found: &mut Findings) {
    let spec = &quota["spec"];
    let at = Path::Root.child("spec");
    let hard_at = at.child("hard");
    for (name, amount) in entries(&spec["hard"]) {
        let at = hard_at.key(name);
        found.complain(at, name, format::qualified_name(name));
        if !name.contains('/') && !is_quota_resource(name) {
            found.invalid_text(at, name, "must be a standard resource for quota");
        }
        let value = Quantity::parse(amount).unwrap_or_default();
        if value < Quantity::ZERO {
            found.invalid_text(at, amount, "must be greater than or equal to 0");
        }
        let whole = COUNTED.contains(&name) || is_extended(name);
        if whole && value.millis() % 1000 != 0 {
            found.invalid_text(at, amount, "must be an integer");
        }
    }
    scopes(spec, at, found);
    scope_selector(spec, at.child("scopeSelector"), found);
}

fn is_quota_resource(name: &str) -> bool {
    let compute = name != "storage" && COMPUTE.contains(&name);
    compute || COUNTED.contains(&name) || name.starts_with("hugepages-") || name.starts_with("requests.hugepages-")
}

/// A resource that a plugin of a node brings, or a count of objects.
fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.")
}

/// Whether a scope can be said of a resource: most are about pods.
fn applies(scope: &str, resource: &str) -> bool {
    let compute =
        matches!(resource, "cpu" | "memory" | "limits.cpu" | "limits.memory" | "requests.cpu" | "requests.memory");
    match scope {
        "BestEffort" => resource == "pods",
        "Terminating" | "NotTerminating" | "NotBestEffort" | "PriorityClass" | "CrossNamespacePodAffinity" => {
            resource == "pods" || compute
        }
        _ => true,
    }
}

fn scopes(spec: &Value, at: Path<'_>, found: &mut Findings) {
    let at = at.child("scopes");
    let scopes: Vec<&str> = list(spec, "scopes").iter().filter_map(Value::as_str).collect();
    for scope in &scopes {
        if !SCOPES.contains(scope) {
            found.invalid(at, &spec["scopes"], "unsupported scope");
        }
        for (resource, _) in entries(&spec["hard"]).filter(|(name, _)| is_quota_resource(name)) {
            if !applies(scope, resource) {
                found.invalid(at, &spec["scopes"], "unsupported scope applied to resource");
            }
        }
    }
    for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if scopes.contains(&one) && scopes.contains(&other) {
            found.invalid(at, &spec["scopes"], "conflicting scopes");
        }
    }
}

fn scope_selector(spec: &Value, at: Path<'_>, found: &mut Findings) {
    let at = at.child("matchExpressions");
    for requirement in list(&spec["scopeSelector"], "matchExpressions") {
        let scope = text(requirement, "scopeName");
        if !SCOPES.contains(&scope) {
            found.invalid_text(at.child("scopeName"), scope, "unsupported scope");
        }
        let values = list(requirement, "values");
        let operator = text(requirement, "operator");
        if !matches!(scope, "PriorityClass" | "VolumeAttributesClass")
            && SCOPES.contains(&scope)
            && operator != "Exists"
        {
            let why = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, \
                       ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort \
                       or ResourceQuotaScopeCrossNamespacePodAffinity";
            found.invalid_text(at.child("operator"), operator, why);
        }
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                found.required(at.child("values"), why);
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                found.invalid(at.child("values"), &requirement["values"], why);
            }
            "Exists" | "DoesNotExist" => {}
            other => found.invalid_text(at.child("operator"), other, "not a valid selector operator"),
        }
    }
}

/// What a quota counts stays; how much it allows may change.
pub fn immutable_scopes(new: &Value, old: &Value, found: &mut Findings) {
    let scopes = |quota: &Value| -> BTreeSet<String> {
        list(&quota["spec"], "scopes").iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    if scopes(new) != scopes(old) {
        let at = Path::Root.child("spec");
        found.invalid(at.child("scopes"), &new["spec"]["scopes"], "field is immutable");
    }
}

pub fn limit_range(range: &Value, found: &mut Findings) {
    let at = Path::Root.child("spec");
    let at = at.child("limits");
    let mut types = BTreeSet::new();
    for (index, limit) in list(&range["spec"], "limits").iter().enumerate() {
        let at = at.index(index);
        let of_type = text(limit, "type");
        found.complain(at.child("type"), of_type, format::qualified_name(of_type));
        if !of_type.contains('/') && !matches!(of_type, "Pod" | "Container" | "PersistentVolumeClaim") {
            found.invalid_text(at.child("type"), of_type, "must be a standard limit type or fully qualified");
        }
        if !types.insert(of_type) {
            found.duplicate(at.child("type"), &limit["type"]);
        }
        limit_item(limit, of_type, at, found);
    }
}

fn limit_item(limit: &Value, of_type: &str, at: Path<'_>, found: &mut Findings) {
    let mut resources = BTreeSet::new();
    for field in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        if of_type == "Pod" && matches!(field, "default" | "defaultRequest") {
            if limit[field].as_object().is_some_and(|amounts| !amounts.is_empty()) {
                found.forbidden(at.child(field), "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        if of_type == "PersistentVolumeClaim"
            && field == "maxLimitRequestRatio"
            && limit["min"]["storage"].is_null()
            && limit["max"]["storage"].is_null()
        {
            let why = "either minimum or maximum storage value is required, but neither was provided";
            found.required(at.child("limits"), why);
        }
        let field_at = at.child(field);
        for (name, _) in entries(&limit[field]) {
            resource_name(name, of_type, field_at.key(name), found);
            resources.insert(name);
        }
    }
    for resource in resources {
        bounds(limit, resource, at, found);
    }
}

fn resource_name(name: &str, of_type: &str, at: Path<'_>, found: &mut Findings) {
    found.complain(at, name, format::qualified_name(name));
    let container = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if name.contains('/') {
    } else if matches!(of_type, "Pod" | "Container") {
        if !container {
            found.invalid_text(at, name, "must be a standard resource for containers");
        }
    } else if !container && !COMPUTE.contains(&name) && !COUNTED.contains(&name) {
        found.invalid_text(at, name, "must be a standard resource type");
    }
}

/// The five amounts of one resource must not contradict each other.
fn bounds(limit: &Value, resource: &str, at: Path<'_>, found: &mut Findings) {
    let amount = |field: &str| {
        let text = limit[field][resource].as_str()?;
        Some((text.to_owned(), Quantity::parse(text).unwrap_or_default()))
    };
    let (min, max) = (amount("min"), amount("max"));
    let (default, request) = (amount("default"), amount("defaultRequest"));
    let ratio = amount("maxLimitRequestRatio");
    // Where it is said, the value that is shown, the value that is too large and its name, and the bound.
    let checks = [
        ("min", &min, ("min", &min), ("max", &max)),
        ("defaultRequest", &request, ("min", &min), ("default request", &request)),
        ("defaultRequest", &request, ("default request", &request), ("max", &max)),
        ("defaultRequest", &request, ("default request", &request), ("default limit", &default)),
        ("default", &min, ("min", &min), ("default", &default)),
        ("default", &max, ("default", &default), ("max", &max)),
    ];
    for (field, shown, (lower_name, lower), (upper_name, upper)) in checks {
        if let (Some(shown), Some(lower), Some(upper)) = (shown, lower, upper)
            && lower.1 > upper.1
        {
            let why = format!("{lower_name} value {} is greater than {upper_name} value {}", lower.0, upper.0);
            found.invalid_text(at.child(field).key(resource), &shown.0, why);
        }
    }
    let Some(ratio) = ratio else { return };
    let ratio_at = at.child("maxLimitRequestRatio");
    if ratio.1 < Quantity::from_units(1) {
        found.invalid_text(ratio_at.key(resource), &ratio.0, format_args!("ratio {} is less than 1", ratio.0));
    }
    if let (Some(min), Some(max)) = (min, max) {
        let float = |quantity: Quantity| quantity.millis() as f64;
        let most = float(max.1) / float(min.1);
        if float(ratio.1) / 1000.0 > most {
            let why = format!("ratio {} is greater than max/min = {most:.6}", ratio.0);
            found.invalid_text(ratio_at.key(resource), &ratio.0, why);
        }
    }
}
