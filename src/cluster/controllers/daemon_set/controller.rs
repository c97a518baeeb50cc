//! Carries out the plans for DaemonSets: reads a snapshot, asks `plan`, and writes revisions, pods and the status in
//! one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::eligibility::{Fit, Wants};
use super::plan::{Daemon, Place, Plan, Policy, manage, roll};
use super::status::{next_available, report};
use super::template::{GENERATION, GENERATION_ANNOTATION, REVISION, bind_to, tolerations};
use crate::cluster::controllers::claims::{Claim, Claimant, could_adopt};
use crate::cluster::controllers::decode::{decode, is_namespace_terminating, update_status, whole_seconds};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source, controllers_of};
use crate::cluster::controllers::events::{Note, Recorder};
use crate::cluster::controllers::history::{self, Counting, Revision};
use crate::cluster::controllers::{offspring, pods};
use crate::cluster::registry::{
    Author, DeleteOptions, Preconditions, Propagation, Registry, Transaction, WriteOptions,
};
use crate::cluster::store::{Change, Event, Snapshot};
use crate::object::selector::Selector;
use crate::object::{Object, ObjectKey, Reason, kinds};

/// Pods that one run makes or deletes, so that a transaction stays small; the next run does the rest.
const BURST: usize = 250;

pub struct DaemonSetController {
    registry: Registry,
    author: Author,
    recorder: Recorder,
    backoff: Mutex<Backoff>,
}

impl Controller for DaemonSetController {
    fn name(&self) -> &'static str {
        "daemonset"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::DAEMON_SET),
            Source::new(kinds::POD, |snapshot, event| {
                let mut keys = controllers_of(kinds::DAEMON_SET, event);
                keys.extend(could_adopt(snapshot, kinds::DAEMON_SET, &event.object, selector_of));
                keys
            }),
            Source::new(kinds::CONTROLLER_REVISION, |_, event| controllers_of(kinds::DAEMON_SET, event)),
            Source::new(kinds::NODE, turned_by_node),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else { return Ok(Next::Done) };
        if object.meta.is_deleting() {
            return Ok(Next::Done);
        }
        let set = decode::<DaemonSet>(object)?;
        let Some(selector) = selector_of(object) else {
            let message = "This daemon set is selecting all pods. A non-empty selector is required.";
            self.recorder.tell(object, &[Note::warning("SelectingAll", message)]).await;
            return Ok(Next::Done);
        };
        let value = object.value();
        let claimant = Claimant { owner: object, selector: &selector };
        let run = Run {
            controller: self,
            snapshot: &snapshot,
            object,
            set: &set,
            value: &value,
            claimant: &claimant,
            transaction: self.registry.begin(&self.author),
            notes: Vec::new(),
            failure: None,
        };
        run.carry_out().await
    }
}

impl DaemonSetController {
    pub fn new(registry: &Registry) -> Self {
        let author = Author::controller("daemon-set-controller");
        let recorder = Recorder::new(registry, &author, "daemonset-controller");
        Self { registry: registry.clone(), author, recorder, backoff: Mutex::default() }
    }
}

/// One run's reading of the snapshot and the writes that follow from it.
struct Run<'a> {
    controller: &'a DaemonSetController,
    snapshot: &'a Snapshot,
    object: &'a Object,
    set: &'a DaemonSet,
    value: &'a Value,
    claimant: &'a Claimant<'a>,
    transaction: Transaction,
    notes: Vec<Note>,
    failure: Option<String>,
}

