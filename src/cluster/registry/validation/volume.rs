//! Volumes of a pod.

use std::collections::BTreeMap;

use serde_json::Value;

use super::environment::{self, FILE_FIELDS};
use super::field::{Findings, Path, list, text};
use super::format;
use crate::object::Quantity;

const HOST_PATH_TYPES: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
/// The shortest life of a token, in seconds.
const TOKEN_SECONDS: i64 = 600;

/// Checks the volumes and gives their names, each with whether it is a claim.
pub fn check<'a>(spec: &'a Value, at: Path<'_>, found: &mut Findings) -> BTreeMap<&'a str, bool> {
    let mut volumes = BTreeMap::new();
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        let at = at.index(index);
        source(volume, at, found);
        let name = text(volume, "name");
        if name.is_empty() {
            found.required(at.child("name"), "");
            continue;
        }
        found.complain(at.child("name"), name, format::label(name));
        let claim = volume["persistentVolumeClaim"].is_object() || volume["ephemeral"].is_object();
        if volumes.insert(name, claim).is_some() {
            found.duplicate(at.child("name"), &volume["name"]);
        }
    }
    volumes
}

fn source(volume: &Value, at: Path<'_>, found: &mut Findings) {
    let mut sources =
        volume.as_object().into_iter().flatten().filter(|(name, source)| *name != "name" && source.is_object());
    if let Some((name, given)) = sources.next() {
        one(name, given, at.child(name), found);
    }
    for (name, _) in sources {
        found.forbidden(at.child(name), "may not specify more than 1 volume type");
    }
}

pub fn one(name: &str, given: &Value, at: Path<'_>, found: &mut Findings) {
    let mut require = |field: &str| {
        if text(given, field).is_empty() {
            found.required(at.child(field), "");
        }
    };
    match name {
        "secret" => {
            require("secretName");
            files(given, at, found);
        }
        "configMap" => {
            require("name");
            files(given, at, found);
        }
        "persistentVolumeClaim" => require("claimName"),
        "csi" => require("driver"),
        "nfs" => ["server", "path"].into_iter().for_each(require),
        "iscsi" => ["targetPortal", "iqn"].into_iter().for_each(require),
        "emptyDir" => {
            let limit = given["sizeLimit"].as_str().and_then(|limit| Quantity::parse(limit).ok());
            if limit.is_some_and(|limit| limit < Quantity::ZERO) {
                found.forbidden(at.child("sizeLimit"), "SizeLimit field must be a valid resource quantity");
            }
        }
        "hostPath" => {
            require("path");
            let path = text(given, "path");
            found.complain(at.child("path"), path, format::no_steps_back(path));
            found.one_of(at.child("type"), &given["type"], HOST_PATH_TYPES);
        }
        "downwardAPI" => {
            mode(&given["defaultMode"], at.child("defaultMode"), found);
            for file in list(given, "items") {
                downward_file(file, at, found);
            }
        }
        "projected" => {
            mode(&given["defaultMode"], at.child("defaultMode"), found);
            projected(given, at, found);
        }
        "ephemeral" if given["volumeClaimTemplate"].is_null() => {
            found.required(at.child("volumeClaimTemplate"), "");
        }
        _ => {}
    }
}

fn files(source: &Value, at: Path<'_>, found: &mut Findings) {
    mode(&source["defaultMode"], at.child("defaultMode"), found);
    items(source, at.child("items"), found);
}

/// Keys and the files that they become.
fn items(source: &Value, at: Path<'_>, found: &mut Findings) {
    for (index, item) in list(source, "items").iter().enumerate() {
        let at = at.index(index);
        if text(item, "key").is_empty() {
            found.required(at.child("key"), "");
        }
        local_path(text(item, "path"), at.child("path"), found);
        mode(&item["mode"], at.child("mode"), found);
    }
}

fn local_path(path: &str, at: Path<'_>, found: &mut Findings) {
    if path.is_empty() {
        found.required(at, "");
        return;
    }
    found.complain(at, path, format::descending_path(path));
    if path.starts_with("..") && !path.split('/').any(|part| part == "..") {
        found.invalid_text(at, path, "must not start with '..'");
    }
}

fn mode(value: &Value, at: Path<'_>, found: &mut Findings) {
    if value.as_i64().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        found.invalid(at, value, format::FILE_MODE);
    }
}

fn downward_file(file: &Value, at: Path<'_>, found: &mut Findings) {
    local_path(text(file, "path"), at.child("path"), found);
    if file["fieldRef"].is_object() {
        environment::field(&file["fieldRef"], FILE_FIELDS, at.child("fieldRef"), found);
        if file["resourceFieldRef"].is_object() {
            found.invalid_text(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
        }
    } else if file["resourceFieldRef"].is_object() {
        let reference = &file["resourceFieldRef"];
        if text(reference, "containerName").is_empty() {
            found.required(at.child("resourceFieldRef").child("containerName"), "");
        }
        environment::resource(reference, at.child("resourceFieldRef"), found);
    } else {
        found.required(at, "one of fieldRef and resourceFieldRef is required");
    }
    mode(&file["mode"], at.child("mode"), found);
}

fn projected(volume: &Value, at: Path<'_>, found: &mut Findings) {
    for (index, source) in list(volume, "sources").iter().enumerate() {
        let here = at.child("sources");
        let here = here.index(index);
        let given = |name: &str| source[name].is_object();
        let kinds = ["secret", "downwardAPI", "configMap", "serviceAccountToken", "clusterTrustBundle"];
        for extra in kinds.into_iter().filter(|name| given(name)).skip(1) {
            found.forbidden(here.child(extra), "may not specify more than 1 volume type");
        }
        for reference in ["secret", "configMap"] {
            if given(reference) {
                let at = here.child(reference);
                if text(&source[reference], "name").is_empty() {
                    found.required(at.child("name"), "");
                }
                items(&source[reference], at.child("items"), found);
            }
        }
        for file in list(&source["downwardAPI"], "items") {
            downward_file(file, here.child("downwardAPI"), found);
        }
        let token = &source["serviceAccountToken"];
        if token.is_object() {
            let seconds = &token["expirationSeconds"];
            let token_at = here.child("serviceAccountToken");
            if seconds.as_i64().is_some_and(|seconds| seconds < TOKEN_SECONDS) {
                let why = "may not specify a duration less than 10 minutes";
                found.invalid(token_at.child("expirationSeconds"), seconds, why);
            }
            if text(token, "path").is_empty() {
                found.required(at.child("path"), "");
            }
        }
    }
}
