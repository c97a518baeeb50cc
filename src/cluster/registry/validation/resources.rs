//! Requests and limits of containers.

use serde_json::Value;

use super::field::{Findings, Path, entries};
use super::format;
use crate::object::Quantity;

const CONTAINER_RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const OTHER_STANDARD: [&str; 9] = [
    "storage",
    "pods",
    "services",
    "secrets",
    "configmaps",
    "resourcequotas",
    "replicationcontrollers",
    "persistentvolumeclaims",
    "services.nodeports",
];

pub fn check(resources: &Value, at: Path<'_>, found: &mut Findings) {
    let (limits, requests) = (&resources["limits"], &resources["requests"]);
    for (name, amount) in entries(limits) {
        resource(name, amount, at.child("limits").key(name), found);
    }
    let requests_at = at.child("requests");
    for (name, amount) in entries(requests) {
        resource(name, amount, requests_at.key(name), found);
        let overcommits = may_overcommit(name);
        match limits[name].as_str() {
            None if !overcommits => {
                found.required(at.child("limits"), "Limit must be set for non overcommitable resources");
            }
            None => {}
            Some(limit) => {
                let parse = |text: &str| Quantity::parse(text).unwrap_or_default();
                if !overcommits && parse(amount) != parse(limit) {
                    found.invalid_text(requests_at, amount, format_args!("must be equal to {name} limit of {limit}"));
                } else if overcommits && parse(amount) > parse(limit) {
                    let why = format!("must be less than or equal to {name} limit of {limit}");
                    found.invalid_text(requests_at, amount, why);
                }
            }
        }
    }
    let names = || entries(limits).chain(entries(requests)).map(|(name, _)| name);
    if names().any(|name| name.starts_with("hugepages-")) && !names().any(|name| matches!(name, "cpu" | "memory")) {
        found.forbidden(at, "HugePages require cpu or memory");
    }
}

/// Only what can be taken back or shared may be promised to more than it is enough for.
fn may_overcommit(name: &str) -> bool {
    !name.contains('/') && !name.starts_with("hugepages-")
}

/// The name of something that a container can be given some of.
pub fn container_resource(name: &str, at: Path<'_>, found: &mut Findings) {
    found.complain(at, name, format::qualified_name(name));
    if !name.contains('/') {
        let of_containers = CONTAINER_RESOURCES.contains(&name) || name.starts_with("hugepages-");
        let standard = OTHER_STANDARD.contains(&name) || name.starts_with("requests.") || name.starts_with("limits.");
        if !of_containers && !standard {
            found.invalid_text(at, name, "must be a standard resource type or fully qualified");
        }
        if !of_containers {
            found.invalid_text(at, name, "must be a standard resource for containers");
        }
    }
}

fn resource(name: &str, amount: &str, at: Path<'_>, found: &mut Findings) {
    container_resource(name, at, found);
    let quantity = Quantity::parse(amount).unwrap_or_default();
    if quantity < Quantity::ZERO {
        found.invalid_text(at, amount, "must be greater than or equal to 0");
    } else if !may_overcommit(name) && quantity.millis() % 1000 != 0 {
        found.invalid_text(at, amount, "must be an integer");
    }
}
