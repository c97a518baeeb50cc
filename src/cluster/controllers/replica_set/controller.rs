//! Keeps each ReplicaSet or ReplicationController at its number of pods: counts what it controls, makes what is missing, deletes what is
//! too much, and reports. What one run makes or deletes is stored with the status at one revision.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::flavour::Flavour;
use super::ranking::{Rank, node};
use super::status::{PodFailure, Pods, next_available, report};
use crate::cluster::controllers::claims::{Claim, Claimant, could_adopt};
use crate::cluster::controllers::decode::{decode, is_namespace_terminating, update_status, whole_seconds};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source, controllers_of};
use crate::cluster::controllers::events::{Note, Recorder};
use crate::cluster::controllers::offspring::{free_name, pod_of};
use crate::cluster::controllers::pods;
use crate::cluster::registry::{
    Author, DeleteOptions, Preconditions, Propagation, Registry, Transaction, WriteOptions,
};
use crate::cluster::store::Snapshot;
use crate::object::{Object, ObjectKey, Reason, kinds};

/// Pods that one run makes or deletes, so that a transaction stays small; the next run does the rest.
const BURST: usize = 500;

pub struct ReplicaSetController {
    flavour: &'static Flavour,
    registry: Registry,
    author: Author,
    recorder: Recorder,
}

impl Controller for ReplicaSetController {
    fn name(&self) -> &'static str {
        self.flavour.name
    }

    fn sources(&self) -> Vec<Source> {
        let flavour = self.flavour;
        vec![
            Source::own(flavour.kind),
            Source::new(kinds::POD, |snapshot, event| {
                let mut keys = controllers_of(flavour.kind, event);
                keys.extend(could_adopt(snapshot, flavour.kind, &event.object, |set| flavour.selector_of(set)));
                keys
            }),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else { return Ok(Next::Done) };
        let Some(selector) = self.flavour.selector_of(object) else { return Ok(Next::Done) };
        let set = self.flavour.read(object)?;
        let claimant = Claimant { owner: object, selector: &selector };
        let mut run = Run {
            controller: self,
            snapshot: &snapshot,
            object,
            set: &set,
            transaction: self.registry.begin(&self.author),
            pods: Pods::default(),
            notes: Vec::new(),
            failure: None,
        };
        run.claim(&claimant)?;
        if !object.meta.is_deleting() {
            run.reach_size(&claimant)?;
        }
        run.finish().await
    }
}

impl ReplicaSetController {
    pub fn new(registry: &Registry, flavour: &'static Flavour) -> Self {
        let author = Author::controller(flavour.component);
        let recorder = Recorder::new(registry, &author, flavour.component);
        Self { flavour, registry: registry.clone(), author, recorder }
    }
}

/// One run's reading of the snapshot and the writes that follow from it.
struct Run<'a> {
    controller: &'a ReplicaSetController,
    snapshot: &'a Snapshot,
    object: &'a Object,
    set: &'a ReplicaSet,
    transaction: Transaction,
    pods: Pods,
    notes: Vec<Note>,
    failure: Option<PodFailure>,
}

