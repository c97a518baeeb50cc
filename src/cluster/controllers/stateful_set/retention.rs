//! Who owns the claims of a StatefulSet's pods, so that they are deleted with it: the set, the pod, or nobody. Pure.
//! (Kubernetes documentation, "StatefulSets: PersistentVolumeClaim retention".)

use serde_json::{Value, json};

/// Which of them owns a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owners {
    pub set: bool,
    pub pod: bool,
}

/// When claims are deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// With pods that are scaled away.
    pub when_scaled: bool,
    /// With the set.
    pub when_deleted: bool,
}

impl Policy {
    pub fn of(set: &Value) -> Self {
        let policy = &set["spec"]["persistentVolumeClaimRetentionPolicy"];
        Self { when_scaled: policy["whenScaled"] == "Delete", when_deleted: policy["whenDeleted"] == "Delete" }
    }

    /// The owners of the claims of a pod whose ordinal is wanted or not.
    pub fn owners(self, wanted: bool) -> Owners {
        let pod = self.when_scaled && !wanted;
        Owners { set: self.when_deleted && !pod, pod }
    }
}

/// The owner references of a claim as they are to be; `None` when they are so, or somebody else controls the claim.
pub fn change(claim: &Value, set: &Value, pod: &Value, owners: Owners) -> Option<Vec<Value>> {
    let before = claim["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
    let of = |reference: &Value, object: &Value| reference["uid"] == object["metadata"]["uid"];
    if before.iter().any(|r| r["controller"] == true && !of(r, set) && !of(r, pod)) {
        return None;
    }
    let mut after = before.clone();
    for (object, wanted) in [(set, owners.set), (pod, owners.pod)] {
        let known = after.iter().any(|r| of(r, object));
        match wanted {
            true if !known => after.push(reference(object)),
            false if known => after.retain(|r| !of(r, object)),
            _ => {}
        }
    }
    (after != before).then_some(after)
}

fn reference(object: &Value) -> Value {
    json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "name": object["metadata"]["name"],
        "uid": object["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true})
}

/// The claim is owned by an earlier pod of this name, and will go with it.
pub fn is_stale(claim: &Value, pod: &str, uid: Option<&str>) -> bool {
    let owners = claim["metadata"]["ownerReferences"].as_array();
    let of_pod = |r: &&Value| r["apiVersion"] == "v1" && r["kind"] == "Pod" && r["name"] == pod;
    owners.into_iter().flatten().filter(of_pod).any(|r| r["uid"].as_str() != uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_owned_by_what_they_go_with() {
        for (when_scaled, when_deleted, wanted, set, pod) in [
            (false, false, true, false, false),
            (false, false, false, false, false),
            (false, true, true, true, false),
            (false, true, false, true, false),
            (true, false, true, false, false),
            (true, false, false, false, true),
            (true, true, true, true, false),
            (true, true, false, false, true),
        ] {
            let owners = Policy { when_scaled, when_deleted }.owners(wanted);
            assert_eq!(owners, Owners { set, pod }, "scaled {when_scaled} deleted {when_deleted} wanted {wanted}");
        }
    }

    #[test]
    fn owners_change_only_where_they_must_and_never_against_another_controller() {
        let object =
            |kind: &str, uid: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "n", "uid": uid}});
        let (set, pod) = (object("StatefulSet", "s"), object("Pod", "p"));
        let claim = |uids: &[&str]| {
            let owners: Vec<Value> = uids.iter().map(|u| json!({"uid": u, "controller": true})).collect();
            json!({"metadata": {"ownerReferences": owners}})
        };
        let uids = |claim: Value, owners| {
            let after = change(&claim, &set, &pod, owners)?;
            Some(after.iter().map(|r| r["uid"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
        };
        let text = |uids: &[&str]| Some(uids.iter().map(|u| u.to_string()).collect::<Vec<_>>());
        let (by_set, by_pod) = (Owners { set: true, pod: false }, Owners { set: false, pod: true });
        assert_eq!(uids(claim(&[]), by_set), text(&["s"]));
        assert_eq!(uids(claim(&["s"]), by_set), None);
        assert_eq!(uids(claim(&["s"]), by_pod), text(&["p"]));
        assert_eq!(uids(claim(&["p"]), Owners { set: false, pod: false }), text(&[]));
        assert_eq!(uids(claim(&["other"]), by_set), None);
    }

    #[test]
    fn a_claim_of_an_earlier_pod_is_stale() {
        let claim = json!({"metadata": {"ownerReferences": [
            {"apiVersion": "v1", "kind": "Pod", "name": "db-0", "uid": "old"}]}});
        assert!(is_stale(&claim, "db-0", None));
        assert!(is_stale(&claim, "db-0", Some("new")));
        assert!(!is_stale(&claim, "db-0", Some("old")));
        assert!(!is_stale(&claim, "db-1", None));
    }
}
