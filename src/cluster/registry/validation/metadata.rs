//! Names, labels, annotations, owners and finalizers, which every kind has.

use serde_json::Value;

use super::field::{Findings, Path, entries, list, shown, text};
use super::format;
use crate::object::{Kind, kinds};

/// All annotations of an object together, keys and values.
const ANNOTATION_BYTES: usize = 256 * 1024;
const STANDARD_FINALIZERS: [&str; 4] =
    ["kubernetes", "orphan", "foregroundDeletion", "customresourcecleanup.apiextensions.k8s.io"];

/// How objects of the kind may be named.
fn naming(kind: &'static Kind) -> fn(&str) -> Vec<String> {
    match kind {
        k if k == kinds::NAMESPACE || k == kinds::SERVICE => format::label,
        // Roles and bindings have names such as `system:node`.
        k if k == kinds::DISRUPTION_BUDGET || k.group == "rbac.authorization.k8s.io" => format::path_segment,
        _ => format::subdomain,
    }
}

/// What the kind's own rules ask of metadata.
pub fn own(kind: &'static Kind, object: &Value, found: &mut Findings) {
    check(kind, object, naming(kind), found);
}

/// What is asked of the metadata of every kind: its name can stand in a path.
pub fn common(kind: &'static Kind, object: &Value, found: &mut Findings) {
    check(kind, object, format::path_segment, found);
}

fn check(kind: &'static Kind, object: &Value, named: fn(&str) -> Vec<String>, found: &mut Findings) {
    let metadata = &object["metadata"];
    let at = Path::Root.child("metadata");
    let prefix = text(metadata, "generateName");
    if !prefix.is_empty() {
        // What is generated goes on after the prefix, so the prefix may end in a hyphen.
        found.complain(at.child("generateName"), prefix, named(&prefix.replace(trailing_hyphen(prefix), "a")));
    }
    match text(metadata, "name") {
        "" => found.required(at.child("name"), "name or generateName is required"),
        name => found.complain(at.child("name"), name, named(name)),
    }
    let namespace = text(metadata, "namespace");
    if kind.namespaced && !namespace.is_empty() {
        found.complain(at.child("namespace"), namespace, format::label(namespace));
    } else if !kind.namespaced && !namespace.is_empty() {
        found.forbidden(at.child("namespace"), "not allowed on this type");
    }
    found.not_negative(at.child("generation"), &metadata["generation"]);
    labels(&metadata["labels"], at.child("labels"), found);
    annotations(&metadata["annotations"], at.child("annotations"), found);
    owners(metadata, at.child("ownerReferences"), found);
    finalizers(kind, metadata, at.child("finalizers"), found);
}

fn trailing_hyphen(prefix: &str) -> &str {
    if prefix.len() > 1 && prefix.ends_with('-') { &prefix[prefix.len() - 1..] } else { "\0" }
}

/// What an update must not change, and what it may not bring in.
pub fn update(new: &Value, old: &Value, found: &mut Findings) {
    let at = Path::Root.child("metadata");
    if !old["metadata"]["deletionTimestamp"].is_null() {
        let had = list(&old["metadata"], "finalizers");
        let added: Vec<Value> =
            list(&new["metadata"], "finalizers").iter().filter(|f| !had.contains(f)).cloned().collect();
        if !added.is_empty() {
            let names: Vec<String> = added.iter().map(shown).collect();
            let why = "no new finalizers can be added if the object is being deleted, found new finalizers";
            found.forbidden(at.child("finalizers"), format_args!("{why} []string{{{}}}", names.join(", ")));
        }
    }
    for field in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let (was, is) = (&old["metadata"][field], &new["metadata"][field]);
        if !was.is_null() && !is.is_null() && was != is {
            found.invalid(at.child(field), is, "field is immutable");
        }
    }
    let metadata = &new["metadata"];
    labels(&metadata["labels"], at.child("labels"), found);
    annotations(&metadata["annotations"], at.child("annotations"), found);
    owners(metadata, at.child("ownerReferences"), found);
}

pub fn labels(map: &Value, at: Path<'_>, found: &mut Findings) {
    for (key, value) in entries(map) {
        found.complain(at, key, format::qualified_name(key));
        found.complain(at, value, format::label_value(value));
    }
}

pub fn annotations(map: &Value, at: Path<'_>, found: &mut Findings) {
    let mut bytes = 0;
    for (key, value) in entries(map) {
        found.complain(at, key, format::qualified_name(&key.to_lowercase()));
        bytes += key.len() + value.len();
    }
    if bytes > ANNOTATION_BYTES {
        found.too_long(at, ANNOTATION_BYTES);
    }
}

fn owners(metadata: &Value, at: Path<'_>, found: &mut Findings) {
    let owners = list(metadata, "ownerReferences");
    let mut controller: Option<&Value> = None;
    for owner in owners {
        let (api_version, kind) = (text(owner, "apiVersion"), text(owner, "kind"));
        let (group, version) = kinds::split_api_version(api_version);
        if version.is_empty() {
            found.invalid_text(at.child("apiVersion"), api_version, "version must not be empty");
        }
        for field in ["kind", "name", "uid"] {
            if text(owner, field).is_empty() {
                found.invalid_text(at.child(field), "", "must not be empty");
            }
        }
        if kind == "Event" && group.is_empty() {
            found.invalid(at, owner, format_args!("{group}/{version}, Kind={kind} is disallowed from being an owner"));
        }
        if owner["controller"] != true {
            continue;
        }
        match controller {
            None => controller = Some(owner),
            Some(first) => {
                let name = |owner: &Value| format!("{}/{}", text(owner, "kind"), text(owner, "name"));
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
                    name(first),
                    name(owner)
                );
                found.invalid(at, &metadata["ownerReferences"], why);
            }
        }
    }
}

fn finalizers(kind: &Kind, metadata: &Value, at: Path<'_>, found: &mut Findings) {
    for (index, name) in list(metadata, "finalizers").iter().enumerate() {
        let name = name.as_str().unwrap_or_default();
        found.complain(at, name, format::qualified_name(name));
        // The API server takes any qualified name for a resource that is not its own.
        if kind != kinds::APPLICATION && !name.contains('/') && !STANDARD_FINALIZERS.contains(&name) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            found.invalid_text(at.index(index), name, why);
        }
    }
    let both = |name: &str| list(metadata, "finalizers").iter().any(|f| f == name);
    if both("orphan") && both("foregroundDeletion") {
        found.invalid(at, &metadata["finalizers"], "finalizer orphan and foregroundDeletion cannot be both set");
    }
}
