//! Rows of PersistentVolumes, PersistentVolumeClaims and StorageClasses.

use serde_json::{Value, json};

use super::{list, text};

const UNSET: &str = "<unset>";
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const DEFAULT_CLASS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
/// The short names of access modes, in the order in which they are shown.
const ACCESS_MODES: [(&str, &str); 4] =
    [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];

pub fn volume(volume: &Value, age: Value) -> Vec<Value> {
    let spec = &volume["spec"];
    let claim = &spec["claimRef"];
    let claim = match claim.is_object() {
        true => format!("{}/{}", of(claim, "namespace"), of(claim, "name")),
        false => String::new(),
    };
    vec![
        volume["metadata"]["name"].clone(),
        text(&spec["capacity"]["storage"]),
        json!(access_modes(&spec["accessModes"])),
        text(&spec["persistentVolumeReclaimPolicy"]),
        json!(phase(volume)),
        json!(claim),
        json!(class_name(volume)),
        text_or_unset(&spec["volumeAttributesClassName"]),
        text(&volume["status"]["reason"]),
        age,
        text_or_unset(&spec["volumeMode"]),
    ]
}

pub fn claim(claim: &Value, age: Value) -> Vec<Value> {
    let (spec, status) = (&claim["spec"], &claim["status"]);
    // What was asked for tells nothing of what there is: it shows once there is a volume.
    let bound = !of(spec, "volumeName").is_empty();
    vec![
        claim["metadata"]["name"].clone(),
        json!(phase(claim)),
        text(&spec["volumeName"]),
        if bound { text(&status["capacity"]["storage"]) } else { json!("") },
        json!(if bound { access_modes(&status["accessModes"]) } else { String::new() }),
        json!(class_name(claim)),
        text_or_unset(&spec["volumeAttributesClassName"]),
        age,
        text_or_unset(&spec["volumeMode"]),
    ]
}

pub fn class(class: &Value, age: Value) -> Vec<Value> {
    let mut name = of(&class["metadata"], "name").to_owned();
    if DEFAULT_CLASS.iter().any(|annotation| class["metadata"]["annotations"][*annotation] == "true") {
        name.push_str(" (default)");
    }
    vec![
        json!(name),
        text(&class["provisioner"]),
        json!(class["reclaimPolicy"].as_str().unwrap_or("Delete")),
        text_or_unset(&class["volumeBindingMode"]),
        json!(class["allowVolumeExpansion"] == true),
        age,
    ]
}

fn of<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

fn phase(object: &Value) -> &str {
    if object["metadata"]["deletionTimestamp"].is_null() { of(&object["status"], "phase") } else { "Terminating" }
}

fn class_name(object: &Value) -> &str {
    let old_way = of(&object["metadata"]["annotations"], OLD_CLASS);
    if old_way.is_empty() { of(&object["spec"], "storageClassName") } else { old_way }
}

fn access_modes(modes: &Value) -> String {
    let given = |mode: &str| list(modes).iter().any(|one| one == mode);
    let shown: Vec<&str> = ACCESS_MODES.iter().filter(|(mode, _)| given(mode)).map(|(_, short)| *short).collect();
    shown.join(",")
}

fn text_or_unset(value: &Value) -> Value {
    json!(value.as_str().unwrap_or(UNSET))
}