impl Run<'_> {
    /// Adopts and releases pods, and counts those that are the ReplicaSet's.
    fn claim(&mut self, claimant: &Claimant<'_>) -> Result<(), Failure> {
        for object in claimant.candidates(self.snapshot, kinds::POD) {
            let pod = decode::<Pod>(object)?;
            match claimant.claim(object) {
                Claim::Ignore => continue,
                // Pods that have ended keep their owner, as a record of what they were.
                Claim::Adopt | Claim::Release if !pods::is_active(&pod) => continue,
                Claim::Release => {
                    claimant.release(&mut self.transaction, object)?;
                    continue;
                }
                Claim::Adopt => claimant.adopt(&mut self.transaction, object)?,
                Claim::Keep => {}
            }
            if pods::is_active(&pod) {
                self.pods.active.push(pod);
            } else if !pods::has_ended(&pod) {
                self.pods.terminating += 1;
            }
        }
        Ok(())
    }

    fn reach_size(&mut self, claimant: &Claimant<'_>) -> Result<(), Failure> {
        let wanted = self.set.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
        let wanted = usize::try_from(wanted).unwrap_or(0);
        let present = self.pods.active.len();
        if present < wanted {
            self.create((wanted - present).min(BURST), claimant)
        } else {
            self.delete((present - wanted).min(BURST));
            Ok(())
        }
    }

    /// Makes pods until one is refused. Others start with a few and double, because each refusal costs them a
    /// request; here a refusal ends the batch before anything is stored for it, so one costs one step.
    fn create(&mut self, count: usize, claimant: &Claimant<'_>) -> Result<(), Failure> {
        let namespace = self.object.key.namespace.as_str();
        let template = self.object.value()["spec"]["template"].take();
        let base = format!("{}-", self.object.key.name);
        let template = pod_of(&template, claimant, &base);
        let mut random = fastrand::Rng::new();
        for _ in 0..count {
            let mut pod = template.clone();
            let name = free_name(&self.transaction, kinds::POD, namespace, &base, &mut random);
            pod["metadata"]["name"] = json!(name);
            let created = self.transaction.create(kinds::POD, namespace, pod, WriteOptions::default());
            if let Err(error) = created {
                let message = error.to_string();
                let failure = Failure::Refused(error);
                if !is_namespace_terminating(&failure) {
                    self.notes.push(Note::warning("FailedCreate", format!("Error creating: {message}")));
                    self.failure = Some(PodFailure { reason: "FailedCreate", message });
                }
                break;
            }
            self.notes.push(Note::normal("SuccessfulCreate", format!("Created pod: {name}")));
            let key = ObjectKey::new(kinds::POD, namespace, name);
            let created = self.transaction.current(&key).unwrap_or_default();
            let decoded = serde_json::from_value(created).map_err(|source| Failure::Decode { key, source })?;
            self.pods.active.push(Arc::new(decoded));
        }
        Ok(())
    }

    fn delete(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let now = self.controller.registry.clock().now();
        let company = self.company();
        let mut ranked: Vec<(Rank, Arc<Pod>)> = std::mem::take(&mut self.pods.active)
            .into_iter()
            .map(|pod| {
                let company = node(&pod).and_then(|n| company.get(n)).copied().unwrap_or(0);
                (Rank::of(&pod, company, now), pod)
            })
            .collect();
        ranked.sort_by(|a, b| a.0.cmp(&b.0));
        for (index, (_, pod)) in ranked.into_iter().enumerate() {
            if index < count && self.delete_one(&pod) {
                continue;
            }
            self.pods.active.push(pod);
        }
    }

    /// How many active pods of the same workload run on each node: those of all ReplicaSets with this one's owner.
    fn company(&self) -> HashMap<String, usize> {
        let mut company = HashMap::new();
        let Some(owner) = self.object.meta.controller() else { return company };
        let is_sibling = |o: &&Arc<Object>| {
            o.key.kind == self.object.key.kind && o.meta.controller().is_some_and(|c| c.uid == owner.uid)
        };
        let siblings = self.snapshot.owned_by(&owner.uid).filter(is_sibling);
        let all = siblings.flat_map(|set| self.snapshot.owned_by(&set.meta.uid).filter(|o| o.key.kind == kinds::POD));
        for pod in all.filter_map(|o| o.typed::<Pod>().ok()).filter(|pod| pods::is_active(pod)) {
            if let Some(node) = node(&pod) {
                *company.entry(node.to_owned()).or_default() += 1;
            }
        }
        company
    }

    /// True when the pod is no longer an active one.
    fn delete_one(&mut self, pod: &Pod) -> bool {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let key = ObjectKey::new(kinds::POD, &*self.object.key.namespace, name);
        let preconditions = Preconditions { uid: pod.metadata.uid.clone(), revision: None };
        let options =
            DeleteOptions { propagation: Some(Propagation::Background), preconditions, ..DeleteOptions::default() };
        match self.transaction.delete(&key, &options) {
            Ok(()) => {
                self.notes.push(Note::normal("SuccessfulDelete", format!("Deleted pod: {name}")));
                // It is gone at once if it never ran, and stays for its grace period otherwise.
                self.pods.terminating += usize::from(self.transaction.current(&key).is_some());
                true
            }
            // Somebody else was faster, and may have made another of that name.
            Err(error) if matches!(error.reason, Reason::NotFound | Reason::Conflict) => true,
            Err(error) => {
                self.notes.push(Note::warning("FailedDelete", format!("Error deleting: {error}")));
                self.failure = Some(PodFailure { reason: "FailedDelete", message: error.to_string() });
                false
            }
        }
    }

    /// Stores everything, and says when to look again.
    async fn finish(mut self) -> Result<Next, Failure> {
        let now = whole_seconds(self.controller.registry.clock().now());
        let mut status = report(self.set, self.object.meta.generation, &self.pods, self.failure.as_ref(), now);
        if !self.controller.flavour.counts_terminating {
            status.terminating_replicas = None;
        }
        if self.set.status.as_ref() != Some(&status) {
            self.write_status(&status)?;
        }
        self.transaction.commit().await?;
        self.controller.recorder.tell(self.object, &self.notes).await;
        match self.failure {
            Some(failure) => Err(Failure::Pods(failure.message)),
            None => Ok(next_available(self.set, &self.pods, now).map_or(Next::Done, Next::After)),
        }
    }

    fn write_status(&mut self, status: &ReplicaSetStatus) -> Result<(), Failure> {
        let key = self.object.key.clone();
        let value = serde_json::to_value(status).map_err(|source| Failure::Decode { key: key.clone(), source })?;
        update_status(&mut self.transaction, &key, |object| object["status"] = value)
    }
}
