//! Carries out the plans for Jobs: reads a snapshot, asks `plan`, writes all of it in one transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::backoff::Backoff;
use super::conditions::ended;
use super::plan::{NewPod, Plan, View, plan};
use super::terms::{INDEX, INDEX_FAILURES, INDEX_IGNORED_FAILURES, TRACKING, is_managed_elsewhere, is_tracked};
use crate::cluster::controllers::claims::{Claim, Claimant, could_adopt};
use crate::cluster::controllers::decode::{decode, is_namespace_terminating, update_status};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source, controllers_of};
use crate::cluster::controllers::events::{Note, Recorder};
use crate::cluster::controllers::finalizers::change_finalizers;
use crate::cluster::controllers::offspring::{free_name, pod_of};
use crate::cluster::registry::{
    Author, DeleteOptions, Preconditions, Propagation, Registry, Transaction, WriteOptions,
};
use crate::cluster::store::{Change, Event, Snapshot};
use crate::object::selector::Selector;
use crate::object::{Object, ObjectKey, Reason, kinds};

/// Ends of pods within this time are counted together: of pods that fail at once, none is deleted for the failure
/// of another.
const BATCH: Duration = Duration::from_secs(1);
/// The longest prefix of a generated name.
const LONGEST_PREFIX: usize = 58;

pub struct JobController {
    registry: Registry,
    author: Author,
    recorder: Recorder,
    /// Failures in a row, by Job and its uid. Lost at a restart: failed pods are then replaced at once.
    backoffs: Mutex<HashMap<ObjectKey, (String, Backoff)>>,
}

impl Controller for JobController {
    fn name(&self) -> &'static str {
        "job"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::batched(kinds::JOB, |snapshot, event| {
                let job = &event.object;
                let same = |previous: &Arc<Object>| previous.meta.generation == job.meta.generation;
                let wait = if event.previous.as_ref().is_some_and(same) { BATCH } else { Duration::ZERO };
                let mut keys = vec![(job.key.clone(), wait)];
                if event.change == Change::Deleted {
                    let left = snapshot.owned_by(&job.meta.uid).filter(|o| is_pod_tracked(o));
                    keys.extend(left.map(|pod| (pod.key.clone(), Duration::ZERO)));
                }
                keys
            }),
            Source::batched(kinds::POD, |snapshot, event| {
                let mut keys = controllers_of(kinds::JOB, event);
                keys.extend(could_adopt(snapshot, kinds::JOB, &event.object, selector_of));
                let mut keys: Vec<_> = keys.into_iter().map(|key| (key, BATCH)).collect();
                if is_forlorn(snapshot, event) {
                    keys.push((event.object.key.clone(), Duration::ZERO));
                }
                keys
            }),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        if key.kind == kinds::POD {
            return self.let_go(&snapshot, &key).await;
        }
        let Some(object) = snapshot.get(&key) else {
            self.forget(&key);
            return Ok(Next::Done);
        };
        let job = decode::<Job>(object)?;
        if is_managed_elsewhere(&job) {
            return Ok(Next::Done);
        }
        if ended(job.status.as_ref()).is_some() {
            self.forget(&key);
            return Ok(Next::Done);
        }
        let Some(selector) = selector_of(object) else { return Ok(Next::Done) };
        let claimant = Claimant { owner: object, selector: &selector };
        let mut transaction = self.registry.begin(&self.author);
        let pods = claim(&mut transaction, &snapshot, &claimant)?;
        let view = View { job, pods, backoff: self.backoff_of(object), now: self.registry.clock().now() };
        self.carry_out(transaction, &claimant, plan(&view)).await
    }
}

impl JobController {
    pub fn new(registry: &Registry) -> Self {
        let author = Author::controller("job-controller");
        let recorder = Recorder::new(registry, &author, "job-controller");
        Self { registry: registry.clone(), author, recorder, backoffs: Mutex::default() }
    }

    fn backoff_of(&self, job: &Object) -> Backoff {
        let backoffs = self.backoffs.lock().unwrap_or_else(PoisonError::into_inner);
        backoffs.get(&job.key).filter(|(uid, _)| *uid == job.meta.uid).map_or_else(Backoff::default, |(_, b)| *b)
    }

