//! StatefulSets and DaemonSets.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::field::{Findings, Path, quoted, shown, text};
use super::workload::{self, amount, at_most_all, number_or_percent};
use super::{format, selector};

/// What of a StatefulSet's spec may change.
const CHANGEABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

pub fn stateful_set(set: &Value, found: &mut Findings) {
    let spec = &set["spec"];
    let at = Path::Root.child("spec");
    if !matches!(text(spec, "podManagementPolicy"), "OrderedReady" | "Parallel") {
        let why = "must be 'OrderedReady' or 'Parallel'";
        found.invalid(at.child("podManagementPolicy"), &spec["podManagementPolicy"], why);
    }
    stateful_strategy(&spec["updateStrategy"], at.child("updateStrategy"), found);
    for when in ["whenDeleted", "whenScaled"] {
        let policy = &spec["persistentVolumeClaimRetentionPolicy"];
        let at = at.child("persistentVolumeClaimRetentionPolicy");
        found.one_of(at.child(when), &policy[when], &["Retain", "Delete"]);
    }
    found.not_negative(at.child("replicas"), &spec["replicas"]);
    found.not_negative(at.child("minReadySeconds"), &spec["minReadySeconds"]);
    found.not_negative(at.child("ordinals").child("start"), &spec["ordinals"]["start"]);
    workload::required_selector(&spec["selector"], at.child("selector"), "statefulset", found);
    let service = text(spec, "serviceName");
    if !service.is_empty() {
        found.complain(at.child("serviceName"), service, format::label(service));
    }
    let template_at = at.child("template");
    match workload::parsed(&spec["selector"]) {
        Some(selector) => {
            workload::match_template(&selector, &spec["template"], template_at, found);
            workload::pod_template(&with_claims(spec), template_at, found);
        }
        None => found.invalid(at.child("selector"), &spec["selector"], ""),
    }
    workload::long_running(&spec["template"], template_at, "StatefulSet", found);
}

fn stateful_strategy(strategy: &Value, at: Path<'_>, found: &mut Findings) {
    let rolling = &strategy["rollingUpdate"];
    let rolling_at = at.child("rollingUpdate");
    match text(strategy, "type") {
        "" => found.required(at, ""),
        "OnDelete" if rolling.is_null() => {}
        "OnDelete" => {
            let given = partitioned(rolling);
            found.invalid_shown(rolling_at, &given, "only allowed for updateStrategy 'RollingUpdate'");
        }
        "RollingUpdate" => {
            found.not_negative(rolling_at.child("partition"), &rolling["partition"]);
            let unavailable = &rolling["maxUnavailable"];
            if unavailable.is_null() {
                return;
            }
            let at = rolling_at.child("maxUnavailable");
            number_or_percent(unavailable, at, found);
            if amount(unavailable).unwrap_or(0) == 0 {
                found.invalid(at, unavailable, "cannot be 0");
            }
            at_most_all(unavailable, at, found);
        }
        other => {
            let given = format!("{{\"Type\":{},\"RollingUpdate\":{}}}", quoted(other), partitioned(rolling));
            found.invalid_shown(at, &given, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

/// The template with the volumes that each pod gets for its claims: containers may mount them.
fn with_claims(spec: &Value) -> Cow<'_, Value> {
    let names = || spec["volumeClaimTemplates"].as_array().into_iter().flatten().map(|c| &c["metadata"]["name"]);
    if names().next().is_none() {
        return Cow::Borrowed(&spec["template"]);
    }
    let mut template = spec["template"].clone();
    let own = template["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    let new = names().filter(|name| own.iter().all(|volume| volume["name"] != **name));
    let new = new.map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
    template["spec"]["volumes"] = own.iter().cloned().chain(new).collect();
    Cow::Owned(template)
}

/// The parameters of a rolling update as Kubernetes writes them in a message.
fn partitioned(rolling: &Value) -> String {
    if rolling.is_null() {
        return "null".to_owned();
    }
    // The number of a partition that is not given is zero to Kubernetes.
    let partition = rolling["partition"].as_i64().unwrap_or(0);
    format!("{{\"Partition\":{partition},\"MaxUnavailable\":{}}}", shown(&rolling["maxUnavailable"]))
}

/// The identity of the pods of a StatefulSet, and their claims, stay as they are.
pub fn stateful_set_update(new: &Value, old: &Value, found: &mut Findings) {
    let fixed = |object: &Value| {
        let mut spec = object["spec"].clone();
        if let Some(members) = spec.as_object_mut() {
            members.retain(|name, _| !CHANGEABLE.contains(&name.as_str()));
        }
        spec
    };
    if fixed(new) != fixed(old) {
        let [first @ .., last] = CHANGEABLE;
        let first = first.map(|name| format!("'{name}'")).join(", ");
        let why = format!("updates to statefulset spec for fields other than {first} and '{last}' are forbidden");
        found.forbidden(Path::Root.child("spec"), why);
    }
}

pub fn daemon_set(set: &Value, found: &mut Findings) {
    let spec = &set["spec"];
    let at = Path::Root.child("spec");
    let given = &spec["selector"];
    selector::labels(given, at.child("selector"), found);
    let template_at = at.child("template");
    if let Some(selector) = workload::parsed(given) {
        workload::match_template(&selector, &spec["template"], template_at, found);
    }
    workload::nonempty_selector(given, at.child("selector"), "daemonset", found);
    workload::pod_template(&spec["template"], template_at, found);
    workload::long_running(&spec["template"], template_at, "DaemonSet", found);
    found.not_negative(at.child("minReadySeconds"), &spec["minReadySeconds"]);
    daemon_strategy(&spec["updateStrategy"], at.child("updateStrategy"), found);
    found.not_negative(at.child("revisionHistoryLimit"), &spec["revisionHistoryLimit"]);
}

fn daemon_strategy(strategy: &Value, at: Path<'_>, found: &mut Findings) {
    let rolling = &strategy["rollingUpdate"];
    match text(strategy, "type") {
        "OnDelete" => {}
        "RollingUpdate" => {
            let at = at.child("rollingUpdate");
            let both = ["maxUnavailable", "maxSurge"];
            both.iter().for_each(|field| number_or_percent(&rolling[*field], at.child(field), found));
            both.iter().for_each(|field| at_most_all(&rolling[*field], at.child(field), found));
            let [unavailable, surge] = both.map(|field| amount(&rolling[field]).unwrap_or(0) != 0);
            if unavailable && surge {
                let why = "may not be set when maxUnavailable is non-zero";
                found.invalid(at.child("maxSurge"), &rolling["maxSurge"], why);
            } else if !unavailable && !surge {
                found.required(at.child("maxUnavailable"), "cannot be 0 when maxSurge is 0");
            }
        }
        other => {
            let given = workload::shown_strategy(other, rolling);
            found.unsupported_shown(at, &given, &["RollingUpdate", "OnDelete"]);
        }
    }
}
