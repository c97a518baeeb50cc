//! Carries verdicts out through the registry: bindings with their events, many in one transaction; or the condition
//! that says why there is none.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cluster::registry::{Author, DeleteOptions, Patch, Registry, Target, Transaction, WriteOptions};
use crate::object::clock::rfc3339;
use crate::object::{ApiError, Object, ObjectKey, Reason, kinds};

use super::claims::SELECTED_NODE;
use super::pod::PodInfo;

const NAME: &str = "default-scheduler";
/// How often a write is computed anew when others write the same pod meanwhile.
const TRIES: usize = 5;

/// What a claim gets when its pod's node is chosen.
pub struct Choice {
    pub claim: ObjectKey,
    /// `None`: it is told the node, and somebody makes one there.
    pub volume: Option<String>,
}

/// A pod and the node that it goes to.
pub struct Binding {
    pub object: Arc<Object>,
    pub node: String,
}

/// The scheduler's way to the registry.
#[derive(Clone)]
pub struct Writes {
    registry: Registry,
    author: Author,
}

impl Writes {
    pub fn new(registry: Registry) -> Self {
        let author =
            Author { user: "system:kube-scheduler".into(), manager: "kube-scheduler".into(), ..Author::controller("") };
        Self { registry, author }
    }

    /// Puts the pods on their nodes, all in one transaction. When that is refused, each in one of its own, so that a
    /// pod that others changed holds nobody up. Says for each pod what came of it: it may be gone or on a node
    /// already, or the store refuses.
    pub async fn bind(&self, bindings: &[Binding]) -> Vec<Result<(), ApiError>> {
        if bindings.len() > 1 && self.bind_together(bindings).await.is_ok() {
            return bindings.iter().map(|_| Ok(())).collect();
        }
        let alone = bindings
            .iter()
            .map(|binding| self.write(&binding.object, move |transaction| self.put(transaction, binding)));
        join_all(alone).await
    }

    async fn bind_together(&self, bindings: &[Binding]) -> Result<(), ApiError> {
        let mut transaction = self.registry.begin(&self.author);
        for binding in bindings {
            is_still(&transaction, &binding.object)?;
            self.put(&mut transaction, binding)?;
        }
        transaction.commit().await.map(drop)
    }

    fn put(&self, transaction: &mut Transaction, binding: &Binding) -> Result<(), ApiError> {
        let Binding { object, node } = binding;
        let ObjectKey { namespace, name, .. } = &object.key;
        transaction.bind(&object.key, node)?;
        let message = format!("Successfully assigned {namespace}/{name} to {node}");
        self.tell(transaction, object, "Normal", "Scheduled", &message)
    }

