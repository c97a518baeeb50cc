//! PersistentVolumes, PersistentVolumeClaims and StorageClasses.

use serde_json::Value;

use super::field::{Findings, Path, entries, list, quoted, shown, text};
use super::{affinity, format, internal, selector, volume};
use crate::object::Quantity;

const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
const STORAGE: &str = "storage";
/// Parameters of a class, keys and values together.
const PARAMETER_BYTES: usize = 256 * 1024;
const MOST_PARAMETERS: usize = 512;

/// Where a volume's storage comes from, in the order in which Kubernetes looks.
const SOURCES: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

pub fn volume(volume: &Value, found: &mut Findings) {
    let spec = &volume["spec"];
    let at = Path::Root.child("spec");
    if list(spec, "accessModes").is_empty() {
        found.required(at.child("accessModes"), "");
    }
    access_modes(spec, at.child("accessModes"), found);
    let capacity_at = at.child("capacity");
    let capacity = spec["capacity"].as_object();
    if capacity.is_none_or(|amounts| amounts.is_empty()) {
        found.required(capacity_at, "");
    }
    if capacity.is_none_or(|amounts| amounts.len() != 1 || !amounts.contains_key(STORAGE)) {
        found.unsupported_shown(capacity_at, &shown(&spec["capacity"]), &[STORAGE]);
    }
    for (resource, amount) in entries(&spec["capacity"]) {
        positive(amount, capacity_at.key(resource), found);
    }
    let policy_at = at.child("persistentVolumeReclaimPolicy");
    found.one_of(policy_at, &spec["persistentVolumeReclaimPolicy"], &["Delete", "Recycle", "Retain"]);
    affinity::node_selector(&spec["nodeAffinity"]["required"], at.child("nodeAffinity").child("required"), found);
    if spec["nodeAffinity"].is_object() && spec["nodeAffinity"]["required"].is_null() {
        found.required(at.child("nodeAffinity").child("required"), "must specify required node constraints");
    }
    let mut sources = SOURCES.iter().filter(|source| spec[**source].is_object());
    match sources.next() {
        Some(source) => volume_source(spec, source, at, found),
        None => found.required(at, "must specify a volume type"),
    }
    for more in sources {
        found.forbidden(at.child(more), "may not specify more than 1 volume type");
    }
    if text(&spec["hostPath"], "path") == "/" && spec["persistentVolumeReclaimPolicy"] == "Recycle" {
        found.forbidden(policy_at, "may not be 'recycle' for a hostPath mount of '/'");
    }
    class_name(spec, at, found);
    found.one_of(at.child("volumeMode"), &spec["volumeMode"], &VOLUME_MODES);
    attributes_class(spec, at, found);
}

fn volume_source(spec: &Value, source: &str, at: Path<'_>, found: &mut Findings) {
    let given = &spec[source];
    let source_at = at.child(source);
    match source {
        "local" => {
            let path = text(given, "path");
            match path {
                "" => found.required(source_at.child("path"), ""),
                path => found.complain(source_at.child("path"), path, format::no_steps_back(path)),
            }
            if spec["nodeAffinity"]["required"].is_null() {
                found.required(at.child("nodeAffinity"), "Local volume requires node affinity");
            }
        }
        "csi" => {
            let driver = text(given, "driver");
            match driver {
                "" => found.required(source_at.child("driver"), ""),
                name => {
                    if name.len() > 63 {
                        found.too_long(source_at.child("driver"), 63);
                    }
                    found.complain(source_at.child("driver"), name, format::subdomain(&name.to_lowercase()));
                }
            }
            if text(given, "volumeHandle").is_empty() {
                found.required(source_at.child("volumeHandle"), "");
            }
            for secret in given.as_object().into_iter().flatten().filter(|(name, _)| name.ends_with("SecretRef")) {
                for field in ["name", "namespace"] {
                    if text(secret.1, field).is_empty() {
                        found.required(source_at.child(secret.0).child(field), "");
                    }
                }
            }
        }
        _ => {
            volume::one(source, given, source_at, found);
            let path = text(given, "path");
            if source == "nfs" && !path.is_empty() && !path.starts_with('/') {
                found.invalid_text(source_at.child("path"), path, "must be an absolute path");
            }
        }
    }
}

