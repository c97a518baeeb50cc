//! Defaults of a pod's spec that hold in pods and in the templates of workloads alike.

use serde_json::{Value, json};

use super::{fill, items, present, volumes};
use crate::object::Quantity;

pub fn apply(spec: &mut Value) {
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        items(spec, list).for_each(container);
    }
    items(spec, "volumes").for_each(volumes::apply);
    fill(spec, "restartPolicy", || "Always");
    fill(spec, "dnsPolicy", || "ClusterFirst");
    fill(spec, "schedulerName", || "default-scheduler");
    fill(spec, "securityContext", || json!({}));
    fill(spec, "terminationGracePeriodSeconds", || 30);
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0) {
        spec["terminationGracePeriodSeconds"] = json!(1);
    }
    // `serviceAccount` is the old name of `serviceAccountName`; both are stored, and the new one decides.
    let account = [&spec["serviceAccountName"], &spec["serviceAccount"]].into_iter().find(|name| !name.is_null());
    if let Some(account) = account.cloned() {
        spec["serviceAccountName"] = account.clone();
        spec["serviceAccount"] = account;
    }
}

fn container(container: &mut Value) {
    let pull = pull_policy(container["image"].as_str().unwrap_or_default());
    fill(container, "imagePullPolicy", || pull);
    fill(container, "terminationMessagePath", || "/dev/termination-log");
    fill(container, "terminationMessagePolicy", || "File");
    fill(container, "resources", || json!({}));
    resources(&mut container["resources"]);
    for port in items(container, "ports") {
        fill(port, "protocol", || "TCP");
    }
    for variable in items(container, "env") {
        if let Some(source) = present(variable, "valueFrom") {
            field_source(source);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        present(container, name).into_iter().for_each(probe);
    }
    for hook in ["postStart", "preStop"] {
        if let Some(hook) = present(container, "lifecycle").and_then(|lifecycle| present(lifecycle, hook)) {
            http_get(hook);
        }
    }
}

/// Amounts are kept in thousandths at the finest: what is finer rounds up.
pub fn resources(resources: &mut Value) {
    for list in ["limits", "requests"] {
        present(resources, list).into_iter().for_each(round_up);
    }
}

/// Rounds the amounts of a resource list up to thousandths.
pub fn round_up(list: &mut Value) {
    for amount in list.as_object_mut().into_iter().flat_map(|list| list.values_mut()) {
        let finer = |text: &str| text.ends_with(['n', 'u']) || text.contains("e-6") || text.contains("e-9");
        let rounded = amount.as_str().filter(|text| finer(text)).and_then(|text| Quantity::parse(text).ok());
        if let Some(rounded) = rounded {
            *amount = json!(rounded.to_string());
        }
    }
}

/// `fieldRef` and `resourceFieldRef` of a variable or of a downward API file.
pub fn field_source(source: &mut Value) {
    if let Some(field) = present(source, "fieldRef") {
        fill(field, "apiVersion", || "v1");
    }
    if let Some(resource) = present(source, "resourceFieldRef") {
        fill(resource, "divisor", || "0");
    }
}

fn probe(probe: &mut Value) {
    for (field, value) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        // Zero means unset here.
        if probe[field].as_i64().unwrap_or(0) == 0 {
            probe[field] = json!(value);
        }
    }
    if let Some(grpc) = present(probe, "grpc") {
        fill(grpc, "service", || "");
    }
    http_get(probe);
}

fn http_get(handler: &mut Value) {
    if let Some(get) = present(handler, "httpGet") {
        fill(get, "path", || "/");
        fill(get, "scheme", || "HTTP");
    }
}

/// An image that is named by no tag or by `latest` may have moved: it is pulled always.
pub fn pull_policy(image: &str) -> &'static str {
    let name = image.split('@').next().unwrap_or_default();
    let last = name.rsplit('/').next().unwrap_or_default();
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let (repository, tag) = last.split_once(':').unwrap_or((last, if image.contains('@') { "" } else { "latest" }));
    let parses = !repository.is_empty() && repository.chars().all(legal);
    if parses && tag == "latest" { "Always" } else { "IfNotPresent" }
}
