//! Which objects an Application owns: the inventory in its status, confirmed by the tracking annotation on the
//! object itself. Only what both say is ever pruned. Pure.

use serde_json::Value;

use crate::object::application::{ApplicationStatus, ResourceStatus};
use crate::object::{ObjectKey, kinds};

/// Argo CD's annotation for ownership.
pub const TRACKING_ANNOTATION: &str = "argocd.argoproj.io/tracking-id";
const OPTIONS_ANNOTATION: &str = "argocd.argoproj.io/sync-options";

/// `<application>:<group>/<Kind>:<namespace>/<name>`
pub fn id(application: &str, key: &ObjectKey) -> String {
    format!("{application}:{}/{}:{}/{}", key.kind.group, key.kind.kind, key.namespace, key.name)
}

/// Whether the live object says of itself that it is this Application's `key`.
pub fn is_tracked(application: &str, key: &ObjectKey, live: &Value) -> bool {
    live["metadata"]["annotations"][TRACKING_ANNOTATION].as_str() == Some(&id(application, key))
}

/// Whether the live object asks to be left when git no longer has it.
pub fn prune_disabled(live: &Value) -> bool {
    let options = live["metadata"]["annotations"][OPTIONS_ANNOTATION].as_str().unwrap_or_default();
    options.split(',').any(|option| option.trim() == "Prune=false")
}

/// The objects of the last successful sync. Kinds that this program does not know are left alone.
pub fn inventory(status: &ApplicationStatus) -> Vec<ObjectKey> {
    status.resources.iter().filter_map(key_of).collect()
}

pub fn key_of(resource: &ResourceStatus) -> Option<ObjectKey> {
    let ResourceStatus { group, version, kind, namespace, name, .. } = resource;
    let api_version = if group.is_empty() { version.clone() } else { format!("{group}/{version}") };
    let kind = kinds::by_manifest(&api_version, kind)?;
    Some(ObjectKey::new(kind, namespace.as_str(), name.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
