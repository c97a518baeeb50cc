//! Variables of containers, and the fields that variables and files can be taken from.

use serde_json::Value;

use super::field::{Findings, Path, list, text};
use super::format;

const TOO_MANY_SOURCES: &str = "may not have more than one field specified at a time";
const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
/// Fields of a pod that can be named at all.
const FIELDS: [&str; 17] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.hostNetwork",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.nominatedNodeName",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "spec.host",
];
const VARIABLE_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Fields that a file of a downward API volume can hold.
pub const FILE_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

pub fn variables(container: &Value, at: Path<'_>, found: &mut Findings) {
    for (index, variable) in list(container, "env").iter().enumerate() {
        let at = at.index(index);
        match text(variable, "name") {
            "" => found.required(at.child("name"), ""),
            name => found.complain(at.child("name"), name, format::variable(name)),
        }
        if variable["valueFrom"].is_object() {
            source(variable, at.child("valueFrom"), found);
        }
    }
}

fn source(variable: &Value, at: Path<'_>, found: &mut Findings) {
    let source = &variable["valueFrom"];
    if source["fieldRef"].is_object() {
        field(&source["fieldRef"], VARIABLE_FIELDS, at.child("fieldRef"), found);
    }
    if source["resourceFieldRef"].is_object() {
        resource(&source["resourceFieldRef"], at.child("resourceFieldRef"), found);
    }
    for reference in ["configMapKeyRef", "secretKeyRef"] {
        let given = &source[reference];
        if given.is_object() {
            let at = at.child(reference);
            if text(given, "name").is_empty() {
                found.required(at.child("name"), "");
            }
            match text(given, "key") {
                "" => found.required(at.child("key"), ""),
                key => found.complain(at.child("key"), key, format::data_key(key)),
            }
        }
    }
    match SOURCES.iter().filter(|name| source[**name].is_object()).count() {
        0 => {
            let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
            found.invalid_text(at, "", why);
        }
        _ if !text(variable, "value").is_empty() => {
            found.invalid_text(at, "", "may not be specified when `value` is not empty");
        }
        1 => {}
        _ => found.invalid_text(at, "", TOO_MANY_SOURCES),
    }
}

/// A `fieldRef`, which must name one of `supported`, or one label or annotation.
pub fn field(reference: &Value, supported: &[&str], at: Path<'_>, found: &mut Findings) {
    if text(reference, "apiVersion").is_empty() {
        found.required(at.child("apiVersion"), "");
    }
    let path = text(reference, "fieldPath");
    if path.is_empty() {
        found.required(at.child("fieldPath"), "");
        return;
    }
    let at = at.child("fieldPath");
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        match map {
            "metadata.annotations" => found.complain(at, path, format::qualified_name(&key.to_lowercase())),
            "metadata.labels" => found.complain(at, path, format::qualified_name(key)),
            _ => found.invalid_text(
                at,
                path,
                format_args!("error converting fieldPath: field label does not support subscript"),
            ),
        }
    } else if !FIELDS.contains(&path) {
        found.invalid_text(at, path, format_args!("error converting fieldPath: field label not supported: {path}"));
    } else if !supported.contains(&path) {
        found.unsupported(at, &reference["fieldPath"], supported);
    }
}

pub fn resource(reference: &Value, at: Path<'_>, found: &mut Findings) {
    match text(reference, "resource") {
        "" => found.required(at.child("resource"), ""),
        name if name.starts_with("limits.hugepages-") || name.starts_with("requests.hugepages-") => {}
        _ => found.one_of(at.child("resource"), &reference["resource"], RESOURCES),
    }
}

/// `envFrom`: all entries of ConfigMaps and Secrets.
pub fn sources(container: &Value, at: Path<'_>, found: &mut Findings) {
    for (index, source) in list(container, "envFrom").iter().enumerate() {
        let prefix = text(source, "prefix");
        if !prefix.is_empty() {
            found.complain(at.index(index).child("prefix"), prefix, format::variable(prefix));
        }
        let mut count = 0;
        for reference in ["configMapRef", "secretRef"] {
            let given = &source[reference];
            if given.is_object() {
                count += 1;
                if text(given, "name").is_empty() {
                    found.required(at.index(index).child(reference).child("name"), "");
                }
            }
        }
        match count {
            0 => found.invalid_text(at, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => found.invalid_text(at, "", TOO_MANY_SOURCES),
        }
    }
}
