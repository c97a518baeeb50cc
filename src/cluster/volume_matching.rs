//! Which volume suits a claim. Pure. (Kubernetes documentation, "Persistent Volumes", Binding.)

use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume, PersistentVolumeClaim};

use crate::object::quantity::Quantity;
use crate::object::selector::Selector;

/// The best volume: one that was promised to the claim, else the smallest of those that suit.
pub fn best<'a, T: AsRef<PersistentVolume>>(
    claim: &PersistentVolumeClaim,
    volumes: impl Iterator<Item = &'a T>,
    promised_only: bool,
) -> Option<&'a T> {
    suiting(claim, volumes).into_iter().find(|volume| !promised_only || is_promised((*volume).as_ref()))
}

/// All volumes that suit, the best first.
pub fn suiting<'a, T: AsRef<PersistentVolume>>(
    claim: &PersistentVolumeClaim,
    volumes: impl Iterator<Item = &'a T>,
) -> Vec<&'a T> {
    let mut found: Vec<&T> = volumes.filter(|volume| suits(claim, (*volume).as_ref())).collect();
    found.sort_by_key(|volume| {
        let volume = (*volume).as_ref();
        (!is_promised(volume), capacity(volume), volume.metadata.name.clone())
    });
    found
}

fn is_promised(volume: &PersistentVolume) -> bool {
    volume.spec.as_ref().is_some_and(|spec| spec.claim_ref.is_some())
}

/// The volume is free, or promised to this claim, and is what the claim asks for.
pub fn suits(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> bool {
    let (Some(asked), Some(offer)) = (&claim.spec, &volume.spec) else { return false };
    let named = asked.volume_name.as_deref().filter(|name| !name.is_empty());
    if volume.metadata.deletion_timestamp.is_some()
        || named.is_some_and(|name| volume.metadata.name.as_deref() != Some(name))
    {
        return false;
    }
    if let Some(reference) = &offer.claim_ref {
        // Whoever promised it knows why.
        let large_enough = capacity(volume) >= request(claim);
        return is_of(reference, claim) && large_enough && mode(&asked.volume_mode) == mode(&offer.volume_mode);
    }
    let selected = asked.selector.as_ref().is_none_or(|selector| {
        let labels = volume.metadata.labels.clone().unwrap_or_default();
        Selector::of_workload(selector).is_ok_and(|selector| selector.matches(&labels))
    });
    misfit(claim, volume).is_none() && (selected || named.is_some())
}

/// Why a volume that is free is not what the claim asks for, in Kubernetes's words.
pub fn misfit(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<&'static str> {
    let (asked, offer) = (claim.spec.as_ref()?, volume.spec.as_ref()?);
    let modes = offer.access_modes.as_deref().unwrap_or_default();
    let class = |name: &Option<String>| name.clone().unwrap_or_default();
    if capacity(volume) < request(claim) {
        Some("requested PV is too small")
    } else if class(&asked.storage_class_name) != class(&offer.storage_class_name) {
        Some("storageClassName does not match")
    } else if mode(&asked.volume_mode) != mode(&offer.volume_mode) {
        Some("incompatible volumeMode")
    } else if asked.access_modes.iter().flatten().any(|mode| !modes.contains(mode)) {
        Some("incompatible accessMode")
    } else {
        None
    }
}

fn mode(given: &Option<String>) -> &str {
    given.as_deref().unwrap_or("Filesystem")
}

/// The reference means this claim. One without a uid was written by a user, for a claim that was yet to come.
pub fn is_of(reference: &ObjectReference, claim: &PersistentVolumeClaim) -> bool {
    let uid = reference.uid.as_deref().unwrap_or_default();
    reference.name == claim.metadata.name
        && reference.namespace == claim.metadata.namespace
        && (uid.is_empty() || Some(uid) == claim.metadata.uid.as_deref())
}

fn capacity(volume: &PersistentVolume) -> i64 {
    let amounts = volume.spec.as_ref().and_then(|spec| spec.capacity.as_ref());
    amounts.and_then(|amounts| units(&amounts.get("storage")?.0)).unwrap_or_default()
}

fn request(claim: &PersistentVolumeClaim) -> i64 {
    let amounts = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
    amounts.and_then(|amounts| units(&amounts.get("storage")?.0)).unwrap_or_default()
}

fn units(text: &str) -> Option<i64> {
    Quantity::parse(text).ok().map(Quantity::units)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn claim(spec: Value) -> PersistentVolumeClaim {
        let mut whole = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({"metadata": {"name": "c", "namespace": "n", "uid": "u"}, "spec": whole})).unwrap()
    }

    fn volume(name: &str, size: &str, spec: Value) -> Arc<PersistentVolume> {
        let mut whole = json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let meta = json!({"name": name, "labels": {"tier": name}});
        Arc::new(serde_json::from_value(json!({"metadata": meta, "spec": whole})).unwrap())
    }

    #[test]
    fn a_volume_suits_by_size_class_modes_selector_and_name() {
        let one = volume("v", "1Gi", json!({}));
        for (spec, suiting) in [
            (json!({}), true),
            (json!({"resources": {"requests": {"storage": "2Gi"}}}), false),
            (json!({"storageClassName": "fast"}), false),
            (json!({"storageClassName": ""}), true),
            (json!({"accessModes": ["ReadWriteMany"]}), false),
            (json!({"selector": {"matchLabels": {"tier": "v"}}}), true),
            (json!({"selector": {"matchLabels": {"tier": "w"}}}), false),
            (json!({"volumeName": "v"}), true),
            (json!({"volumeName": "w"}), false),
            (json!({"volumeMode": "Block"}), false),
            // Whoever names a volume does not mind its labels.
            (json!({"volumeName": "v", "selector": {"matchLabels": {"tier": "w"}}}), true),
        ] {
            assert_eq!(suits(&claim(spec.clone()), &one), suiting, "{spec}");
        }
    }

    #[test]
    fn a_promised_volume_goes_before_the_smallest() {
        let promise = |name: &str, uid: &str| json!({"claimRef": {"name": name, "namespace": "n", "uid": uid}});
        let (big, small) = (volume("big", "9Gi", json!({})), volume("small", "2Gi", json!({})));
        let (mine, taken) = (volume("mine", "20Gi", promise("c", "")), volume("taken", "1Gi", promise("c", "old")));
        let name = |found: Option<&Arc<PersistentVolume>>| found.and_then(|v| v.metadata.name.clone());
        let asked = claim(json!({}));
        assert_eq!(name(best(&asked, [&big, &small, &taken].into_iter(), false)).as_deref(), Some("small"));
        assert_eq!(name(best(&asked, [&big, &mine].into_iter(), false)).as_deref(), Some("mine"));
        assert_eq!(name(best(&asked, [&big, &taken].into_iter(), true)), None);
    }
}
