//! Which objects an Application owns: the inventory in its status, confirmed by the tracking annotation on the
//! object itself. Only what both say is ever pruned. Pure.

use serde_json::Value;

use crate::object::application::{ApplicationStatus, ResourceStatus};
use crate::object::custom::Kinds;
use crate::object::{ObjectKey, SYSTEM_NAMESPACE};

/// Argo CD's annotation for ownership.
pub const TRACKING_ANNOTATION: &str = "argocd.argoproj.io/tracking-id";
const OPTIONS_ANNOTATION: &str = "argocd.argoproj.io/sync-options";
const COMPARE_ANNOTATION: &str = "argocd.argoproj.io/compare-options";
const HEALTH_ANNOTATION: &str = "argocd.argoproj.io/ignore-healthcheck";
const WAVE_ANNOTATION: &str = "argocd.argoproj.io/sync-wave";

/// What an Application's objects are tracked by: its name, with the namespace before it outside of windlass's own.
pub fn name_of(application: &ObjectKey) -> String {
    match application.namespace.as_str() {
        SYSTEM_NAMESPACE => application.name.clone(),
        namespace => format!("{namespace}_{}", application.name),
    }
}

/// `<application>:<group>/<Kind>:<namespace>/<name>`
pub fn id(application: &str, key: &ObjectKey) -> String {
    format!("{application}:{}/{}:{}/{}", key.kind.group, key.kind.kind, key.namespace, key.name)
}

/// Whether the live object says of itself that it is this Application's `key`.
pub fn is_tracked(application: &str, key: &ObjectKey, live: &Value) -> bool {
    live["metadata"]["annotations"][TRACKING_ANNOTATION].as_str() == Some(&id(application, key))
}

/// The Application that the live object says of itself to be of.
pub fn owner(key: &ObjectKey, live: &Value) -> Option<String> {
    let id = live["metadata"]["annotations"][TRACKING_ANNOTATION].as_str()?;
    id.strip_suffix(&self::id("", key)).map(str::to_owned)
}

/// Whether the live object asks to be left when git no longer has it.
pub fn prune_disabled(live: &Value) -> bool {
    has(live, OPTIONS_ANNOTATION, "Prune=false")
}

/// Whether the live object asks that somebody approves its end when git no longer has it.
pub fn prune_needs_approval(live: &Value) -> bool {
    has(live, OPTIONS_ANNOTATION, "Prune=confirm")
}

/// Whether the live object asks to be deleted after everything else of the sync that no longer has it.
pub fn prune_last(live: &Value) -> bool {
    has(live, OPTIONS_ANNOTATION, "PruneLast=true")
}

/// Whether the live object asks to outlive its Application.
pub fn delete_disabled(live: &Value) -> bool {
    has(live, OPTIONS_ANNOTATION, "Delete=false")
}

/// Whether the live object asks not to make its Application differ from git by being there.
pub fn ignores_extraneous(live: &Value) -> bool {
    has(live, COMPARE_ANNOTATION, "IgnoreExtraneous")
}

/// Whether the live object asks not to count in its Application's health.
pub fn health_ignored(live: &Value) -> bool {
    live["metadata"]["annotations"][HEALTH_ANNOTATION] == "true"
}

/// The wave in which the object is synced.
pub fn sync_wave(object: &Value) -> i64 {
    let wave = object["metadata"]["annotations"][WAVE_ANNOTATION].as_str();
    wave.and_then(|wave| wave.trim().parse().ok()).unwrap_or_default()
}

/// Whether a manifest says anything of sync options.
pub fn has_options(object: &Value) -> bool {
    object["metadata"]["annotations"].get(OPTIONS_ANNOTATION).is_some()
}

/// What a manifest says of a sync option that is on or off, in place of its Application.
pub fn option(object: &Value, name: &str) -> Option<bool> {
    let options = object["metadata"]["annotations"][OPTIONS_ANNOTATION].as_str()?;
    let given = options.split(',').filter_map(|option| option.trim().split_once('='));
    given.rev().find(|(option, _)| *option == name).map(|(_, value)| value == "true")
}

fn has(object: &Value, annotation: &str, option: &str) -> bool {
    let options = object["metadata"]["annotations"][annotation].as_str().unwrap_or_default();
    options.split(',').any(|given| given.trim() == option)
}

/// The objects of the last successful sync. Kinds that the cluster does not know are left alone.
pub fn inventory(kinds: &Kinds, status: &ApplicationStatus) -> Vec<ObjectKey> {
    status.resources.iter().filter_map(|resource| key_of(kinds, resource)).collect()
}

/// A version that is no longer served names the same object.
pub fn key_of(kinds: &Kinds, resource: &ResourceStatus) -> Option<ObjectKey> {
    let ResourceStatus { group, version, kind, namespace, name, .. } = resource;
    let api_version = if group.is_empty() { version.clone() } else { format!("{group}/{version}") };
    let stored = || kinds.stored().find(|row| row.group == group && row.kind == kind);
    let kind = kinds.by_manifest(&api_version, kind).or_else(stored)?;
    Some(ObjectKey::new(kind, namespace.as_str(), name.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::kinds;

    #[test]
    fn an_object_is_owned_when_it_names_application_and_itself() {
        let key = ObjectKey::new(kinds::DEPLOYMENT, "prod", "web");
        let with = |id: &str| json!({"metadata": {"annotations": {TRACKING_ANNOTATION: id}}});
        assert!(is_tracked("shop", &key, &with("shop:apps/Deployment:prod/web")));
        // A copy of the object under another name carries the original's id: it is not ours to prune.
        assert!(!is_tracked("shop", &key, &with("shop:apps/Deployment:prod/api")));
        assert!(!is_tracked("shop", &key, &with("other:apps/Deployment:prod/web")));
        assert!(!is_tracked("shop", &key, &json!({"metadata": {}})));
        assert_eq!(id("shop", &ObjectKey::new(kinds::NAMESPACE, "", "x")), "shop:/Namespace:/x");
    }
}
