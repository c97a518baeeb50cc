//! Carries out the plans for StatefulSets: reads a snapshot, asks `plan`, and writes revisions, claims, pods and the
//! status in one transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::identity::{self, Parent};
use super::plan::{Action, Member, Policy, Replica, Update, plan};
use super::retention;
use super::status::{Revisions, next_available, report};
use crate::cluster::controllers::claims::{Claim, Claimant, could_adopt};
use crate::cluster::controllers::decode::{decode, update_status, whole_seconds};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source, controllers_of};
use crate::cluster::controllers::events::{Note, Recorder};
use crate::cluster::controllers::history::{self, Counting, Revision};
use crate::cluster::registry::{
    Author, DeleteOptions, Patch, Preconditions, Registry, Target, Transaction, WriteOptions,
};
use crate::cluster::store::{Change, Event, Snapshot};
use crate::object::selector::Selector;
use crate::object::{ApiError, Object, ObjectKey, Reason, kinds};

/// The label of a revision that holds its hash.
const HASH_LABEL: &str = "controller.kubernetes.io/hash";

pub struct StatefulSetController {
    registry: Registry,
    author: Author,
    recorder: Recorder,
}

impl Controller for StatefulSetController {
    fn name(&self) -> &'static str {
        "statefulset"
    }

    fn sources(&self) -> Vec<Source> {
        let controlled = |kind| Source::new(kind, |_, event| controllers_of(kinds::STATEFUL_SET, event));
        vec![
            Source::own(kinds::STATEFUL_SET),
            Source::new(kinds::POD, |snapshot, event| {
                let mut keys = controllers_of(kinds::STATEFUL_SET, event);
                let adopting = could_adopt(snapshot, kinds::STATEFUL_SET, &event.object, selector_of);
                keys.extend(adopting.into_iter().filter(|set| is_member(&set.name, &event.object)));
                keys
            }),
            controlled(kinds::CONTROLLER_REVISION),
            Source::new(kinds::CLAIM, waiting_for_claim),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else { return Ok(Next::Done) };
        let Some(selector) = selector_of(object) else { return Ok(Next::Done) };
        let set = decode::<StatefulSet>(object)?;
        let value = object.value();
        let claimant = Claimant { owner: object, selector: &selector };
        let run = Run {
            controller: self,
            snapshot: &snapshot,
            object,
            set: &set,
            parent: Parent { claimant: &claimant, value: &value },
            transaction: self.registry.begin(&self.author),
            notes: Vec::new(),
            failure: None,
        };
        run.carry_out().await
    }
}

impl StatefulSetController {
    pub fn new(registry: &Registry) -> Self {
        let author = Author::controller("statefulset-controller");
        let recorder = Recorder::new(registry, &author, "statefulset-controller");
        Self { registry: registry.clone(), author, recorder }
    }
}

/// One run's reading of the snapshot and the writes that follow from it.
struct Run<'a> {
    controller: &'a StatefulSetController,
    snapshot: &'a Snapshot,
    object: &'a Object,
    set: &'a StatefulSet,
    parent: Parent<'a>,
    transaction: Transaction,
    notes: Vec<Note>,
    failure: Option<String>,
}

/// The revisions of a run: all, and where the present template's and the one that pods move away from are.
struct Known {
    all: Vec<Revision>,
    update: usize,
    current: usize,
    collisions: i32,
}

