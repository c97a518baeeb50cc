//! Deletes the pods whose tolerance of their node's taints has ended.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};
use tokio::time::Duration;

use super::beats::GRACE;
use super::leaving::{Leaves, driving_taints, leaves};
use crate::cluster::controllers::decode::{decode, update_status};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source};
use crate::cluster::controllers::events::{Note, Recorder};
use crate::cluster::registry::{Author, DeleteOptions, Preconditions, Registry};
use crate::cluster::store::Snapshot;
use crate::object::clock::rfc3339;
use crate::object::{Object, ObjectKey, kinds};

pub struct EvictionController {
    registry: Registry,
    author: Author,
    recorder: Recorder,
    /// Nobody is evicted before the nodes had time to be heard of again after our own start.
    earliest: Timestamp,
}

impl Controller for EvictionController {
    fn name(&self) -> &'static str {
        "taint-eviction"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::NODE),
            Source::new(kinds::POD, |snapshot, event| {
                let node = event.object.meta.node.as_deref().map(|name| ObjectKey::new(kinds::NODE, "", name));
                let tainted = |key: &ObjectKey| {
                    let node = snapshot.get(key).and_then(|o| o.typed::<Node>().ok());
                    node.is_some_and(|node| !driving_taints(&node).is_empty())
                };
                node.filter(tainted).into_iter().collect()
            }),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else { return Ok(Next::Done) };
        let node = decode::<Node>(object)?;
        let taints = driving_taints(&node);
        if taints.is_empty() {
            return Ok(Next::Done);
        }
        let now = self.registry.clock().now();
        let mut next: Option<Timestamp> = None;
        for object in snapshot.pods_on(&key.name).filter(|pod| !pod.meta.is_deleting()) {
            let Leaves::At(due) = leaves(&*decode::<Pod>(object)?, &taints) else { continue };
            let due = due.max(self.earliest);
            if due <= now {
                self.evict(object).await?;
            } else {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        let wait = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok());
        Ok(wait.map_or(Next::Done, Next::After))
    }
}

impl EvictionController {
    pub fn new(registry: &Registry) -> Self {
        let author = Author::controller("taint-eviction-controller");
        let recorder = Recorder::new(registry, &author, "taint-eviction-controller");
        let grace = SignedDuration::try_from(GRACE).unwrap_or(SignedDuration::ZERO);
        let earliest = registry.clock().now().saturating_add(grace).unwrap_or(Timestamp::MAX);
        Self { registry: registry.clone(), author, recorder, earliest }
    }

    async fn evict(&self, pod: &Object) -> Result<(), Failure> {
        let message = format!("Marking for deletion Pod {}/{}", pod.key.namespace, pod.key.name);
        self.recorder.tell(pod, &[Note::normal("TaintManagerEviction", message)]).await;
        let now = rfc3339(self.registry.clock().now());
        let mut transaction = self.registry.begin(&self.author);
        let why = json!({"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint", "lastTransitionTime": now});
        update_status(&mut transaction, &pod.key, |object| set_condition(object, why))?;
        let preconditions = Preconditions { uid: Some(pod.meta.uid.clone()), revision: None };
        transaction.delete(&pod.key, &DeleteOptions { preconditions, ..DeleteOptions::default() })?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Sets a condition of a pod in its JSON form.
pub fn set_condition(pod: &mut Value, condition: Value) {
    let mut conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|c| c["type"] != condition["type"]);
    conditions.push(condition);
    pod["status"]["conditions"] = json!(conditions);
}
