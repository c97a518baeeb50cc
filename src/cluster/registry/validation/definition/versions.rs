//! The versions of a definition: exactly one is stored, and what each adds makes sense.
//!
//! What all versions have in common is reported once, under `spec`, and what only one has under that version.

use serde_json::{Value, json};

use super::super::field::{Findings, Path, list, text};
use super::super::format;
use super::{schema, structural};
use crate::object::custom::{JsonPath, Schema};

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
const MOST_SELECTABLE: usize = 8;

pub fn check(spec: &Value, at: Path<'_>, found: &mut Findings) {
    let versions = list(spec, "versions");
    let path = at.child("versions");
    let shared = |field: &str| versions.iter().all(|version| version[field] == versions[0][field]);
    for (index, version) in versions.iter().enumerate() {
        let here = path.index(index);
        if version["schema"]["openAPIV3Schema"].is_null() {
            let schema = here.child("schema");
            found.required(schema.child("openAPIV3Schema"), "");
        }
    }
    for (index, version) in versions.iter().enumerate() {
        let here = path.index(index);
        let name = text(version, "name");
        let complaints = format::label_1035(name);
        if !complaints.is_empty() {
            found.invalid_text(here.child("name"), name, complaints.join(","));
        }
        if !version["deprecationWarning"].is_null() && version["deprecated"] != true {
            let warning = text(version, "deprecationWarning");
            found.invalid_text(here.child("deprecationWarning"), warning, "can only be set for deprecated versions");
        }
    }
    for (index, version) in versions.iter().enumerate() {
        let here = path.index(index);
        let place = |field: &str| if shared(field) { at } else { here };
        let first = |field: &str| index == 0 || !shared(field);
        if first("schema") && version["schema"]["openAPIV3Schema"].is_object() {
            let parent = place("schema");
            let parent = parent.child(if shared("schema") { "validation" } else { "schema" });
            let root = parent.child("openAPIV3Schema");
            let read = Schema::read(&version["schema"]["openAPIV3Schema"]);
            structural::check(&version["schema"]["openAPIV3Schema"], root, found);
            schema::check(&version["schema"]["openAPIV3Schema"], &read, root, found);
        }
        if first("subresources") {
            let parent = place("subresources");
            scale(&version["subresources"]["scale"], parent.child("subresources"), found);
        }
        if first("additionalPrinterColumns") {
            let parent = place("additionalPrinterColumns");
            columns(list(version, "additionalPrinterColumns"), parent.child("additionalPrinterColumns"), found);
        }
        if first("selectableFields") {
            let parent = place("selectableFields");
            selectable(version, parent.child("selectableFields"), found);
        }
    }
    let mut names: Vec<&str> = versions.iter().map(|version| text(version, "name")).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        found.invalid_shown(path, &shown(versions), "must contain unique version names");
    }
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        found.invalid_shown(path, &shown(versions), "must have exactly one version marked as storage version");
    }
}

/// The versions as Kubernetes's own types print, in which what the versions share is kept elsewhere.
fn shown(versions: &[Value]) -> String {
    let flag = |version: &Value, name: &str| version[name] == true;
    let one = |version: &Value| {
        format!(
            "{{\"Name\":{},\"Served\":{},\"Storage\":{},\"Deprecated\":{},\"DeprecationWarning\":{},\"Schema\":null,\
             \"Subresources\":null,\"AdditionalPrinterColumns\":null,\"SelectableFields\":null}}",
            version["name"],
            flag(version, "served"),
            flag(version, "storage"),
            flag(version, "deprecated"),
            version["deprecationWarning"]
        )
    };
    format!("[{}]", versions.iter().map(one).collect::<Vec<_>>().join(","))
}

/// Every version in which objects may be stored is still one of the definition's.
pub fn stored(crd: &Value, found: &mut Findings) {
    let status = Path::Root.child("status");
    let path = status.child("storedVersions");
    let stored = list(&crd["status"], "storedVersions");
    if stored.is_empty() {
        return found.invalid(path, &Value::Null, "must have at least one stored version");
    }
    let versions = list(&crd["spec"], "versions");
    for version in versions.iter().filter(|version| version["storage"] == true && !stored.contains(&version["name"])) {
        let why = format!("must have the storage version {}", text(version, "name"));
        found.invalid(path, &json!(stored), why);
    }
    for (index, name) in stored.iter().enumerate() {
        if !versions.iter().any(|version| version["name"] == *name) {
            let name = name.as_str().unwrap_or_default();
            let why = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions \
                 until a storage migration ensures no data remains persisted in {name} and removes {name} from \
                 status.storedVersions"
            );
            found.invalid_text(path.index(index), name, why);
        }
    }
}

