//! Binds claims to volumes, makes volumes for the class `local-path`, and follows volumes whose claim has gone.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::{Value, json};

use super::local;
use crate::cluster::controllers::decode::{decode, update_status};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source};
use crate::cluster::controllers::events::{Note, Recorder};
use crate::cluster::controllers::protection::claims_of_pod;
use crate::cluster::registry::{Author, DeleteOptions, Patch, Registry, Target, Transaction, WriteOptions};
use crate::cluster::store::{Change, Event, Snapshot};
use crate::cluster::volume_matching::{self as matching, is_of};
use crate::object::{Object, ObjectKey, kinds, local_path};

const BOUND: &str = "pv.kubernetes.io/bind-completed";
const BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

pub struct VolumeController {
    registry: Registry,
    author: Author,
    recorder: Recorder,
}

impl Controller for VolumeController {
    fn name(&self) -> &'static str {
        "persistentvolume-binder"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::new(kinds::CLAIM, volumes_of_claim),
            Source::new(kinds::VOLUME, |snapshot, event| {
                let waiting = snapshot.list(kinds::CLAIM, "").filter(|claim| !is_bound(claim));
                let mut keys: Vec<ObjectKey> = waiting.map(|claim| claim.key.clone()).collect();
                keys.extend(claim_of(&event.object));
                keys.push(event.object.key.clone());
                keys
            }),
            // The volumes of a machine that was removed need not wait for its agent.
            Source::new(kinds::NODE, |snapshot, event| match event.change {
                Change::Deleted => {
                    let its =
                        |volume: &&Object| volume.meta.labels.get(local_path::NODE) == Some(&event.object.key.name);
                    snapshot.list(kinds::VOLUME, "").map(AsRef::as_ref).filter(its).map(|v| v.key.clone()).collect()
                }
                Change::Added | Change::Modified => Vec::new(),
            }),
            Source::new(kinds::STORAGE_CLASS, |snapshot, _| {
                let waiting = snapshot.list(kinds::CLAIM, "").filter(|claim| !is_bound(claim));
                waiting.map(|claim| claim.key.clone()).collect()
            }),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else { return Ok(Next::Done) };
        if key.kind == kinds::VOLUME {
            self.volume(&snapshot, object).await?;
        } else if is_bound(object) {
            self.bound_claim(&snapshot, object).await?;
        } else if !object.meta.is_deleting() {
            self.waiting_claim(&snapshot, object).await?;
        }
        Ok(Next::Done)
    }
}

impl VolumeController {
    pub fn new(registry: &Registry) -> Self {
        let author = Author::controller("persistent-volume-binder");
        let recorder = Recorder::new(registry, &author, "persistentvolume-controller");
        Self { registry: registry.clone(), author, recorder }
    }

    async fn waiting_claim(&self, snapshot: &Snapshot, object: &Object) -> Result<(), Failure> {
        let claim = decode::<PersistentVolumeClaim>(object)?;
        let class_name = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.clone()).unwrap_or_default();
        let class = snapshot.find(kinds::STORAGE_CLASS, "", &class_name).map(|class| decode::<StorageClass>(class));
        let class = class.transpose()?;
        let waits = class.as_ref().is_some_and(|c| c.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"));
        let node = annotation(object, SELECTED_NODE);
        let named = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).is_some_and(|n| !n.is_empty());

