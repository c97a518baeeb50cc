//! Carries out the plans for CronJobs: reads a snapshot, asks `plan`, writes all of it in one transaction.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::{Value, json};

use super::calendar;
use super::due::Past;
use super::plan::{View, job_name, plan, since, timing};
use crate::cluster::controllers::decode::{decode, is_namespace_terminating, update_status};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source, controllers_of};
use crate::cluster::controllers::events::{Note, Recorder};
use crate::cluster::registry::{
    Author, DeleteOptions, Preconditions, Propagation, Registry, Transaction, WriteOptions,
};
use crate::cluster::store::{Event, Snapshot};
use crate::object::{Clock, Object, ObjectKey, Reason, kinds};

/// On each Job: the time that it is for, in the CronJob's time zone.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

pub struct CronJobController {
    registry: Registry,
    author: Author,
    recorder: Recorder,
}

impl Controller for CronJobController {
    fn name(&self) -> &'static str {
        "cronjob"
    }

    fn sources(&self) -> Vec<Source> {
        let clock = self.registry.clock();
        vec![
            Source::batched(kinds::CRON_JOB, move |_, event| {
                let wait = until_new_schedule(event, clock).unwrap_or(Duration::ZERO);
                vec![(event.object.key.clone(), wait)]
            }),
            Source::new(kinds::JOB, |_, event| controllers_of(kinds::CRON_JOB, event)),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else { return Ok(Next::Done) };
        let cron_job = decode::<CronJob>(object)?;
        let controlled = |o: &&Arc<Object>| {
            o.key.kind == kinds::JOB && o.meta.controller().is_some_and(|c| c.uid == object.meta.uid)
        };
        let jobs = snapshot.owned_by(&object.meta.uid).filter(controlled).map(|o| decode::<Job>(o));
        let taken = Box::new(|name: &str| snapshot.find(kinds::JOB, &key.namespace, name).is_some());
        let now = self.registry.clock().now();
        let view = View { cron_job: cron_job.clone(), jobs: jobs.collect::<Result<_, _>>()?, taken, now };
        let mut plan = plan(&view);
        let mut transaction = self.registry.begin(&self.author);
        for name in &plan.delete {
            delete(&mut transaction, &key.namespace, name)?;
        }
        let mut refusal = None;
        if let Some(at) = plan.create {
            match create(&mut transaction, object, &cron_job, at) {
                Ok(reference) => {
                    let name = reference.name.as_deref().unwrap_or_default();
                    plan.notes.push(Note::normal("SuccessfulCreate", format!("Created job {name}")));
                    plan.status.active.get_or_insert_default().push(reference);
                }
                Err(failure) => {
                    plan.status.last_schedule_time =
                        cron_job.status.as_ref().and_then(|s| s.last_schedule_time.clone());
                    if !is_namespace_terminating(&failure) {
                        plan.notes.push(Note::warning("FailedCreate", format!("Error creating job: {failure}")));
                        refusal = Some(failure);
                    }
                }
            }
        }
        if cron_job.status.clone().unwrap_or_default() != plan.status {
            write_status(&mut transaction, object, &plan.status)?;
        }
        transaction.commit().await?;
        self.recorder.tell(object, &plan.notes).await;
        refusal.map_or(Ok(plan.next), Err)
    }
}

impl CronJobController {
    pub fn new(registry: &Registry) -> Self {
        let author = Author::controller("cronjob-controller");
        let recorder = Recorder::new(registry, &author, "cronjob-controller");
        Self { registry: registry.clone(), author, recorder }
    }
}

/// A new schedule begins with its next time: what it would have missed had it been there before is not made up for.
fn until_new_schedule(event: &Event, clock: Clock) -> Option<Duration> {
    let new = event.object.typed::<CronJob>().ok()?;
    let old = event.previous.as_ref()?.typed::<CronJob>().ok()?;
    let of = |spec: &CronJobSpec| (spec.schedule.clone(), spec.time_zone.clone());
    let spec = new.spec.as_ref()?;
    if old.spec.as_ref().map(of) == Some(of(spec)) {
        return None;
    }
    let (schedule, zone) = timing(spec).ok()?;
    Past { since: since(&new), now: clock.now(), next: &|after| calendar::next(&schedule, &zone, after) }.wait()
}

fn delete(transaction: &mut Transaction, namespace: &str, name: &str) -> Result<(), Failure> {
    let key = ObjectKey::new(kinds::JOB, namespace, name);
    let preconditions = Preconditions::default();
    let options =
        DeleteOptions { propagation: Some(Propagation::Background), preconditions, ..DeleteOptions::default() };
    match transaction.delete(&key, &options) {
        Err(error) if error.reason != Reason::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Makes the Job for a time; gives the reference that the list of active Jobs holds.
fn create(
    transaction: &mut Transaction,
    owner: &Object,
    cron_job: &CronJob,
    at: Timestamp,
) -> Result<ObjectReference, Failure> {
    let key = ObjectKey::new(kinds::JOB, &*owner.key.namespace, job_name(&owner.key.name, at));
    let mut template = owner.value()["spec"]["jobTemplate"].take();
    let mut metadata = json!({"name": key.name, "namespace": key.namespace, "ownerReferences": [{
        "apiVersion": kinds::CRON_JOB.api_version(), "kind": kinds::CRON_JOB.kind, "name": owner.key.name,
        "uid": owner.meta.uid, "controller": true, "blockOwnerDeletion": true}]});
    for member in ["labels", "annotations"] {
        if !template["metadata"][member].is_null() {
            metadata[member] = template["metadata"][member].take();
        }
    }
    metadata["annotations"][SCHEDULED] = json!(in_zone(at, cron_job));
    let job = json!({"apiVersion": kinds::JOB.api_version(), "kind": kinds::JOB.kind, "metadata": metadata,
        "spec": template["spec"].take()});
    transaction.create(kinds::JOB, &key.namespace, job, WriteOptions::default())?;
    let uid = transaction.current(&key).and_then(|job| job["metadata"]["uid"].as_str().map(str::to_owned));
    Ok(ObjectReference {
        api_version: Some(kinds::JOB.api_version()),
        kind: Some(kinds::JOB.kind.to_owned()),
        name: Some(key.name),
        namespace: Some(key.namespace),
        uid,
        ..ObjectReference::default()
    })
}

/// RFC 3339; no offset is written as Z.
fn in_zone(at: Timestamp, cron_job: &CronJob) -> String {
    let zone = cron_job.spec.as_ref().and_then(|spec| timing(spec).ok()).map(|(_, zone)| zone);
    let local = at.to_zoned(zone.unwrap_or(jiff::tz::TimeZone::UTC));
    let format = if local.offset().seconds() == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%:z" };
    local.strftime(format).to_string()
}

fn write_status(transaction: &mut Transaction, object: &Object, status: &CronJobStatus) -> Result<(), Failure> {
    let status: Value =
        serde_json::to_value(status).map_err(|source| Failure::Decode { key: object.key.clone(), source })?;
    update_status(transaction, &object.key, |object| object["status"] = status)
}
