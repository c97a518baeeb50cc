//! ConfigMaps and Secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::field::{Findings, Path, entries, text};
use super::format;

/// All values of a ConfigMap or Secret together.
const MOST_BYTES: usize = 1024 * 1024;
const REDACTED: &str = "\"<secret contents redacted>\"";
const ACCOUNT_ANNOTATION: &str = "kubernetes.io/service-account.name";

pub fn config_map(map: &Value, found: &mut Findings) {
    let mut bytes = 0;
    for (key, value) in entries(&map["data"]) {
        let at = Path::Root.child("data");
        found.complain(at.key(key), key, format::data_key(key));
        if map["binaryData"].get(key).is_some() {
            found.invalid_text(at.key(key), key, "duplicate of key present in binaryData");
        }
        bytes += value.len();
    }
    for (key, value) in entries(&map["binaryData"]) {
        found.complain(Path::Root.child("binaryData").key(key), key, format::data_key(key));
        bytes += value.len() / 4 * 3;
    }
    if bytes > MOST_BYTES {
        found.too_long(Path::Root, MOST_BYTES);
    }
}

pub fn secret(secret: &Value, found: &mut Findings) {
    let data = &secret["data"];
    let at = Path::Root.child("data");
    let mut bytes = 0;
    for (key, value) in entries(data) {
        found.complain(at.key(key), key, format::data_key(key));
        bytes += value.len() / 4 * 3;
    }
    if bytes > MOST_BYTES {
        found.too_long(at, MOST_BYTES);
    }
    let require = |keys: &[&str], found: &mut Findings| {
        for key in keys.iter().filter(|key| data.get(**key).is_none()) {
            found.required(at.key(key), "");
        }
    };
    match text(secret, "type") {
        "kubernetes.io/tls" => require(&["tls.crt", "tls.key"], found),
        "kubernetes.io/ssh-auth" => require(&["ssh-privatekey"], found),
        "kubernetes.io/basic-auth" => {
            let keys = ["username", "password"];
            if keys.iter().all(|key| data.get(*key).is_none()) {
                require(&keys, found);
            }
        }
        "kubernetes.io/dockercfg" => docker_config(data, ".dockercfg", found),
        "kubernetes.io/dockerconfigjson" => docker_config(data, ".dockerconfigjson", found),
        "kubernetes.io/service-account-token" => {
            let metadata = Path::Root.child("metadata");
            if text(&secret["metadata"]["annotations"], ACCOUNT_ANNOTATION).is_empty() {
                found.required(metadata.child("annotations").key(ACCOUNT_ANNOTATION), "");
            }
        }
        _ => {}
    }
}

fn docker_config(data: &Value, key: &str, found: &mut Findings) {
    let at = Path::Root.child("data");
    let Some(encoded) = data[key].as_str() else {
        found.required(at.key(key), "");
        return;
    };
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    if serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes).is_ok() {
        return;
    }
    let why = match String::from_utf8_lossy(&bytes).trim_start().chars().next() {
        None => "unexpected end of JSON input".to_owned(),
        Some(c) if "{[\"-0123456789tfn".contains(c) => "the contents are not a JSON object".to_owned(),
        Some(c) => format!("invalid character '{c}' looking for beginning of value"),
    };
    found.invalid_shown(at.key(key), REDACTED, why);
}

/// Once `immutable` is set, neither it nor the data changes.
pub fn immutable(new: &Value, old: &Value, fields: &[&str], found: &mut Findings) {
    const WHY: &str = "field is immutable when `immutable` is set";
    if old["immutable"] != true {
        return;
    }
    if new["immutable"] != true {
        found.forbidden(Path::Root.child("immutable"), WHY);
    }
    for field in fields {
        if new[*field] != old[*field] {
            found.forbidden(Path::Root.child(field), WHY);
        }
    }
}

pub fn immutable_secret(new: &Value, old: &Value, found: &mut Findings) {
    if new["type"] != old["type"] {
        found.invalid(Path::Root.child("type"), &new["type"], "field is immutable");
    }
    immutable(new, old, &["data"], found);
}