    /// Promises volumes to the pod's claims, or tells them the node that they shall have theirs made on.
    ///
    /// # Errors
    /// When the pod or a claim is gone or the store refuses.
    pub async fn choose(&self, pod: &Object, choices: &[Choice], node: &str) -> Result<(), ApiError> {
        self.write(pod, |transaction| {
            choices.iter().try_for_each(|choice| {
                let (target, patch) = match &choice.volume {
                    Some(volume) => {
                        let key = &choice.claim;
                        let claim = transaction.current(key);
                        let Some(claim) = claim else { return Err(ApiError::not_found(kinds::CLAIM, &key.name)) };
                        let promise = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                            "namespace": key.namespace, "name": key.name, "uid": claim["metadata"]["uid"]});
                        let by = json!({"annotations": {"pv.kubernetes.io/bound-by-controller": "yes"}});
                        let volume = ObjectKey::new(kinds::VOLUME, "", volume.as_str());
                        (volume, json!({"metadata": by, "spec": {"claimRef": promise}}))
                    }
                    None => {
                        let told = json!({"metadata": {"annotations": {(SELECTED_NODE): node}}});
                        (choice.claim.clone(), told)
                    }
                };
                transaction.patch(&Target::from(target), Patch::Merge(patch), WriteOptions::default())
            })
        })
        .await
    }

    /// Notes why the pod is on no node, and the node that is kept for it, if one is.
    ///
    /// # Errors
    /// When the pod is gone or the store refuses.
    pub async fn refuse(&self, pod: &Object, message: &str, nominated: Option<&str>) -> Result<(), ApiError> {
        self.write(pod, |transaction| {
            self.note(transaction, pod, message, nominated)?;
            self.tell(transaction, pod, "Warning", "FailedScheduling", message)
        })
        .await
    }

    /// Makes room for the pod: the victims are told why, and deleted with their grace.
    ///
    /// # Errors
    /// When the pod is gone or the store refuses.
    pub async fn preempt(
        &self,
        pod: &Object,
        message: &str,
        node: &str,
        victims: &[Arc<PodInfo>],
    ) -> Result<(), ApiError> {
        self.write(pod, |transaction| {
            for victim in victims {
                self.evict(transaction, pod, node, &victim.key)?;
            }
            self.note(transaction, pod, message, Some(node))?;
            self.tell(transaction, pod, "Warning", "FailedScheduling", message)
        })
        .await
    }

    async fn write(
        &self,
        pod: &Object,
        steps: impl Fn(&mut Transaction) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let mut lost = ApiError::not_found(kinds::POD, &pod.key.name);
        for _ in 0..TRIES {
            let mut transaction = self.registry.begin(&self.author);
            is_still(&transaction, pod)?;
            steps(&mut transaction)?;
            match transaction.commit().await {
                Err(error) if error.reason == Reason::Conflict => lost = error,
                done => return done.map(drop),
            }
        }
        Err(lost)
    }

    fn note(
        &self,
        transaction: &mut Transaction,
        pod: &Object,
        message: &str,
        nominated: Option<&str>,
    ) -> Result<(), ApiError> {
        let Some(mut next) = transaction.current(&pod.key) else { return Ok(()) };
        let condition =
            json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
        let changed = set_condition(&mut next, condition, self.registry.clock().now());
        let renominated = next["status"]["nominatedNodeName"].as_str() != nominated;
        match (nominated, next["status"].as_object_mut()) {
            (Some(node), Some(status)) => drop(status.insert("nominatedNodeName".into(), json!(node))),
            (None, Some(status)) => drop(status.remove("nominatedNodeName")),
            (_, None) => {}
        }
        if changed || renominated {
            transaction.update(&Target::status(pod.key.clone()), next, WriteOptions::default())?;
        }
        Ok(())
    }

    fn evict(
        &self,
        transaction: &mut Transaction,
        pod: &Object,
        node: &str,
        victim: &ObjectKey,
    ) -> Result<(), ApiError> {
        let Some(mut next) = transaction.current(victim) else { return Ok(()) };
        let Ok(object) = self.registry.get(victim) else { return Ok(()) };
        let message = "default-scheduler: preempting to accommodate a higher priority pod";
        let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
            "message": message});
        if set_condition(&mut next, condition, self.registry.clock().now()) {
            transaction.update(&Target::status(victim.clone()), next, WriteOptions::default())?;
        }
        transaction.delete(victim, &DeleteOptions::default())?;
        let message = format!("Preempted by pod {} on node {node}", pod.meta.uid);
        self.tell(transaction, &object, "Normal", "Preempted", &message)
    }

    fn tell(
        &self,
        transaction: &mut Transaction,
        pod: &Object,
        kind: &str,
        reason: &str,
        message: &str,
    ) -> Result<(), ApiError> {
        let now = rfc3339(self.registry.clock().now());
        let target = Target::new(kinds::EVENT, &pod.key.namespace, &event_name(pod, reason, message));
        if let Some(mut known) = transaction.current(&target.key) {
            known["count"] = json!(known["count"].as_i64().unwrap_or(1).saturating_add(1));
            known["lastTimestamp"] = json!(now);
            return transaction.update(&target, known, WriteOptions::default());
        }
        let event = json!({"apiVersion": "v1", "kind": "Event",
            "metadata": {"name": target.key.name, "namespace": pod.key.namespace},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod.key.name, "namespace": pod.key.namespace,
                "uid": pod.meta.uid, "resourceVersion": pod.meta.revision.to_string()},
            "type": kind, "reason": reason, "message": message, "count": 1,
            "firstTimestamp": now, "lastTimestamp": now,
            "source": {"component": NAME}, "reportingComponent": NAME, "reportingInstance": ""});
        transaction.create(kinds::EVENT, &pod.key.namespace, event, WriteOptions::default())
    }
}

/// The pod has not been replaced by another of its name.
fn is_still(transaction: &Transaction, pod: &Object) -> Result<(), ApiError> {
    match transaction.stored(&pod.key) {
        Some(stored) if stored.meta.uid == pod.meta.uid => Ok(()),
        _ => Err(ApiError::not_found(kinds::POD, &pod.key.name)),
    }
}

/// What is said again of the same pod has the same name, so that it is counted and not repeated.
fn event_name(pod: &Object, reason: &str, message: &str) -> String {
    let mut hash = DefaultHasher::new();
    (&pod.meta.uid, reason, message).hash(&mut hash);
    format!("{}.{:016x}", pod.key.name, hash.finish())
}

/// Sets a condition of a pod; `false` when it says so already.
fn set_condition(pod: &mut Value, mut condition: Value, now: Timestamp) -> bool {
    if !pod["status"].is_object() {
        pod["status"] = json!({});
    }
    let mut conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let known = conditions.iter_mut().find(|known| known["type"] == condition["type"]);
    if let Some(known) = &known
        && ["status", "reason", "message"].iter().all(|field| known[*field] == condition[*field])
    {
        return false;
    }
    condition["lastProbeTime"] = Value::Null;
    let unturned = known.as_ref().filter(|known| known["status"] == condition["status"]);
    condition["lastTransitionTime"] = match unturned {
        Some(known) => known["lastTransitionTime"].clone(),
        None => json!(rfc3339(now)),
    };
    match known {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
    pod["status"]["conditions"] = json!(conditions);
    true
}
