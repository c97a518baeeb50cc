//! Carries out the plans for Deployments: reads a snapshot, asks `plan`, writes all of it in one transaction.

use std::collections::HashSet;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fenceposts::{Strategy, strategy};
use super::plan::{Plan, View, plan};
use super::progress::{self, PROGRESSING};
use super::sets::{REVISION, Set};
use super::template::{self, HASH_LABEL};
use crate::cluster::controllers::claims::{Claim, Claimant, could_adopt};
use crate::cluster::controllers::decode::{decode, is_namespace_terminating, update_status, whole_seconds};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source, controllers_of};
use crate::cluster::controllers::events::{Note, Recorder};
use crate::cluster::controllers::pods;
use crate::cluster::registry::{
    Author, DeleteOptions, Patch, Preconditions, Propagation, Registry, Target, Transaction, WriteOptions,
};
use crate::cluster::store::{Change, Event, Snapshot};
use crate::object::selector::Selector;
use crate::object::{Object, ObjectKey, kinds};

pub struct DeploymentController {
    registry: Registry,
    author: Author,
    recorder: Recorder,
}

impl Controller for DeploymentController {
    fn name(&self) -> &'static str {
        "deployment"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::DEPLOYMENT),
            Source::new(kinds::REPLICA_SET, |snapshot, event| {
                let mut keys = controllers_of(kinds::DEPLOYMENT, event);
                keys.extend(could_adopt(snapshot, kinds::DEPLOYMENT, &event.object, selector_of));
                keys
            }),
            Source::new(kinds::POD, recreated_by_the_end_of),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else { return Ok(Next::Done) };
        let deployment = decode::<Deployment>(object)?;
        let Some(selector) = selector_of(object) else {
            return self.refuse_to_select_all(object, &deployment).await;
        };
        let claimant = Claimant { owner: object, selector: &selector };
        if self.claim(&snapshot, &claimant).await? {
            // The change of owners asks for the next run.
            return Ok(Next::Done);
        }
        let view = self.view(&snapshot, object, deployment.clone())?;
        self.carry_out(object, &deployment, &claimant, plan(view)).await
    }
}

impl DeploymentController {
    pub fn new(registry: &Registry) -> Self {
        let author = Author::controller("deployment-controller");
        let recorder = Recorder::new(registry, &author, "deployment-controller");
        Self { registry: registry.clone(), author, recorder }
    }

    /// Adopts and releases ReplicaSets; true when there were any.
    async fn claim(&self, snapshot: &Snapshot, claimant: &Claimant<'_>) -> Result<bool, Failure> {
        let mut transaction = self.registry.begin(&self.author);
        let mut any = false;
        for object in claimant.candidates(snapshot, kinds::REPLICA_SET) {
            match claimant.claim(object) {
                Claim::Adopt => claimant.adopt(&mut transaction, object)?,
                Claim::Release => claimant.release(&mut transaction, object)?,
                Claim::Keep | Claim::Ignore => continue,
            }
            any = true;
        }
        if any {
            transaction.commit().await?;
        }
        Ok(any)
    }