fn scale(scale: &Value, at: Path<'_>, found: &mut Findings) {
    if !scale.is_object() {
        return;
    }
    let at = at.child("scale");
    for (field, below, required) in [
        ("specReplicasPath", &[".spec."][..], true),
        ("statusReplicasPath", &[".status."][..], true),
        ("labelSelectorPath", &[".spec.", ".status."][..], false),
    ] {
        let path = text(scale, field);
        if path.is_empty() {
            if required {
                found.required(at.child(field), "");
            }
        } else if simple_path(path, at.child(field), found) && !below.iter().any(|prefix| path.starts_with(prefix)) {
            let why = match below {
                [one] => format!("should be a json path under {}", one.trim_end_matches('.')),
                _ => "should be a json path under either .spec or .status".to_owned(),
            };
            found.invalid_text(at.child(field), path, why);
        }
    }
}

/// Whether the path is one as far as it can be told by its looks.
fn simple_path(path: &str, at: Path<'_>, found: &mut Findings) -> bool {
    if !path.starts_with('.') {
        found.invalid_text(at, path, "must be a simple json path starting with .");
        return false;
    }
    match JsonPath::parse(path) {
        Ok(_) => true,
        Err(error) => {
            found.invalid_text(at, path, error);
            false
        }
    }
}

fn columns(columns: &[Value], at: Path<'_>, found: &mut Findings) {
    for (index, column) in columns.iter().enumerate() {
        let here = at.index(index);
        if text(column, "name").is_empty() {
            found.required(here.child("name"), "");
        }
        let types = || format!("must be one of {}", COLUMN_TYPES.join(","));
        match text(column, "type") {
            "" => found.required(here.child("type"), &types()),
            known if COLUMN_TYPES.contains(&known) => {}
            other => found.invalid_text(here.child("type"), other, types()),
        }
        let format = text(column, "format");
        if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
            let why = format!("must be one of {}", COLUMN_FORMATS.join(","));
            found.invalid_text(here.child("format"), format, why);
        }
        match text(column, "jsonPath") {
            "" => found.required(here.child("JSONPath"), ""),
            path => drop(simple_path(path, here.child("JSONPath"), found)),
        }
    }
}

fn selectable(version: &Value, at: Path<'_>, found: &mut Findings) {
    let fields = list(version, "selectableFields");
    if fields.len() > MOST_SELECTABLE {
        found.too_many(at, fields.len(), MOST_SELECTABLE);
    }
    let mut seen: Vec<&str> = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let here = at.index(index);
        let here = here.child("jsonPath");
        let path = text(field, "jsonPath");
        if path.is_empty() {
            found.required(here, "");
            continue;
        }
        if seen.contains(&path) {
            found.duplicate_shown(here, &format!("{path:?}"));
        }
        seen.push(path);
        let parsed = JsonPath::parse(path).ok();
        let Some(names) = parsed.as_ref().and_then(JsonPath::fields).filter(|_| path.starts_with('.')) else {
            found.invalid_text(here, path, "is an invalid path: must be a simple json path of fields starting with .");
            continue;
        };
        if names.first() == Some(&"metadata") {
            found.invalid_text(here, path, "must not point to fields in metadata");
            continue;
        }
        let mut node = &version["schema"]["openAPIV3Schema"];
        for name in &names {
            node = &node["properties"][*name];
        }
        if node.is_null() {
            let why = "is an invalid path: does not refer to a valid field";
            found.invalid_text(here, path, why);
        } else if !matches!(text(node, "type"), "string" | "boolean" | "integer") {
            let why = "must point to a field of type string, boolean or integer. Enum string fields and strings with \
                       formats are allowed.";
            found.invalid_text(here, path, why);
        }
    }
}