/// Where the storage is, and whether it is a disk or a directory, stays: data is on it.
pub fn immutable_volume(new: &Value, old: &Value, found: &mut Findings) {
    let at = Path::Root.child("spec");
    let (is, was) = (&new["spec"], &old["spec"]);
    if SOURCES.iter().any(|source| is[*source] != was[*source]) {
        let what = "spec.persistentvolumesource is immutable after creation";
        let diff = internal::difference("PersistentVolumeSource", was, is);
        found.forbidden(at.child("persistentvolumesource"), format_args!("{what}\n{diff}"));
    }
    unchanged(is, was, "volumeMode", at, found);
    if !was["nodeAffinity"].is_null() && is["nodeAffinity"] != was["nodeAffinity"] {
        let shown = internal::shown("VolumeNodeAffinity", &is["nodeAffinity"]);
        found.invalid_shown(at.child("nodeAffinity"), &shown, "field is immutable");
    }
}

pub fn claim(claim: &Value, found: &mut Findings) {
    claim_spec(&claim["spec"], Path::Root.child("spec"), found);
}

/// Of a claim, or of what a StatefulSet makes its claims from.
pub fn claim_spec(spec: &Value, at: Path<'_>, found: &mut Findings) {
    if list(spec, "accessModes").is_empty() {
        found.required(at.child("accessModes"), "at least 1 access mode is required");
    }
    selector::labels(&spec["selector"], at.child("selector"), found);
    access_modes(spec, at.child("accessModes"), found);
    let resources_at = at.child("resources");
    match spec["resources"]["requests"][STORAGE].as_str() {
        Some(amount) => positive(amount, resources_at.key(STORAGE), found),
        None => found.required(resources_at.key(STORAGE), ""),
    }
    class_name(spec, at, found);
    found.one_of(at.child("volumeMode"), &spec["volumeMode"], &VOLUME_MODES);
    for field in ["dataSource", "dataSourceRef"] {
        if spec[field].is_object() {
            data_source(&spec[field], at.child(field), found);
        }
    }
    let same = |field: &str| text(&spec["dataSource"], field) == text(&spec["dataSourceRef"], field);
    if spec["dataSource"].is_object() && spec["dataSourceRef"].is_object() {
        if !text(&spec["dataSourceRef"], "namespace").is_empty() {
            let why = "may not be specified when dataSourceRef.namespace is specified";
            found.invalid_text(at, text(&spec["dataSource"], "name"), why);
        } else if !["apiGroup", "kind", "name"].into_iter().all(same) {
            found.invalid_text(at, text(&spec["dataSource"], "name"), "must match dataSourceRef");
        }
    }
    attributes_class(spec, at, found);
}

fn data_source(source: &Value, at: Path<'_>, found: &mut Findings) {
    for field in ["name", "kind"] {
        if text(source, field).is_empty() {
            found.required(at.child(field), "");
        }
    }
    let group = text(source, "apiGroup");
    if group.is_empty() && text(source, "kind") != "PersistentVolumeClaim" {
        found.invalid(at, &source["kind"], "");
    }
    if !group.is_empty() {
        found.complain(at.child("apiGroup"), group, format::subdomain(group));
    }
}

/// A claim that is bound may grow, and nothing else of it changes.
pub fn immutable_claim(new: &Value, old: &Value, found: &mut Findings) {
    let at = Path::Root.child("spec");
    let (mut is, mut was) = (new["spec"].clone(), old["spec"].clone());
    if text(&was, "volumeName").is_empty() {
        was["volumeName"] = is["volumeName"].clone();
    }
    // A claim without a class may be given the cluster's default one later.
    if was["storageClassName"].is_null() {
        was["storageClassName"] = is["storageClassName"].clone();
    }
    if new["status"]["phase"] == "Bound" {
        let amount = |spec: &Value| spec["resources"]["requests"][STORAGE].clone();
        if is["resources"]["requests"].is_object() {
            is["resources"]["requests"][STORAGE] = amount(&was);
        }
        is["volumeAttributesClassName"] = was["volumeAttributesClassName"].clone();
    }
    for spec in [&mut is, &mut was].into_iter().filter_map(Value::as_object_mut) {
        spec.retain(|_, value| !value.is_null());
    }
    if is != was {
        let what = "spec is immutable after creation except resources.requests and volumeAttributesClassName for \
                    bound claims";
        let diff = internal::difference("PersistentVolumeClaimSpec", &was, &is);
        found.forbidden(at, format_args!("{what}\n{diff}"));
    }
    let size = |claim: &Value| Quantity::parse(text(&claim["spec"]["resources"]["requests"], STORAGE)).ok();
    if let (Some(is), Some(was)) = (size(new), size(old))
        && is < was
    {
        let held = Quantity::parse(text(&old["status"]["capacity"], STORAGE)).ok();
        let requests = at.child("resources");
        let requests = requests.child("requests");
        match held {
            Some(held) if is > held => {}
            Some(_) => found.forbidden(requests.child(STORAGE), "field can not be less than status.capacity"),
            None => found.forbidden(requests.child(STORAGE), "field can not be less than previous value"),
        }
    }
    unchanged(&new["spec"], &old["spec"], "volumeMode", at, found);
}