impl Run<'_> {
    async fn carry_out(mut self) -> Result<Next, Failure> {
        let mut collisions = self.set.status.as_ref().and_then(|s| s.collision_count);
        let mut revisions = history::claim(&mut self.transaction, self.snapshot, self.claimant, REVISION)?;
        let current =
            history::advance(&mut self.transaction, self.claimant, REVISION, &mut revisions, &mut collisions)?;
        let daemons = self.claim(&revisions[current])?;
        self.forget_old_revisions(&revisions, current, &daemons)?;
        let places = self.places(daemons)?;
        let spec = self.set.spec.clone().unwrap_or_default();
        let policy = Policy::of(&spec, &places);
        let now = whole_seconds(self.controller.registry.clock().now());
        let mut plan = manage(&places, policy, now, |node| self.may_replace(node));
        let retry = plan.retry;
        if plan.is_empty() && policy.rolls {
            plan = roll(&places, policy, now);
        }
        self.act(plan, &revisions[current].hash)?;

        let before = self.set.status.clone().unwrap_or_default();
        let mut status = report(&before, self.object.meta.generation, &places, policy.min_ready_seconds, now);
        status.collision_count = collisions;
        if before != status {
            let key = self.object.key.clone();
            let value = serde_json::to_value(&status).map_err(|source| Failure::Decode { key: key.clone(), source })?;
            update_status(&mut self.transaction, &key, |object| object["status"] = value)?;
        }
        self.transaction.commit().await?;
        self.controller.recorder.tell(self.object, &self.notes).await;
        if let Some(failure) = self.failure {
            return Err(Failure::Pods(failure));
        }
        let next = next_available(&places, policy.min_ready_seconds, now).into_iter().chain(retry).min();
        Ok(next.map_or(Next::Done, Next::After))
    }

    /// The pods of the set; those that nobody controls become its own.
    fn claim(&mut self, current: &Revision) -> Result<Vec<Daemon>, Failure> {
        let mut daemons = Vec::new();
        let generation = self.value["metadata"]["annotations"][GENERATION_ANNOTATION].as_str();
        for object in self.claimant.candidates(self.snapshot, kinds::POD) {
            match self.claimant.claim(object) {
                Claim::Ignore => continue,
                Claim::Release => {
                    self.claimant.release(&mut self.transaction, object)?;
                    continue;
                }
                Claim::Adopt => self.claimant.adopt(&mut self.transaction, object)?,
                Claim::Keep => {}
            }
            let label = |name: &str| object.meta.labels.get(name).map(String::as_str);
            let updated = label(REVISION) == Some(current.hash.as_str())
                || generation.is_some_and(|generation| label(GENERATION) == Some(generation));
            daemons.push(Daemon { pod: decode::<Pod>(object)?, updated });
        }
        Ok(daemons)
    }

    /// All nodes with their pods, also those that are gone and still have some.
    fn places(&self, daemons: Vec<Daemon>) -> Result<Vec<Place>, Failure> {
        let wants = Wants::of(&self.pod_spec());
        let mut places: BTreeMap<String, Place> = BTreeMap::new();
        for object in self.snapshot.list(kinds::NODE, "") {
            let node = object.key.name.clone();
            let fit = wants.fit(&*decode::<Node>(object)?);
            places.insert(node.clone(), Place { node, exists: true, fit, pods: Vec::new() });
        }
        for daemon in daemons {
            // A pod that has ended and is being deleted is no more the set's business.
            if pods::has_ended(&daemon.pod) && pods::is_deleting(&daemon.pod) {
                continue;
            }
            let Some(node) = target_node(&daemon.pod) else { continue };
            let gone = || Place { node: node.clone(), exists: false, fit: Fit::default(), pods: Vec::new() };
            places.entry(node.clone()).or_insert_with(gone).pods.push(daemon);
        }
        places.values_mut().for_each(Place::sort);
        Ok(places.into_values().collect())
    }

    fn pod_spec(&self) -> PodSpec {
        self.set.spec.as_ref().and_then(|s| s.template.spec.clone()).unwrap_or_default()
    }

    fn may_replace(&self, node: &str) -> Result<(), std::time::Duration> {
        let observed = self.set.status.as_ref().and_then(|s| s.observed_generation).unwrap_or(0);
        let mut backoff = self.controller.backoff.lock().unwrap_or_else(PoisonError::into_inner);
        backoff.ask(&self.object.meta.uid, observed, node, Instant::now())
    }

    fn act(&mut self, plan: Plan, hash: &str) -> Result<(), Failure> {
        self.notes.extend(plan.notes);
        for name in plan.delete.iter().take(BURST) {
            self.delete(name);
        }
        let made_from = self.template(hash)?;
        let mut random = fastrand::Rng::new();
        let (namespace, base) = (self.object.key.namespace.as_str(), format!("{}-", self.object.key.name));
        for node in plan.create.iter().take(BURST) {
            let mut pod = made_from.clone();
            let name = offspring::free_name(&self.transaction, kinds::POD, namespace, &base, &mut random);
            pod["metadata"]["name"] = json!(name);
            bind_to(&mut pod, node);
            match self.transaction.create(kinds::POD, namespace, pod, WriteOptions::default()) {
                Ok(()) => self.notes.push(Note::normal("SuccessfulCreate", format!("Created pod: {name}"))),
                Err(error) => {
                    let message = error.to_string();
                    if !is_namespace_terminating(&Failure::Refused(error)) {
                        self.notes.push(Note::warning("FailedCreate", format!("Error creating: {message}")));
                        self.failure = Some(message);
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    /// What every pod of the set is made from.
    fn template(&self, hash: &str) -> Result<Value, Failure> {
        let mut pod =
            offspring::pod_of(&self.value["spec"]["template"], self.claimant, &format!("{}-", self.object.key.name));
        pod["metadata"]["labels"][REVISION] = json!(hash);
        let generation = &self.value["metadata"]["annotations"][GENERATION_ANNOTATION];
        if generation.is_string() {
            pod["metadata"]["labels"][GENERATION] = generation.clone();
        }
        let undecodable = |source| Failure::Decode { key: self.object.key.clone(), source };
        pod["spec"]["tolerations"] = serde_json::to_value(tolerations(&self.pod_spec())).map_err(undecodable)?;
        Ok(pod)
    }

    fn delete(&mut self, name: &str) {
        let key = ObjectKey::new(kinds::POD, &*self.object.key.namespace, name);
        let uid = self.snapshot.get(&key).map(|pod| pod.meta.uid.clone());
        let preconditions = Preconditions { uid, revision: None };
        let options =
            DeleteOptions { propagation: Some(Propagation::Background), preconditions, ..DeleteOptions::default() };
        match self.transaction.delete(&key, &options) {
            Ok(()) => self.notes.push(Note::normal("SuccessfulDelete", format!("Deleted pod: {name}"))),
            // Somebody else was faster.
            Err(error) if matches!(error.reason, Reason::NotFound | Reason::Conflict) => {}
            Err(error) => {
                self.notes.push(Note::warning("FailedDelete", format!("Error deleting: {error}")));
                self.failure = Some(error.to_string());
            }
        }
    }

    fn forget_old_revisions(
        &mut self,
        revisions: &[Revision],
        current: usize,
        daemons: &[Daemon],
    ) -> Result<(), Failure> {
        let limit = self.set.spec.as_ref().and_then(|s| s.revision_history_limit).unwrap_or(10);
        let limit = usize::try_from(limit).unwrap_or(0);
        let label = |d: &'_ Daemon| d.pod.metadata.labels.as_ref().and_then(|l| l.get(REVISION)).cloned();
        let used: Vec<String> = daemons.iter().filter_map(label).collect();
        let used = used.iter().map(String::as_str).collect();
        let current = BTreeSet::from([revisions[current].name.as_str()]);
        let going = history::superseded(revisions, &current, &used, limit, Counting::Old);
        history::remove(&mut self.transaction, self.object, &going)
    }
}

/// The node that a pod is on, or else the one that it asks for by name.
fn target_node(pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    if let Some(node) = spec.node_name.as_ref().filter(|n| !n.is_empty()) {
        return Some(node.clone());
    }
    let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    let fields = required.node_selector_terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    let mut names = fields.filter(|f| f.key == "metadata.name" && f.operator == "In");
    names.find_map(|f| f.values.as_ref()?.first().cloned())
}

/// The selector of a DaemonSet; `None` when it has none, or one that selects everything.
fn selector_of(object: &Object) -> Option<Selector> {
    let set = object.typed::<DaemonSet>().ok()?;
    let selector = Selector::of_workload(&set.spec.as_ref()?.selector).ok()?;
    (!selector.is_everything()).then_some(selector)
}

/// The sets that have something to do on a node now that it is another: to make a pod, or to take one away. A heartbeat
/// concerns none, and neither does a taint that pods which are there may bear.
fn turned_by_node(snapshot: &Snapshot, event: &Event) -> Vec<ObjectKey> {
    let decoded = |object: &Object| object.typed::<Node>().ok();
    let gone = event.change == Change::Deleted;
    let Some(node) = decoded(&event.object) else { return Vec::new() };
    let before = event.previous.as_deref().filter(|_| !gone).and_then(decoded);
    let asks = |node: &Node| (node.metadata.labels.clone(), node.spec.as_ref().and_then(|s| s.taints.clone()));
    if before.as_deref().is_some_and(|before| asks(before) == asks(&node)) {
        return Vec::new();
    }
    let has_work = |object: &&Arc<Object>| {
        let Ok(set) = object.typed::<DaemonSet>() else { return false };
        let Some(spec) = set.spec.as_ref().and_then(|s| s.template.spec.as_ref()) else { return false };
        let fit = Wants::of(spec).fit(&node);
        let is_there = |pod: &Arc<Object>| {
            pod.key.kind == kinds::POD
                && pod.typed::<Pod>().is_ok_and(|p| target_node(&p) == Some(event.object.key.name.clone()))
        };
        let has_pod = || snapshot.owned_by(&object.meta.uid).any(is_there);
        match gone {
            // It is one node less for the status, too.
            true => fit.run || has_pod(),
            false if fit.run => !has_pod(),
            false => !fit.stay && has_pod(),
        }
    };
    snapshot.list(kinds::DAEMON_SET, "").filter(has_work).map(|set| set.key.clone()).collect()
}