    fn remember(&self, job: &Object, backoff: Backoff) {
        if backoff == Backoff::default() {
            return self.forget(&job.key);
        }
        let mut backoffs = self.backoffs.lock().unwrap_or_else(PoisonError::into_inner);
        backoffs.insert(job.key.clone(), (job.meta.uid.clone(), backoff));
    }

    fn forget(&self, key: &ObjectKey) {
        self.backoffs.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    async fn carry_out(
        &self,
        mut transaction: Transaction,
        claimant: &Claimant<'_>,
        mut plan: Plan,
    ) -> Result<Next, Failure> {
        let job = claimant.owner;
        for pod in &plan.release {
            change_finalizers(&mut transaction, &key_of(pod), |finalizers| finalizers.retain(|f| f != TRACKING))?;
        }
        for pod in &plan.delete {
            delete(&mut transaction, pod)?;
        }
        let refusal = create(&mut transaction, claimant, &mut plan)?;
        if let Some(status) = &plan.status {
            write_status(&mut transaction, job, status)?;
        }
        transaction.commit().await?;
        self.remember(job, plan.backoff);
        self.recorder.tell(job, &plan.notes).await;
        match refusal {
            Some(failure) if !is_namespace_terminating(&failure) => Err(failure),
            _ => Ok(plan.next),
        }
    }

    /// Takes the finalizer off a pod that no Job counts any more.
    async fn let_go(&self, snapshot: &Snapshot, key: &ObjectKey) -> Result<Next, Failure> {
        let Some(pod) = snapshot.get(key).filter(|pod| counting_job(snapshot, pod).is_none()) else {
            return Ok(Next::Done);
        };
        if is_pod_tracked(pod) {
            let mut transaction = self.registry.begin(&self.author);
            change_finalizers(&mut transaction, key, |finalizers| finalizers.retain(|f| f != TRACKING))?;
            transaction.commit().await?;
        }
        Ok(Next::Done)
    }
}

/// The selector of a Job; `None` when it has none, or one that selects everything.
fn selector_of(object: &Object) -> Option<Selector> {
    let job = object.typed::<Job>().ok()?;
    let selector = Selector::of_workload(job.spec.as_ref()?.selector.as_ref()?).ok()?;
    (!selector.is_everything()).then_some(selector)
}

fn is_pod_tracked(object: &Object) -> bool {
    object.key.kind == kinds::POD && object.meta.finalizers.iter().any(|finalizer| finalizer == TRACKING)
}

/// A pod with the finalizer whose Job does not count it.
fn is_forlorn(snapshot: &Snapshot, event: &Event) -> bool {
    let pod = &event.object;
    event.change != Change::Deleted && is_pod_tracked(pod) && counting_job(snapshot, pod).is_none()
}

/// The Job that is to count a pod, if there is one and it has not ended.
fn counting_job<'a>(snapshot: &'a Snapshot, pod: &Object) -> Option<&'a Arc<Object>> {
    let owner = pod.meta.controller().filter(|owner| owner.kind == kinds::JOB.kind)?;
    let job = snapshot.find(kinds::JOB, &pod.key.namespace, &owner.name)?;
    let ended = job.typed::<Job>().is_ok_and(|job| ended(job.status.as_ref()).is_some());
    (job.meta.uid == owner.uid && !ended).then_some(job)
}

fn key_of(pod: &Pod) -> ObjectKey {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    ObjectKey::new(kinds::POD, text(&pod.metadata.namespace), text(&pod.metadata.name))
}

/// Adopts and releases pods; gives those that are the Job's.
fn claim(
    transaction: &mut Transaction,
    snapshot: &Snapshot,
    claimant: &Claimant<'_>,
) -> Result<Vec<Arc<Pod>>, Failure> {
    let mut pods = Vec::new();
    for object in claimant.candidates(snapshot, kinds::POD) {
        let pod = decode::<Pod>(object)?;
        match claimant.claim(object) {
            Claim::Ignore => {}
            Claim::Keep => pods.push(pod),
            Claim::Release => {
                claimant.release(transaction, object)?;
                change_finalizers(transaction, &object.key, |finalizers| finalizers.retain(|f| f != TRACKING))?;
            }
            Claim::Adopt => {
                claimant.adopt(transaction, object)?;
                let mut pod = Arc::unwrap_or_clone(pod);
                if !is_tracked(&pod) {
                    change_finalizers(transaction, &object.key, |finalizers| finalizers.push(TRACKING.to_owned()))?;
                    pod.metadata.finalizers.get_or_insert_default().push(TRACKING.to_owned());
                }
                pods.push(Arc::new(pod));
            }
        }
    }
    Ok(pods)
}

