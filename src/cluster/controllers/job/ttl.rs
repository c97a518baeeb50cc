//! Removes Jobs that have ended, as long after their end as they ask for.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;

use super::conditions::ended;
use crate::cluster::controllers::decode::decode;
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source};
use crate::cluster::registry::{Author, DeleteOptions, Preconditions, Propagation, Registry};
use crate::cluster::store::Snapshot;
use crate::object::{ObjectKey, Reason, kinds};

pub struct TtlController {
    registry: Registry,
    author: Author,
}

impl Controller for TtlController {
    fn name(&self) -> &'static str {
        "ttl-after-finished"
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::new(kinds::JOB, |_, event| {
            let job = event.object.typed::<Job>();
            let concerns = job.is_ok_and(|job| expires_at(&job).is_some());
            concerns.then(|| event.object.key.clone()).into_iter().collect()
        })]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key).filter(|o| !o.meta.is_deleting()) else { return Ok(Next::Done) };
        let Some(at) = expires_at(&*decode::<Job>(object)?) else { return Ok(Next::Done) };
        let left = at.duration_since(self.registry.clock().now());
        if left.is_positive() {
            return Ok(Next::After(left.unsigned_abs()));
        }
        let preconditions = Preconditions { uid: Some(object.meta.uid.clone()), revision: Some(object.meta.revision) };
        let options =
            DeleteOptions { propagation: Some(Propagation::Foreground), preconditions, ..DeleteOptions::default() };
        match self.registry.delete(&self.author, &key, &options).await {
            // Somebody else was faster; a change of the Job asks for another run.
            Err(error) if !matches!(error.reason, Reason::NotFound | Reason::Conflict) => Err(error.into()),
            _ => Ok(Next::Done),
        }
    }
}

impl TtlController {
    pub fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), author: Author::controller("ttl-after-finished-controller") }
    }
}

/// When the Job is to be removed; `None` when it has not ended, or is to stay.
fn expires_at(job: &Job) -> Option<Timestamp> {
    let seconds = job.spec.as_ref()?.ttl_seconds_after_finished?;
    let ended = ended(job.status.as_ref())?.at?;
    ended.checked_add(SignedDuration::from_secs(i64::from(seconds))).ok()
}