impl Run<'_> {
    async fn carry_out(mut self) -> Result<Next, Failure> {
        let Some(known) = self.revisions()? else {
            self.transaction.commit().await?;
            return Ok(Next::Done);
        };
        let members = self.claim()?;
        if !self.object.meta.is_deleting() {
            let (replicas, condemned) = self.places(&members);
            let spec = self.set.spec.clone().unwrap_or_default();
            let now = whole_seconds(self.controller.registry.clock().now());
            let update = &known.all[known.update].name;
            for action in plan(Policy::of(&spec), &replicas, &condemned, update, now) {
                if let Err(error) = self.act(&action, &known, &members) {
                    self.failure = Some(error.to_string());
                    break;
                }
            }
        }
        self.forget_old_revisions(&known, &members)?;
        self.finish(&known, &members).await
    }

    /// `None` when the set is going and its present template has no revision.
    fn revisions(&mut self) -> Result<Option<Known>, Failure> {
        let status = self.set.status.as_ref();
        let mut collisions = Some(status.and_then(|s| s.collision_count).unwrap_or(0));
        let claimant = self.parent.claimant;
        let mut all = history::claim(&mut self.transaction, self.snapshot, claimant, HASH_LABEL)?;
        let update = if self.object.meta.is_deleting() {
            let name = status.and_then(|s| s.update_revision.as_ref());
            all.iter().position(|r| Some(&r.name) == name)
        } else {
            Some(history::advance(&mut self.transaction, claimant, HASH_LABEL, &mut all, &mut collisions)?)
        };
        let Some(update) = update else { return Ok(None) };
        let named = status.and_then(|s| s.current_revision.as_ref());
        let current = all.iter().position(|r| Some(&r.name) == named).unwrap_or(update);
        Ok(Some(Known { all, update, current, collisions: collisions.unwrap_or(0) }))
    }

    /// The pods of the set by its name and selector; those that nobody controls become its own.
    fn claim(&mut self) -> Result<Vec<Member>, Failure> {
        let mut members = Vec::new();
        let claimant = self.parent.claimant;
        for object in claimant.candidates(self.snapshot, kinds::POD) {
            let Some(ordinal) = identity::ordinal(self.parent.name(), &object.key.name) else { continue };
            match claimant.claim(object) {
                Claim::Ignore => continue,
                Claim::Release => {
                    claimant.release(&mut self.transaction, object)?;
                    continue;
                }
                Claim::Adopt => claimant.adopt(&mut self.transaction, object)?,
                Claim::Keep => {}
            }
            members.push(self.member(ordinal, object)?);
        }
        members.sort_by_key(|m| m.ordinal);
        Ok(members)
    }

    fn member(&self, ordinal: i64, object: &Object) -> Result<Member, Failure> {
        let pod = decode::<Pod>(object)?;
        let claims = self.claims(ordinal);
        let lacks_claims = claims.len() < self.parent.claims(ordinal).len();
        let owners = retention::Policy::of(self.parent.value).owners(self.is_wanted(ordinal));
        let value = object.value();
        let owned = claims.iter().all(|c| retention::change(c, self.parent.value, &value, owners).is_none());
        // Labels of a pod that is to go do not matter any more.
        let identity = !self.is_wanted(ordinal) || self.parent.is_identity_of(&pod, ordinal);
        Ok(Member { ordinal, pod, consistent: owned && identity, lacks_claims })
    }

    /// The claims of an ordinal that exist.
    fn claims(&self, ordinal: i64) -> Vec<Value> {
        let names = self.parent.claims(ordinal);
        names.iter().filter_map(|(_, name)| self.transaction.current(&self.key(kinds::CLAIM, name))).collect()
    }

    fn wanted(&self) -> std::ops::Range<i64> {
        let spec = self.set.spec.as_ref();
        let start = spec.and_then(|s| s.ordinals.as_ref()?.start).unwrap_or(0);
        let replicas = spec.and_then(|s| s.replicas).unwrap_or(1);
        i64::from(start)..i64::from(start) + i64::from(replicas.max(0))
    }

    fn is_wanted(&self, ordinal: i64) -> bool {
        self.wanted().contains(&ordinal)
    }

    /// The places of the wanted ordinals, and the pods of the others from the highest down.
    fn places(&self, members: &[Member]) -> (Vec<Replica>, Vec<Member>) {
        let place = |ordinal: i64| match members.binary_search_by_key(&ordinal, |m| m.ordinal) {
            Ok(index) => Replica::There(members[index].clone()),
            Err(_) => {
                let pod = identity::pod_name(self.parent.name(), ordinal);
                let stale_claim = self.claims(ordinal).iter().any(|c| retention::is_stale(c, &pod, None));
                Replica::Missing { ordinal, stale_claim }
            }
        };
        let condemned = members.iter().rev().filter(|m| !self.is_wanted(m.ordinal)).cloned().collect();
        (self.wanted().map(place).collect(), condemned)
    }

    fn act(&mut self, action: &Action, known: &Known, members: &[Member]) -> Result<(), ApiError> {
        let find = |name: &str| members.iter().find(|m| m.pod.metadata.name.as_deref() == Some(name));
        match action {
            Action::Create(ordinal) => self.create(*ordinal, known),
            Action::Delete(name) => find(name).map_or(Ok(()), |member| self.delete(&member.pod)),
            Action::Recreate { name, failed } => {
                let set = &self.object.key;
                let what = if *failed { "failed" } else { "terminated" };
                let message = format!("StatefulSet {}/{} is recreating {what} Pod {name}", set.namespace, set.name);
                self.notes.push(match failed {
                    true => Note::warning("RecreatingFailedPod", message),
                    false => Note::normal("RecreatingTerminatedPod", message),
                });
                find(name).map_or(Ok(()), |member| self.delete(&member.pod))
            }
            Action::MakeClaims(name) => find(name).map_or(Ok(()), |member| {
                self.make_claims(member.ordinal)?;
                self.give_claims(member.ordinal)
            }),
            Action::GiveClaims(name) => find(name).map_or(Ok(()), |member| self.give_claims(member.ordinal)),
            Action::Mend(name) => find(name).map_or(Ok(()), |member| {
                let mended = self.mend(member);
                self.tell("Update", name, mended)
            }),
        }
    }

    fn create(&mut self, ordinal: i64, known: &Known) -> Result<(), ApiError> {
        let name = identity::pod_name(self.parent.name(), ordinal);
        let revision = &known.all[self.revision_of(ordinal, known)];
        let pod = self.parent.pod(ordinal, &revision.name, &revision.template());
        let created = self.make_claims(ordinal).and_then(|()| {
            self.transaction.create(kinds::POD, &self.object.key.namespace, pod, WriteOptions::default())
        });
        if created.as_ref().is_err_and(|error| error.reason == Reason::AlreadyExists) {
            // A pod of somebody else has the name: there is nothing to say about it, but to try again.
            return created;
        }
        let created = created.and_then(|()| self.give_claims(ordinal));
        self.tell("Create", &name, created)
    }

    /// Below the partition pods stay, or become again, what they were.
    fn revision_of(&self, ordinal: i64, known: &Known) -> usize {
        let spec = self.set.spec.as_ref();
        let Some(Update::Rolling { partition, .. }) = spec.map(|s| Policy::of(s).update) else { return known.update };
        let place = usize::try_from(ordinal - self.wanted().start).unwrap_or(0);
        if place < partition { known.current } else { known.update }
    }

    fn make_claims(&mut self, ordinal: i64) -> Result<(), ApiError> {
        let pod = identity::pod_name(self.parent.name(), ordinal);
        let set = self.object.key.name.clone();
        for claim in self.parent.new_claims(ordinal) {
            let name = claim["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if let Some(current) = self.transaction.current(&self.key(kinds::CLAIM, &name)) {
                if !current["metadata"]["deletionTimestamp"].is_null() {
                    return Err(ApiError::new(Reason::Conflict, format!("pvc {name} is being deleted")));
                }
                continue;
            }
            let namespace = self.object.key.namespace.as_str();
            match self.transaction.create(kinds::CLAIM, namespace, claim, WriteOptions::default()) {
                Ok(()) => {
                    let message = format!("Create Claim {name} Pod {pod} in StatefulSet {set} success");
                    self.notes.push(Note::normal("SuccessfulCreate", message));
                }
                Err(error) => {
                    let message =
                        format!("Create Claim {name} for Pod {pod} in StatefulSet {set} failed error: {error}");
                    self.notes.push(Note::warning("FailedCreate", message));
                    let message = format!("failed to create PVC {name}: {error}");
                    return Err(ApiError { message, ..error });
                }
            }
        }
        Ok(())
    }

    /// Makes the claims of a pod be owned by what they go with.
    fn give_claims(&mut self, ordinal: i64) -> Result<(), ApiError> {
        let name = identity::pod_name(self.parent.name(), ordinal);
        let Some(pod) = self.transaction.current(&self.key(kinds::POD, &name)) else { return Ok(()) };
        let owners = retention::Policy::of(self.parent.value).owners(self.is_wanted(ordinal));
        for claim in self.claims(ordinal) {
            if let Some(references) = retention::change(&claim, self.parent.value, &pod, owners) {
                let claim = claim["metadata"]["name"].as_str().unwrap_or_default();
                let references = if references.is_empty() { Value::Null } else { json!(references) };
                let patch = Patch::Merge(json!({"metadata": {"ownerReferences": references}}));
                let target = Target::from(self.key(kinds::CLAIM, claim));
                self.transaction.patch(&target, patch, WriteOptions::default())?;
            }
        }
        Ok(())
    }

    fn mend(&mut self, member: &Member) -> Result<(), ApiError> {
        if !self.parent.is_identity_of(&member.pod, member.ordinal) {
            let labels: serde_json::Map<String, Value> =
                self.parent.labels(member.ordinal).into_iter().map(|(k, v)| (k.to_owned(), json!(v))).collect();
            let name = member.pod.metadata.name.as_deref().unwrap_or_default();
            let target = Target::from(self.key(kinds::POD, name));
            let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
            self.transaction.patch(&target, patch, WriteOptions::default())?;
            self.make_claims(member.ordinal)?;
        }
        self.give_claims(member.ordinal)
    }

    fn delete(&mut self, pod: &Pod) -> Result<(), ApiError> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let preconditions = Preconditions { uid: pod.metadata.uid.clone(), revision: None };
        let options = DeleteOptions { preconditions, ..DeleteOptions::default() };
        let deleted = self.transaction.delete(&self.key(kinds::POD, name), &options);
        self.tell("Delete", name, deleted)
    }

    /// Notes how something that was done to a pod went.
    fn tell(&mut self, verb: &str, pod: &str, outcome: Result<(), ApiError>) -> Result<(), ApiError> {
        let set = &self.object.key.name;
        let (done, failed) = match verb {
            "Create" => ("SuccessfulCreate", "FailedCreate"),
            "Delete" => ("SuccessfulDelete", "FailedDelete"),
            _ => ("SuccessfulUpdate", "FailedUpdate"),
        };
        match &outcome {
            Ok(()) => {
                self.notes.push(Note::normal(done, format!("{verb} Pod {pod} in StatefulSet {set} successful")));
            }
            Err(error) => {
                let message = format!("{verb} Pod {pod} in StatefulSet {set} failed error: {error}");
                self.notes.push(Note::warning(failed, message));
            }
        }
        outcome
    }

    fn forget_old_revisions(&mut self, known: &Known, members: &[Member]) -> Result<(), Failure> {
        let limit = self.set.spec.as_ref().and_then(|s| s.revision_history_limit).unwrap_or(10);
        let limit = usize::try_from(limit).unwrap_or(0);
        let current = BTreeSet::from([known.all[known.update].name.as_str(), known.all[known.current].name.as_str()]);
        let label = |m: &'_ Member| m.pod.metadata.labels.as_ref().and_then(|l| l.get(identity::REVISION)).cloned();
        let used: Vec<String> = members.iter().filter_map(label).collect();
        let used = used.iter().map(String::as_str).collect();
        let going = history::superseded(&known.all, &current, &used, limit, Counting::Unused);
        history::remove(&mut self.transaction, self.object, &going)
    }

    /// The pods as the transaction leaves them.
    fn pods(&self, members: &[Member]) -> Result<Vec<Arc<Pod>>, Failure> {
        let known = members.iter().map(|m| m.ordinal);
        let ordinals: BTreeSet<i64> = known.chain(self.wanted()).collect();
        let mut pods = Vec::new();
        for ordinal in ordinals {
            let key = self.key(kinds::POD, &identity::pod_name(self.parent.name(), ordinal));
            let member = members.binary_search_by_key(&ordinal, |m| m.ordinal);
            match (self.transaction.step(&key), member) {
                (None, Ok(index)) => pods.push(members[index].pod.clone()),
                (Some(step), _) if step.after.is_some() => {
                    let after = step.after.clone().unwrap_or_default();
                    pods.push(serde_json::from_value(after).map_err(|source| Failure::Decode { key, source })?);
                }
                _ => {}
            }
        }
        Ok(pods)
    }

    /// Stores everything, and says when to look again.
    async fn finish(mut self, known: &Known, members: &[Member]) -> Result<Next, Failure> {
        let now = whole_seconds(self.controller.registry.clock().now());
        let spec = self.set.spec.clone().unwrap_or_default();
        let pods = self.pods(members)?;
        let (current, update) = (&known.all[known.current].name, &known.all[known.update].name);
        let revisions = Revisions { current, update, collisions: known.collisions };
        let status = report(&spec, self.object.meta.generation, revisions, &pods, now);
        if self.set.status.as_ref() != Some(&status) {
            let key = self.object.key.clone();
            let value = serde_json::to_value(&status).map_err(|source| Failure::Decode { key: key.clone(), source })?;
            update_status(&mut self.transaction, &key, |object| object["status"] = value)?;
        }
        self.transaction.commit().await?;
        self.controller.recorder.tell(self.object, &self.notes).await;
        match self.failure {
            Some(failure) => Err(Failure::Pods(failure)),
            None => {
                let next = next_available(spec.min_ready_seconds.unwrap_or(0), &pods, now);
                Ok(next.map_or(Next::Done, Next::After))
            }
        }
    }

    fn key(&self, kind: &'static crate::object::Kind, name: &str) -> ObjectKey {
        ObjectKey::new(kind, &*self.object.key.namespace, name)
    }
}