fn delete(transaction: &mut Transaction, pod: &Pod) -> Result<(), Failure> {
    let preconditions = Preconditions { uid: pod.metadata.uid.clone(), revision: None };
    let options =
        DeleteOptions { propagation: Some(Propagation::Background), preconditions, ..DeleteOptions::default() };
    match transaction.delete(&key_of(pod), &options) {
        Err(error) if error.reason != Reason::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Makes the pods of a plan until one is refused; the rest is taken out of the plan's count.
fn create(transaction: &mut Transaction, claimant: &Claimant<'_>, plan: &mut Plan) -> Result<Option<Failure>, Failure> {
    let job = claimant.owner;
    let template = job.value()["spec"]["template"].take();
    let mut random = fastrand::Rng::new();
    for (made, new) in plan.create.iter().enumerate() {
        let pod = pod_for(new, &template, claimant);
        let base = pod["metadata"]["generateName"].as_str().unwrap_or_default().to_owned();
        let name = free_name(transaction, kinds::POD, &job.key.namespace, &base, &mut random);
        let mut pod = pod;
        pod["metadata"]["name"] = json!(name);
        if let Err(error) = transaction.create(kinds::POD, &job.key.namespace, pod, WriteOptions::default()) {
            let missing = i32::try_from(plan.create.len() - made).unwrap_or(i32::MAX);
            if let Some(status) = &mut plan.status {
                status.active = status.active.map(|active| active - missing).filter(|active| *active > 0);
            }
            let failure = Failure::Refused(error);
            if !is_namespace_terminating(&failure) {
                plan.notes.push(Note::warning("FailedCreate", format!("Error creating: {failure}")));
            }
            return Ok(Some(failure));
        }
        plan.notes.push(Note::normal("SuccessfulCreate", format!("Created pod: {name}")));
    }
    Ok(None)
}

fn pod_for(new: &NewPod, template: &Value, claimant: &Claimant<'_>) -> Value {
    let job = &claimant.owner.key.name;
    let mut pod = pod_of(template, claimant, &prefix(job, new.index));
    let mut finalizers = pod["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == TRACKING) {
        finalizers.push(json!(TRACKING));
    }
    pod["metadata"]["finalizers"] = json!(finalizers);
    if let Some(index) = new.index {
        pod["metadata"]["annotations"][INDEX] = json!(index.to_string());
        pod["metadata"]["labels"][INDEX] = json!(index.to_string());
        pod["spec"]["hostname"] = json!(format!("{job}-{index}"));
        for containers in ["initContainers", "containers"] {
            let all = pod["spec"].get_mut(containers).and_then(Value::as_array_mut);
            all.into_iter().flatten().for_each(name_index);
        }
    }
    if let Some((counted, ignored)) = new.failures {
        pod["metadata"]["annotations"][INDEX_FAILURES] = json!(counted.to_string());
        if ignored > 0 {
            pod["metadata"]["annotations"][INDEX_IGNORED_FAILURES] = json!(ignored.to_string());
        }
    }
    pod
}

/// Tells a container its index, unless it sets the variable itself.
fn name_index(container: &mut Value) {
    const NAME: &str = "JOB_COMPLETION_INDEX";
    let mut variables = container["env"].as_array().cloned().unwrap_or_default();
    if variables.iter().any(|variable| variable["name"] == NAME) {
        return;
    }
    let path = format!("metadata.labels['{INDEX}']");
    variables.push(json!({"name": NAME, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}));
    container["env"] = json!(variables);
}

/// What the names of a Job's pods begin with; the index is kept when the Job's name is cut.
fn prefix(job: &str, index: Option<i32>) -> String {
    let Some(index) = index else { return format!("{job}-") };
    let end = format!("-{index}-");
    let mut prefix: String = job.chars().take(LONGEST_PREFIX - end.len()).collect();
    prefix.push_str(&end);
    prefix
}

fn write_status(transaction: &mut Transaction, job: &Object, status: &JobStatus) -> Result<(), Failure> {
    let status = serde_json::to_value(status).map_err(|source| Failure::Decode { key: job.key.clone(), source })?;
    update_status(transaction, &job.key, |object| object["status"] = status)
}
