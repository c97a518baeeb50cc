//! Judges CustomResourceDefinitions, in the words of Kubernetes: names and versions (`names`), what each version adds
//! (`versions`), and whether its schema is structural (`schema`, `structural`).

mod names;
mod schema;
mod structural;
mod versions;

use serde_json::Value;

use super::field::{Findings, Path, list, text};

/// What is wrong with a definition.
pub fn check(crd: &Value, found: &mut Findings) {
    let spec = Path::Root.child("spec");
    names::group_and_scope(crd, found);
    versions::check(&crd["spec"], spec, found);
    names::check(&crd["spec"]["names"], spec.child("names"), found);
    conversion(&crd["spec"]["conversion"], spec.child("conversion"), found);
    versions::stored(crd, found);
    names::approval(crd, found);
    if crd["spec"]["preserveUnknownFields"] == true {
        let why =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        found.invalid(spec.child("preserveUnknownFields"), &Value::Bool(true), why);
    }
}

/// What an update of a definition must not change.
pub fn immutable(new: &Value, old: &Value, found: &mut Findings) {
    let spec = Path::Root.child("spec");
    let names = spec.child("names");
    let conditions = list(&old["status"], "conditions").iter();
    let established = conditions.into_iter().any(|c| c["type"] == "Established" && c["status"] == "True");
    let mut fixed = |path: Path<'_>, new: &Value, old: &Value| {
        if new != old {
            found.invalid(path, new, "field is immutable");
        }
    };
    let (old, new) = (&old["spec"], &new["spec"]);
    if established {
        fixed(spec.child("scope"), &new["scope"], &old["scope"]);
        fixed(names.child("kind"), &new["names"]["kind"], &old["names"]["kind"]);
    }
    fixed(spec.child("group"), &new["group"], &old["group"]);
    fixed(names.child("plural"), &new["names"]["plural"], &old["names"]["plural"]);
}

/// Objects are never converted by others: all versions have the same fields.
fn conversion(conversion: &Value, at: Path<'_>, found: &mut Findings) {
    match text(conversion, "strategy") {
        "None" => {
            if !conversion["webhook"].is_null() {
                found.forbidden(at.child("webhook"), "should not be set when strategy is not set to Webhook");
            }
        }
        "" => found.required(at.child("strategy"), ""),
        "Webhook" => {
            let why = "webhook conversion is not supported: serve versions that differ in nothing but their name, with \
                       strategy None";
            found.invalid_text(at.child("strategy"), "Webhook", why);
        }
        other => found.unsupported_shown(at.child("strategy"), &format!("{other:?}"), &["None", "Webhook"]),
    }
}