        let volumes: Vec<Arc<PersistentVolume>> =
            snapshot.list(kinds::VOLUME, "").map(|volume| decode(volume)).collect::<Result<_, _>>()?;
        let promised_only = waits && !named;
        if let Some(volume) = matching::best(&claim, volumes.iter(), promised_only) {
            let name = volume.metadata.name.clone().unwrap_or_default();
            let mut transaction = self.registry.begin(&self.author);
            bind(&mut transaction, object, &name)?;
            transaction.commit().await?;
            return Ok(());
        }
        if named {
            return self.cannot_have(object, &claim, &volumes).await;
        }
        let Some(class) = class else {
            let message = "no persistent volumes available for this claim and no storage class is set";
            let note = match class_name.as_str() {
                "" => Note::normal("FailedBinding", message),
                name => {
                    let why = format!("storageclass.storage.k8s.io \"{name}\" not found");
                    Note::warning("ProvisioningFailed", why)
                }
            };
            self.recorder.tell(object, &[note]).await;
            return Ok(());
        };
        if waits && node.is_none() {
            let note = match consumers(snapshot, &object.key) {
                pods if pods.is_empty() => {
                    Note::normal("WaitForFirstConsumer", "waiting for first consumer to be created before binding")
                }
                pods => {
                    let noun = if pods.len() == 1 { "pod" } else { "pods" };
                    let message = format!("waiting for {noun} {} to be scheduled", pods.join(","));
                    Note::normal("WaitForPodScheduled", message)
                }
            };
            self.recorder.tell(object, &[note]).await;
            return Ok(());
        }
        if class.provisioner != local_path::PROVISIONER {
            let message = format!(
                "Waiting for a volume to be created either by the external provisioner '{}' or manually by the \
                 system administrator. If volume creation is delayed, please verify that the provisioner is running \
                 and correctly registered.",
                class.provisioner
            );
            self.recorder.tell(object, &[Note::normal("ExternalProvisioning", message)]).await;
            return Ok(());
        }
        self.provision(snapshot, object, &claim, &class, node).await
    }

    /// The claim names a volume that it does not get.
    async fn cannot_have(
        &self,
        object: &Object,
        claim: &PersistentVolumeClaim,
        volumes: &[Arc<PersistentVolume>],
    ) -> Result<(), Failure> {
        let name = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default();
        // One that does not exist may come yet.
        let Some(volume) = volumes.iter().find(|volume| volume.metadata.name.as_deref() == Some(name)) else {
            return Ok(());
        };
        let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        let note = match (reference, matching::misfit(claim, volume)) {
            (Some(reference), _) if !is_of(reference, claim) => {
                Note::warning("FailedBinding", format!("volume {name:?} already bound to a different claim."))
            }
            (_, Some(why)) => {
                Note::warning("VolumeMismatch", format!("Cannot bind to requested volume {name:?}: {why}"))
            }
            _ => return Ok(()),
        };
        self.recorder.tell(object, &[note]).await;
        Ok(())
    }

    async fn provision(
        &self,
        snapshot: &Snapshot,
        object: &Object,
        claim: &PersistentVolumeClaim,
        class: &StorageClass,
        node: Option<String>,
    ) -> Result<(), Failure> {
        let class_name = class.metadata.name.as_deref().unwrap_or_default();
        let reclaim = class.reclaim_policy.as_deref().unwrap_or("Delete");
        let node = node.and_then(|name| snapshot.find(kinds::NODE, "", &name));
        let made = node.and_then(|node| local::volume(claim, node, class_name, reclaim));
        let Some(volume) = made else {
            let why = format!(
                "failed to provision volume with StorageClass \"{class_name}\": no node with volumes is selected"
            );
            self.recorder.tell(object, &[Note::warning("ProvisioningFailed", why)]).await;
            return Ok(());
        };
        let name = volume["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let mut transaction = self.registry.begin(&self.author);
        transaction.create(kinds::VOLUME, "", volume, WriteOptions::default())?;
        bind(&mut transaction, object, &name)?;
        transaction.commit().await?;
        let message = format!("Successfully provisioned volume {name}");
        self.recorder.tell(object, &[Note::normal("ProvisioningSucceeded", message)]).await;
        Ok(())
    }

    /// The volume of a bound claim may be gone: what was in it is lost.
    async fn bound_claim(&self, snapshot: &Snapshot, object: &Object) -> Result<(), Failure> {
        let value = object.value();
        let name = value["spec"]["volumeName"].as_str().unwrap_or_default();
        if snapshot.find(kinds::VOLUME, "", name).is_some() || value["status"]["phase"] == "Lost" {
            return Ok(());
        }
        let mut transaction = self.registry.begin(&self.author);
        update_status(&mut transaction, &object.key, |claim| claim["status"] = json!({"phase": "Lost"}))?;
        transaction.commit().await?;
        let why = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
        self.recorder.tell(object, &[Note::warning("ClaimLost", why)]).await;
        Ok(())
    }

    /// Follows a volume that is not bound: it is free, or its claim has gone and with that, by its policy, the volume.
    async fn volume(&self, snapshot: &Snapshot, object: &Object) -> Result<(), Failure> {
        let value = object.value();
        let uid = value["spec"]["claimRef"]["uid"].as_str().unwrap_or_default();
        let claim = claim_of(object).and_then(|key| snapshot.get(&key));
        // Binding writes both sides at once.
        if claim.is_some_and(|claim| !uid.is_empty() && claim.meta.uid == uid) {
            return Ok(());
        }
        if uid.is_empty() {
            return self.enter(object, "Available").await;
        }
        let deletes = value["spec"]["persistentVolumeReclaimPolicy"] == "Delete";
        let provisioner = value["metadata"]["annotations"][local::PROVISIONED_BY].as_str();
        if deletes && provisioner.is_none() && value["status"]["phase"] != "Failed" {
            self.enter(object, "Failed").await?;
            let name = &object.key.name;
            let why =
                format!("error getting deleter volume plugin for volume {name:?}: no deletable volume plugin matched");
            self.recorder.tell(object, &[Note::warning("VolumeFailedDelete", why)]).await;
            return Ok(());
        }
        if value["status"]["phase"] != "Failed" {
            self.enter(object, "Released").await?;
        }
        if deletes && provisioner == Some(local_path::PROVISIONER) {
            self.remove(snapshot, object).await?;
        }
        Ok(())
    }

    async fn enter(&self, object: &Object, phase: &str) -> Result<(), Failure> {
        if object.value()["status"]["phase"] == phase {
            return Ok(());
        }
        let mut transaction = self.registry.begin(&self.author);
        update_status(&mut transaction, &object.key, |volume| volume["status"]["phase"] = json!(phase))?;
        transaction.commit().await?;
        Ok(())
    }

    /// Asks for the volume's end: the agent of its node removes the directory, and lets the object go.
    async fn remove(&self, snapshot: &Snapshot, object: &Object) -> Result<(), Failure> {
        let node = object.meta.labels.get(local_path::NODE).map(String::as_str).unwrap_or_default();
        let machine_is_gone = snapshot.find(kinds::NODE, "", node).is_none();
        if machine_is_gone && object.meta.finalizers.iter().any(|held| held == local_path::FINALIZER) {
            let rest: Vec<&String> = object.meta.finalizers.iter().filter(|f| *f != local_path::FINALIZER).collect();
            let version = object.meta.revision.to_string();
            let patch = Patch::Merge(json!({"metadata": {"finalizers": rest, "resourceVersion": version}}));
            let target = Target::from(object.key.clone());
            self.registry.patch(&self.author, &target, patch, WriteOptions::default()).await?;
            return Ok(());
        }
        if !object.meta.is_deleting() {
            self.registry.delete(&self.author, &object.key, &DeleteOptions::default()).await?;
        }
        Ok(())
    }
}