    fn view<'a>(
        &self,
        snapshot: &'a Snapshot,
        object: &'a Object,
        deployment: Arc<Deployment>,
    ) -> Result<View<'a>, Failure> {
        let mut sets = Vec::new();
        let mut with_pods = HashSet::new();
        let recreates = deployment.spec.as_ref().is_some_and(|s| strategy(s) == Strategy::Recreate);
        let controlled = |o: &&Arc<Object>| {
            o.key.kind == kinds::REPLICA_SET && o.meta.controller().is_some_and(|c| c.uid == object.meta.uid)
        };
        for set in snapshot.owned_by(&object.meta.uid).filter(controlled) {
            sets.push(Set::of(decode::<ReplicaSet>(set)?, set.meta.generation, set.meta.revision));
            if recreates && has_pods(snapshot, set) {
                with_pods.insert(set.meta.uid.clone());
            }
        }
        let taken = Box::new(|name: &str| snapshot.find(kinds::REPLICA_SET, &object.key.namespace, name).is_some());
        let now = whole_seconds(self.registry.clock().now());
        Ok(View { deployment, generation: object.meta.generation, sets, with_pods, taken, now })
    }

    async fn carry_out(
        &self,
        object: &Object,
        deployment: &Deployment,
        claimant: &Claimant<'_>,
        plan: Plan,
    ) -> Result<Next, Failure> {
        let mut transaction = self.registry.begin(&self.author);
        for set in &plan.sets {
            match write_set(&mut transaction, object, claimant, set) {
                Err(error) if set.stored.is_none() => return self.report(object, deployment, set, error).await,
                written => written?,
            }
        }
        for name in &plan.remove {
            let Some(set) = plan.sets.iter().find(|s| s.name == *name) else { continue };
            let preconditions = Preconditions { uid: Some(set.uid.clone()), revision: None };
            let options =
                DeleteOptions { propagation: Some(Propagation::Background), preconditions, ..DeleteOptions::default() };
            let key = ObjectKey::new(kinds::REPLICA_SET, &*object.key.namespace, &*set.name);
            transaction.delete(&key, &options)?;
        }
        if deployment.status.as_ref() != Some(&plan.status) || plan.revision.is_some() {
            write_status(&mut transaction, object, &plan.status, plan.revision.as_deref())?;
        }
        transaction.commit().await?;
        self.recorder.tell(object, &plan.notes).await;
        Ok(plan.next)
    }

    /// The new ReplicaSet was refused: says so in the condition and in an event, and tries again later.
    async fn report(
        &self,
        object: &Object,
        deployment: &Deployment,
        set: &Set,
        error: Failure,
    ) -> Result<Next, Failure> {
        if is_namespace_terminating(&error) {
            return Ok(Next::Done);
        }
        let message = format!("Failed to create new replica set \"{}\": {error}", set.name);
        let before = deployment.status.clone().unwrap_or_default();
        if progress::deadline(deployment).is_some() {
            let now = whole_seconds(self.registry.clock().now());
            let past = progress::Before { deployment, status: &before, generation: object.meta.generation, now };
            let mut status = before.clone();
            past.set(&mut status, PROGRESSING, "False", "ReplicaSetCreateError", message.clone());
            if status != before {
                let mut transaction = self.registry.begin(&self.author);
                write_status(&mut transaction, object, &status, None)?;
                transaction.commit().await?;
            }
        }
        self.recorder.tell(object, &[Note::warning("ReplicaSetCreateError", message)]).await;
        Err(error)
    }

    async fn refuse_to_select_all(&self, object: &Object, deployment: &Deployment) -> Result<Next, Failure> {
        let mut status = deployment.status.clone().unwrap_or_default();
        if status.observed_generation.unwrap_or(0) < object.meta.generation {
            status.observed_generation = Some(object.meta.generation);
            let mut transaction = self.registry.begin(&self.author);
            write_status(&mut transaction, object, &status, None)?;
            transaction.commit().await?;
            let message = "This deployment is selecting all pods. A non-empty selector is required.";
            self.recorder.tell(object, &[Note::warning("SelectingAll", message)]).await;
        }
        Ok(Next::Done)
    }
}

/// The selector of a Deployment; `None` when it has none, or one that selects everything.
fn selector_of(object: &Object) -> Option<Selector> {
    let deployment = object.typed::<Deployment>().ok()?;
    let selector = Selector::of_workload(&deployment.spec.as_ref()?.selector).ok()?;
    (!selector.is_everything()).then_some(selector)
}

/// While a Deployment of the strategy Recreate waits for its old pods, the end of each may be the last.
fn recreated_by_the_end_of(snapshot: &Snapshot, event: &Event) -> Vec<ObjectKey> {
    let pod = &event.object;
    if event.change != Change::Deleted && !pods::is_over(pod) {
        return Vec::new();
    }
    let sets = controllers_of(kinds::REPLICA_SET, event);
    let owner = |set: &ObjectKey| {
        let set = snapshot.get(set)?;
        let owner = set.meta.controller().filter(|c| c.kind == kinds::DEPLOYMENT.kind)?;
        let key = ObjectKey::new(kinds::DEPLOYMENT, &*set.key.namespace, &*owner.name);
        let deployment = snapshot.get(&key)?.typed::<Deployment>().ok()?;
        (strategy(deployment.spec.as_ref()?) == Strategy::Recreate).then_some(key)
    };
    sets.iter().filter_map(owner).collect()
}

