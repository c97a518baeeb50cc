//! Ends the pods of nodes that are no longer there: nobody will ever report of them again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use tokio::time::{Duration, Instant};

use super::eviction::set_condition;
use crate::cluster::controllers::decode::{decode, update_status};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source};
use crate::cluster::controllers::pods;
use crate::cluster::registry::{Author, DeleteOptions, Preconditions, Registry};
use crate::cluster::store::{Change, Snapshot};
use crate::object::clock::rfc3339;
use crate::object::{ObjectKey, kinds};

/// A node that has gone may come back, by being registered anew, for this long.
const QUARANTINE: Duration = Duration::from_secs(40);

pub struct GoneController {
    registry: Registry,
    author: Author,
    /// Since when each node is missed.
    missed: Mutex<HashMap<String, Instant>>,
}

impl Controller for GoneController {
    fn name(&self) -> &'static str {
        "node-gone"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::new(kinds::NODE, |_, event| {
                let gone = event.change == Change::Deleted || event.previous.is_none();
                gone.then(|| event.object.key.clone()).into_iter().collect()
            }),
            Source::new(kinds::POD, |snapshot, event| {
                let node = event.object.meta.node.as_deref().map(|name| ObjectKey::new(kinds::NODE, "", name));
                node.filter(|key| event.change != Change::Deleted && snapshot.get(key).is_none()).into_iter().collect()
            }),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let there = snapshot.get(&key).is_some();
        if there || snapshot.pods_on(&key.name).next().is_none() {
            self.missed.lock().unwrap_or_else(PoisonError::into_inner).remove(&key.name);
            return Ok(Next::Done);
        }
        let since = {
            let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
            *missed.entry(key.name.clone()).or_insert_with(Instant::now)
        };
        let left = (since + QUARANTINE).saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return Ok(Next::After(left));
        }
        self.end_pods(&snapshot, &key.name).await?;
        Ok(Next::Done)
    }
}

impl GoneController {
    pub fn new(registry: &Registry) -> Self {
        let author = Author::controller("pod-garbage-collector");
        Self { registry: registry.clone(), author, missed: Mutex::default() }
    }

    async fn end_pods(&self, snapshot: &Snapshot, node: &str) -> Result<(), Failure> {
        let now = rfc3339(self.registry.clock().now());
        for object in snapshot.pods_on(node) {
            let ended = pods::has_ended(&*decode::<Pod>(object)?);
            let mut transaction = self.registry.begin(&self.author);
            let why = json!({"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC",
                "message": "PodGC: node no longer exists", "lastTransitionTime": now});
            update_status(&mut transaction, &object.key, |pod| {
                if !ended {
                    pod["status"]["phase"] = json!("Failed");
                    set_condition(pod, why);
                }
            })?;
            let preconditions = Preconditions { uid: Some(object.meta.uid.clone()), revision: None };
            let options = DeleteOptions { grace_period_seconds: Some(0), preconditions, ..DeleteOptions::default() };
            transaction.delete(&object.key, &options)?;
            transaction.commit().await?;
        }
        Ok(())
    }
}
