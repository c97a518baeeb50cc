//! What the claims of a pod say about where it can be: nothing is known of them in the cache, so they are looked up
//! when the pod's turn comes. Pure. (Kubernetes documentation, "Storage Classes: volume binding mode".)

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;

use super::pod::PodInfo;
use super::selectors::{Labels, NodeTerm};
use crate::cluster::store::Snapshot;
use crate::cluster::volume_matching;
use crate::object::{ObjectKey, kinds};

pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// The provisioner of classes whose volumes somebody makes by hand.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// What the claims say.
#[derive(Clone, Debug)]
pub enum Claims {
    /// Of each claim that is bound, or gets a volume when the node is chosen, where that can be.
    Known(Vec<Place>),
    /// Their node is chosen, the volumes are yet to come.
    Awaited,
    /// The pod can be nowhere.
    Refused(String),
}

/// Where the volume of one claim can be.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub reach: Reach,
    /// The claim has no volume yet; it is `Reach::Chosen` then.
    pub claim: Option<ObjectKey>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Reach {
    /// Where one of the terms of the volume matches.
    Bound(Vec<NodeTerm>),
    /// Where one of these volumes is, smallest first; or anywhere, when one can be made.
    Chosen { volumes: Vec<Candidate>, made: bool },
}

/// A volume that suits a claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub name: String,
    /// `None`: it can be reached from everywhere.
    terms: Option<Vec<NodeTerm>>,
}

impl Candidate {
    pub fn is_reachable(&self, node: &str, labels: &Labels) -> bool {
        self.terms.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches(node, labels)))
    }
}

pub fn of(pod: &PodInfo, snapshot: &Snapshot) -> Claims {
    let (mut places, mut awaited) = (Vec::new(), false);
    for name in &pod.claims {
        match of_one(pod, name, snapshot) {
            One::Place(place) => places.extend(place),
            One::Awaited => awaited = true,
            One::Refused(why) => return Claims::Refused(why),
        }
    }
    let unbound = places.iter().any(|place| place.claim.is_some());
    if awaited && !unbound { Claims::Awaited } else { Claims::Known(places) }
}

enum One {
    /// `None`: wherever the pod is.
    Place(Option<Place>),
    Awaited,
    Refused(String),
}

fn of_one(pod: &PodInfo, name: &str, snapshot: &Snapshot) -> One {
    let missing = || One::Refused(format!("persistentvolumeclaim {name:?} not found"));
    let key = ObjectKey::new(kinds::CLAIM, &*pod.key.namespace, name);
    let Some(object) = snapshot.get(&key) else { return missing() };
    let Ok(claim) = object.typed::<PersistentVolumeClaim>() else { return missing() };
    if object.meta.is_deleting() {
        return One::Refused(format!("persistentvolumeclaim {name:?} is being deleted"));
    }
    let spec = claim.spec.as_ref();
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    let volume = spec.and_then(|spec| spec.volume_name.as_deref()).filter(|name| !name.is_empty());
    if phase == "Lost" {
        let volume = volume.unwrap_or_default();
        return One::Refused(format!(
            "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"
        ));
    }
    if let Some(volume) = volume.filter(|_| phase == "Bound") {
        let volume = snapshot.find(kinds::VOLUME, "", volume).and_then(|v| v.typed::<PersistentVolume>().ok());
        let terms = volume.as_deref().and_then(terms);
        return One::Place(terms.map(|terms| Place { reach: Reach::Bound(terms), claim: None }));
    }
    let class = spec.and_then(|spec| spec.storage_class_name.as_deref()).unwrap_or_default();
    let class = snapshot.find(kinds::STORAGE_CLASS, "", class).and_then(|c| c.typed::<StorageClass>().ok());
    let waiting = class.filter(|class| class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"));
    let Some(class) = waiting.filter(|_| volume.is_none()) else {
        return One::Refused("pod has unbound immediate PersistentVolumeClaims".to_owned());
    };
    let chosen = claim.metadata.annotations.as_ref().and_then(|a| a.get(SELECTED_NODE));
    let volumes: Vec<Arc<PersistentVolume>> =
        snapshot.list(kinds::VOLUME, "").filter_map(|volume| volume.typed::<PersistentVolume>().ok()).collect();
    let promised = volumes.iter().any(|volume| {
        let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        reference.is_some_and(|reference| volume_matching::is_of(reference, &claim))
    });
    if promised || chosen.is_some_and(|node| snapshot.find(kinds::NODE, "", node).is_some()) {
        return One::Awaited;
    }
    let candidate = |volume: &&Arc<PersistentVolume>| Candidate {
        name: volume.metadata.name.clone().unwrap_or_default(),
        terms: terms(volume),
    };
    let suiting = volume_matching::suiting(&claim, volumes.iter());
    let reach =
        Reach::Chosen { volumes: suiting.iter().map(candidate).collect(), made: class.provisioner != NO_PROVISIONER };
    One::Place(Some(Place { reach, claim: Some(key) }))
}

/// `None`: the volume can be reached from everywhere.
fn terms(volume: &PersistentVolume) -> Option<Vec<NodeTerm>> {
    let required = volume.spec.as_ref()?.node_affinity.as_ref()?.required.as_ref()?;
    Some(required.node_selector_terms.iter().filter_map(NodeTerm::of).collect())
}