fn has_pods(snapshot: &Snapshot, set: &Object) -> bool {
    let mut owned = snapshot.owned_by(&set.meta.uid);
    owned.any(|o| o.key.kind == kinds::POD && !pods::is_over(o))
}

/// Stores what a plan has changed of a ReplicaSet, or all of one that it makes.
fn write_set(transaction: &mut Transaction, owner: &Object, claimant: &Claimant<'_>, set: &Set) -> Result<(), Failure> {
    let namespace = owner.key.namespace.as_str();
    let Some(stored) = &set.stored else {
        let object = new_set(owner, claimant, set)?;
        transaction.create(kinds::REPLICA_SET, namespace, object, WriteOptions::default())?;
        return check_recognised(transaction, owner, set);
    };
    let unchanged = Set::of(stored.object.clone(), set.generation, stored.revision);
    let mut spec = json!({});
    if set.replicas != unchanged.replicas {
        spec["replicas"] = json!(set.replicas);
    }
    if set.min_ready_seconds != unchanged.min_ready_seconds {
        spec["minReadySeconds"] = json!(set.min_ready_seconds);
    }
    let changed = set.annotations.iter().filter(|(name, value)| unchanged.annotations.get(*name) != Some(value));
    let annotations: serde_json::Map<String, Value> = changed.map(|(n, v)| (n.clone(), json!(v))).collect();
    if annotations.is_empty() && spec == json!({}) {
        return Ok(());
    }
    let patch = json!({"metadata": {"resourceVersion": stored.revision.to_string(), "annotations": annotations},
        "spec": spec});
    let target = Target::new(kinds::REPLICA_SET, namespace, &set.name);
    Ok(transaction.patch(&target, Patch::Merge(patch), WriteOptions::default())?)
}

/// The stored ReplicaSet must be found again as the one of this template: otherwise each run would make another.
fn check_recognised(transaction: &Transaction, owner: &Object, set: &Set) -> Result<(), Failure> {
    let key = ObjectKey::new(kinds::REPLICA_SET, &*owner.key.namespace, &*set.name);
    let stored = transaction.current(&key).unwrap_or_default();
    let stored = PodTemplateSpec::deserialize(&stored["spec"]["template"])
        .map_err(|source| Failure::Decode { key: key.clone(), source })?;
    if template::same(&stored, &set.template) { Ok(()) } else { Err(Failure::Unrecognised(key)) }
}

fn new_set(owner: &Object, claimant: &Claimant<'_>, set: &Set) -> Result<Value, Failure> {
    let undecodable = |source| Failure::Decode { key: owner.key.clone(), source };
    let template = serde_json::to_value(&set.template).map_err(undecodable)?;
    let labels = &template["metadata"]["labels"];
    let mut selector = owner.value()["spec"]["selector"].clone();
    selector["matchLabels"][HASH_LABEL] = labels[HASH_LABEL].clone();
    Ok(json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": set.name, "namespace": owner.key.namespace, "labels": labels,
            "annotations": set.annotations, "ownerReferences": [claimant.reference()]},
        "spec": {"replicas": set.replicas, "minReadySeconds": set.min_ready_seconds, "selector": selector,
            "template": template}}))
}

/// The revision goes with the status: an annotation that is written otherwise counts as a change of intent.
fn write_status(
    transaction: &mut Transaction,
    object: &Object,
    status: &DeploymentStatus,
    revision: Option<&str>,
) -> Result<(), Failure> {
    let status = serde_json::to_value(status).map_err(|source| Failure::Decode { key: object.key.clone(), source })?;
    update_status(transaction, &object.key, |object| {
        object["status"] = status;
        if let Some(revision) = revision {
            object["metadata"]["annotations"][REVISION] = json!(revision);
        }
    })
}