/// Ties claim and volume together, all in one step.
fn bind(transaction: &mut Transaction, claim: &Object, name: &str) -> Result<(), Failure> {
    let volume_key = ObjectKey::new(kinds::VOLUME, "", name);
    let (Some(mut volume), Some(mut bound)) = (transaction.current(&volume_key), transaction.current(&claim.key))
    else {
        return Ok(());
    };
    if volume["spec"]["claimRef"]["uid"].as_str().unwrap_or_default() != claim.meta.uid {
        if volume["spec"]["claimRef"].is_null() {
            volume["metadata"]["annotations"][BY_CONTROLLER] = json!("yes");
        }
        volume["spec"]["claimRef"] = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "namespace": claim.key.namespace, "name": claim.key.name, "uid": claim.meta.uid,
            "resourceVersion": claim.meta.revision.to_string()});
        transaction.update(&Target::from(volume_key.clone()), volume.clone(), WriteOptions::default())?;
    }
    if bound["spec"]["volumeName"].as_str().unwrap_or_default().is_empty() {
        bound["spec"]["volumeName"] = json!(name);
        bound["metadata"]["annotations"][BY_CONTROLLER] = json!("yes");
    }
    bound["metadata"]["annotations"][BOUND] = json!("yes");
    transaction.update(&Target::from(claim.key.clone()), bound, WriteOptions::default())?;
    update_status(transaction, &volume_key, |volume| volume["status"]["phase"] = json!("Bound"))?;
    update_status(transaction, &claim.key, |claim| {
        claim["status"] = json!({"phase": "Bound", "accessModes": volume["spec"]["accessModes"],
            "capacity": volume["spec"]["capacity"]});
    })
}

/// The pods that mount the claim and have no node yet.
fn consumers(snapshot: &Snapshot, claim: &ObjectKey) -> Vec<String> {
    let pods = snapshot.list(kinds::POD, &claim.namespace).filter(|pod| pod.meta.node.is_none());
    let pods = pods.filter(|pod| claims_of_pod(&pod.value()).any(|name| name == claim.name));
    pods.map(|pod| pod.key.name.clone()).collect()
}

fn annotation(object: &Object, name: &str) -> Option<String> {
    let value = object.value();
    value["metadata"]["annotations"][name].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn is_bound(claim: &Object) -> bool {
    annotation(claim, BOUND).is_some()
}

/// The claim that a volume is of.
fn claim_of(volume: &Object) -> Option<ObjectKey> {
    let value = volume.value();
    let reference: &Value = &value["spec"]["claimRef"];
    Some(ObjectKey::new(kinds::CLAIM, reference["namespace"].as_str()?, reference["name"].as_str()?))
}

/// The claim that changed, and the volumes that are its.
fn volumes_of_claim(snapshot: &Snapshot, event: &Event) -> Vec<ObjectKey> {
    let claim = &event.object.key;
    let its = snapshot.list(kinds::VOLUME, "").filter(|volume| claim_of(volume).as_ref() == Some(claim));
    std::iter::once(claim.clone()).chain(its.map(|volume| volume.key.clone())).collect()
}