/// The selector of a StatefulSet; `None` when it has none, or one that selects everything.
fn selector_of(object: &Object) -> Option<Selector> {
    let set = object.typed::<StatefulSet>().ok()?;
    let selector = Selector::of_workload(&set.spec.as_ref()?.selector).ok()?;
    (!selector.is_everything()).then_some(selector)
}

fn is_member(set: &str, pod: &Object) -> bool {
    identity::ordinal(set, &pod.key.name).is_some()
}

/// The sets that made a claim which has gone: they may wait to make it anew.
fn waiting_for_claim(snapshot: &Snapshot, event: &Event) -> Vec<ObjectKey> {
    if event.change != Change::Deleted {
        return Vec::new();
    }
    let claim = &event.object.key;
    let is_of = |set: &&Arc<Object>| {
        let Ok(typed) = set.typed::<StatefulSet>() else { return false };
        let templates = typed.spec.iter().flat_map(|s| s.volume_claim_templates.iter().flatten());
        let mut prefixes = templates.filter_map(|t| Some(format!("{}-{}", t.metadata.name.as_ref()?, set.key.name)));
        prefixes.any(|prefix| identity::ordinal(&prefix, &claim.name).is_some())
    };
    snapshot.list(kinds::STATEFUL_SET, &claim.namespace).filter(is_of).map(|set| set.key.clone()).collect()
}
