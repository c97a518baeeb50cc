//! Security contexts of pods and containers.

use serde_json::Value;

use super::field::{Findings, Path, list, shown, text};

const ID: &str = "must be between 0 and 2147483647, inclusive";
const PROFILES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];
/// The members of a container's context in the order in which Kubernetes shows them.
const MEMBERS: [(&str, &str); 12] = [
    ("Capabilities", "capabilities"),
    ("Privileged", "privileged"),
    ("SELinuxOptions", "seLinuxOptions"),
    ("WindowsOptions", "windowsOptions"),
    ("RunAsUser", "runAsUser"),
    ("RunAsGroup", "runAsGroup"),
    ("RunAsNonRoot", "runAsNonRoot"),
    ("ReadOnlyRootFilesystem", "readOnlyRootFilesystem"),
    ("AllowPrivilegeEscalation", "allowPrivilegeEscalation"),
    ("ProcMount", "procMount"),
    ("SeccompProfile", "seccompProfile"),
    ("AppArmorProfile", "appArmorProfile"),
];

pub fn of_container(context: &Value, host_users: bool, at: Path<'_>, found: &mut Findings) {
    for field in ["runAsUser", "runAsGroup"] {
        id(&context[field], at.child(field), found);
    }
    if let Some(mount) = context["procMount"].as_str() {
        found.one_of(at.child("procMount"), &context["procMount"], &["Default", "Unmasked"]);
        if mount == "Unmasked" && host_users {
            let why = "`hostUsers` must be false to use `Unmasked`";
            found.invalid(at.child("procMount"), &context["procMount"], why);
        }
    }
    profile(&context["seccompProfile"], "seccomp", at.child("seccompProfile"), found);
    if context["allowPrivilegeEscalation"] == false {
        let members: Vec<String> =
            MEMBERS.iter().map(|(name, field)| format!("\"{name}\":{}", shown(&context[*field]))).collect();
        let members = format!("{{{}}}", members.join(","));
        if context["privileged"] == true {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            found.invalid_shown(at, &members, why);
        }
        if list(&context["capabilities"], "add").iter().any(|capability| capability == "CAP_SYS_ADMIN") {
            let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            found.invalid_shown(at, &members, why);
        }
    }
    profile(&context["appArmorProfile"], "AppArmor", at.child("appArmorProfile"), found);
}

pub fn of_pod(spec: &Value, at: Path<'_>, found: &mut Findings) {
    let context = &spec["securityContext"];
    let here = at.child("securityContext");
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        id(&context[field], here.child(field), found);
    }
    for (index, group) in list(context, "supplementalGroups").iter().enumerate() {
        id(group, here.child("supplementalGroups").index(index), found);
    }
    found.one_of(here.child("fsGroupChangePolicy"), &context["fsGroupChangePolicy"], &["OnRootMismatch", "Always"]);
    found.one_of(here.child("supplementalGroupsPolicy"), &context["supplementalGroupsPolicy"], &["Merge", "Strict"]);
    profile(&context["seccompProfile"], "seccomp", here.child("seccompProfile"), found);
    profile(&context["appArmorProfile"], "AppArmor", here.child("appArmorProfile"), found);
    if text(&spec["os"], "name") == "windows" {
        let unix = [
            "appArmorProfile",
            "seLinuxOptions",
            "seccompProfile",
            "fsGroup",
            "fsGroupChangePolicy",
            "sysctls",
            "runAsUser",
            "runAsGroup",
            "supplementalGroups",
        ];
        for field in unix.into_iter().filter(|field| !context[*field].is_null()) {
            found.forbidden(here.child(field), "cannot be set for a windows pod");
        }
    }
}

fn id(value: &Value, at: Path<'_>, found: &mut Findings) {
    if value.as_i64().is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id)) {
        found.invalid(at, value, ID);
    }
}

/// A seccomp or AppArmor profile: one of the node's own is named.
fn profile(profile: &Value, what: &str, at: Path<'_>, found: &mut Findings) {
    if !profile.is_object() {
        return;
    }
    found.one_of(at.child("type"), &profile["type"], PROFILES);
    match (text(profile, "type"), profile["localhostProfile"].as_str()) {
        ("", _) => found.required(at.child("type"), &format!("type is required when {what}Profile is set")),
        ("Localhost", None | Some("")) => {
            found.required(at.child("localhostProfile"), &format!("must be set when {what} type is Localhost "));
        }
        ("Localhost", _) | (_, None) => {}
        (_, Some(_)) => {
            let why = format!("can only be set when {what} type is Localhost");
            found.invalid(at.child("localhostProfile"), &profile["localhostProfile"], why);
        }
    }
}