fn unchanged(is: &Value, was: &Value, field: &str, at: Path<'_>, found: &mut Findings) {
    if is[field] != was[field] {
        found.invalid(at.child(field), &is[field], "field is immutable");
    }
}

fn access_modes(spec: &Value, at: Path<'_>, found: &mut Findings) {
    let modes = list(spec, "accessModes");
    for mode in modes {
        found.one_of(at, mode, &ACCESS_MODES);
    }
    let alone = |mode: &&Value| **mode == "ReadWriteOncePod";
    let others = modes.iter().any(|mode| !alone(&mode) && mode.as_str().is_some_and(|m| ACCESS_MODES.contains(&m)));
    if others && modes.iter().any(|mode| alone(&mode)) {
        found.forbidden(at, "may not use ReadWriteOncePod with other access modes");
    }
}

fn positive(amount: &str, at: Path<'_>, found: &mut Findings) {
    if Quantity::parse(amount).is_ok_and(|amount| amount <= Quantity::ZERO) {
        found.invalid_text(at, amount, "must be greater than zero");
    }
}

fn class_name(spec: &Value, at: Path<'_>, found: &mut Findings) {
    let class = text(spec, "storageClassName");
    if !class.is_empty() {
        found.complain(at.child("storageClassName"), class, format::subdomain(class));
    }
}

fn attributes_class(spec: &Value, at: Path<'_>, found: &mut Findings) {
    let at = at.child("volumeAttributesClassName");
    match spec["volumeAttributesClassName"].as_str() {
        None => {}
        Some("") => found.required(at, "an empty string is disallowed"),
        Some(class) => found.complain(at, class, format::subdomain(class)),
    }
}

pub fn class(class: &Value, found: &mut Findings) {
    match text(class, "provisioner") {
        "" => found.required(Path::Root.child("provisioner"), ""),
        name => {
            found.complain(Path::Root.child("provisioner"), name, format::qualified_name(&name.to_lowercase()));
        }
    }
    let parameters = Path::Root.child("parameters");
    let bytes: usize = entries(&class["parameters"]).map(|(key, value)| key.len() + value.len()).sum();
    if entries(&class["parameters"]).count() > MOST_PARAMETERS {
        found.too_long(parameters, MOST_PARAMETERS);
    } else {
        for _ in entries(&class["parameters"]).filter(|(key, _)| key.is_empty()) {
            found.invalid_shown(parameters, &quoted(""), "field can not be empty.");
        }
        if bytes > PARAMETER_BYTES {
            found.too_long(parameters, PARAMETER_BYTES);
        }
    }
    found.one_of(Path::Root.child("reclaimPolicy"), &class["reclaimPolicy"], &["Delete", "Retain"]);
    let modes = ["Immediate", "WaitForFirstConsumer"];
    found.one_of(Path::Root.child("volumeBindingMode"), &class["volumeBindingMode"], &modes);
    for (index, term) in list(class, "allowedTopologies").iter().enumerate() {
        let at = Path::Root.child("allowedTopologies");
        let at = at.index(index);
        for (index, requirement) in list(term, "matchLabelExpressions").iter().enumerate() {
            let at = at.child("matchLabelExpressions");
            let at = at.index(index);
            let key = text(requirement, "key");
            if list(requirement, "values").is_empty() {
                found.required(at.child("values"), "");
            }
            found.complain(at.child("key"), key, format::qualified_name(key));
        }
    }
}

pub fn immutable_class(new: &Value, old: &Value, found: &mut Findings) {
    for field in ["parameters", "provisioner", "reclaimPolicy"] {
        if new[field] != old[field] {
            found.forbidden(Path::Root.child(field), format_args!("updates to {field} are forbidden."));
        }
    }
    if new["volumeBindingMode"] != old["volumeBindingMode"] {
        let at = Path::Root.child("volumeBindingMode");
        found.invalid(at, &new["volumeBindingMode"], "field is immutable");
    }
}
