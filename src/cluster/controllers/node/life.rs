//! Watches over the nodes: writes that a silent node is not ready, on it and on its pods, and keeps the taints that
//! follow from its conditions. Heartbeats of nodes that are well cost no run: a run looks when patience would end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::json;
use tokio::time::{Duration, Instant};

use super::beats::Beats;
use super::health::{NO_EXECUTE, Readiness, driving, readiness, silenced, taints};
use super::pace::{Count, Pace, pace};
use crate::cluster::controllers::decode::{decode, update_status, whole_seconds};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source};
use crate::cluster::controllers::events::{Note, Recorder};
use crate::cluster::controllers::pods;
use crate::cluster::registry::{Author, Patch, Registry, Target, Transaction, WriteOptions};
use crate::cluster::store::{Change, Event, Snapshot};
use crate::object::clock::rfc3339;
use crate::object::{Object, ObjectKey, kinds};

/// Namespace of the leases that nodes renew.
const LEASES: &str = "kube-node-lease";
const ZONE: &str = "topology.kubernetes.io/zone";

pub struct LifeController {
    registry: Registry,
    author: Author,
    recorder: Recorder,
    beats: Arc<Beats>,
    /// When a node of each zone last got the taint that drives its pods off.
    driven: Mutex<HashMap<String, Instant>>,
}

impl Controller for LifeController {
    fn name(&self) -> &'static str {
        "node-life"
    }

    fn sources(&self) -> Vec<Source> {
        let (beats, leases) = (self.beats.clone(), self.beats.clone());
        vec![
            Source::new(kinds::NODE, move |snapshot, event| {
                hear_node(&beats, event);
                concerned(snapshot, event)
            }),
            Source::new(kinds::LEASE, move |snapshot, event| {
                let lease = &event.object.key;
                if lease.namespace != LEASES || event.change == Change::Deleted {
                    return Vec::new();
                }
                // A lease that is merely listed says nothing of when it was renewed.
                if event.change == Change::Modified || event.previous.is_some() {
                    leases.hear(&lease.name, Instant::now());
                }
                let node = ObjectKey::new(kinds::NODE, "", &*lease.name);
                let silent = snapshot.get(&node).and_then(|o| o.typed::<Node>().ok());
                let silent = silent.is_some_and(|node| readiness(&node) == Readiness::Unknown);
                silent.then_some(node).into_iter().collect()
            }),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key).filter(|n| !n.meta.is_deleting()) else {
            self.beats.forget(&key.name);
            return Ok(Next::Done);
        };
        let node = decode::<Node>(object)?;
        let patience = self.beats.patience(&key.name, Instant::now());
        if patience.is_none() && self.silence(&snapshot, object, &node).await? {
            // The node's own change asks for the next run, which sees to its taints.
            return Ok(Next::Done);
        }
        let wait = self.taint(&snapshot, object, &node).await?;
        // A node that reports itself as not ready reports of its pods, too; only a silent one is spoken for.
        if readiness(&node) == Readiness::Unknown {
            self.mark_pods(&snapshot, object).await?;
        }
        let next = patience.into_iter().chain(wait).min();
        Ok(next.map_or(Next::Done, Next::After))
    }
}

impl LifeController {
    pub fn new(registry: &Registry) -> Self {
        let author = Author::controller("node-controller");
        let recorder = Recorder::new(registry, &author, "node-controller");
        let beats = Arc::new(Beats::start(Instant::now()));
        Self { registry: registry.clone(), author, recorder, beats, driven: Mutex::default() }
    }

    /// Writes that nobody knows how the node is; true when that was news.
    async fn silence(&self, snapshot: &Snapshot, object: &Object, node: &Node) -> Result<bool, Failure> {
        let now = whole_seconds(self.registry.clock().now());
        let Some(conditions) = silenced(node, now) else { return Ok(false) };
        let conditions =
            serde_json::to_value(conditions).map_err(|source| Failure::Decode { key: object.key.clone(), source })?;
        let mut transaction = self.registry.begin(&self.author);
        update_status(&mut transaction, &object.key, |object| object["status"]["conditions"] = conditions)?;
        self.mark_pods_in(&mut transaction, snapshot, object)?;
        transaction.commit().await?;
        let message = format!("Node {} status is now: NodeNotReady", object.key.name);
        self.recorder.tell(object, &[Note::normal("NodeNotReady", message)]).await;
        Ok(true)
    }

    async fn mark_pods(&self, snapshot: &Snapshot, node: &Object) -> Result<(), Failure> {
        let mut transaction = self.registry.begin(&self.author);
        if self.mark_pods_in(&mut transaction, snapshot, node)? {
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Nobody is sent to the pods of a node that is not ready, though they may well be running.
    fn mark_pods_in(&self, transaction: &mut Transaction, snapshot: &Snapshot, node: &Object) -> Result<bool, Failure> {
        let now = rfc3339(self.registry.clock().now());
        let mut any = false;
        for object in snapshot.pods_on(&node.key.name) {
            let pod = decode::<Pod>(object)?;
            if !pods::is_ready(&pod) {
                continue;
            }
            any = true;
            update_status(transaction, &object.key, |object| {
                let conditions = object["status"]["conditions"].as_array_mut().into_iter().flatten();
                for ready in conditions.filter(|c| c["type"] == "Ready") {
                    ready["status"] = json!("False");
                    ready["reason"] = json!("NodeNotReady");
                    ready["lastTransitionTime"] = json!(now);
                }
            })?;
        }
        Ok(any)
    }

    /// Keeps the taints; gives when to look again if the node has to wait for the taint that drives pods off.
    async fn taint(&self, snapshot: &Snapshot, object: &Object, node: &Node) -> Result<Option<Duration>, Failure> {
        let zone = object.meta.labels.get(ZONE).cloned().unwrap_or_default();
        let (drive, wait) = self.may_drive(snapshot, &zone, node);
        let now = whole_seconds(self.registry.clock().now());
        let Some(taints) = taints(node, drive, now) else { return Ok(wait) };
        let taints =
            serde_json::to_value(taints).map_err(|source| Failure::Decode { key: object.key.clone(), source })?;
        let patch = json!({"metadata": {"resourceVersion": object.meta.revision.to_string()},
            "spec": {"taints": taints}});
        let target = Target::from(object.key.clone());
        self.registry.patch(&self.author, &target, Patch::Merge(patch), WriteOptions::default()).await?;
        if drive && !is_driven(node) {
            self.driven.lock().unwrap_or_else(PoisonError::into_inner).insert(zone, Instant::now());
        }
        Ok(wait)
    }

    fn may_drive(&self, snapshot: &Snapshot, zone: &str, node: &Node) -> (bool, Option<Duration>) {
        if driving(readiness(node)).is_none() {
            return (false, None);
        }
        let Pace::Every(pause) = pace(count(snapshot, Some(zone)), count(snapshot, None)) else { return (false, None) };
        if is_driven(node) {
            return (true, None);
        }
        let last = self.driven.lock().unwrap_or_else(PoisonError::into_inner).get(zone).copied();
        let wait = last.map(|last| (last + pause).saturating_duration_since(Instant::now()));
        match wait.filter(|wait| !wait.is_zero()) {
            None => (true, None),
            Some(wait) => (false, Some(wait)),
        }
    }
}

/// The node has a taint that drives pods off already.
fn is_driven(node: &Node) -> bool {
    let taints = node.spec.iter().flat_map(|s| s.taints.iter().flatten());
    let key = driving(readiness(node));
    taints.into_iter().any(|taint| taint.effect == NO_EXECUTE && Some(taint.key.as_str()) == key)
}

fn count(snapshot: &Snapshot, zone: Option<&str>) -> Count {
    let mut count = Count::default();
    for object in snapshot.list(kinds::NODE, "") {
        if zone.is_some_and(|zone| object.meta.labels.get(ZONE).map_or("", String::as_str) != zone) {
            continue;
        }
        match object.typed::<Node>().map(|node| readiness(&node)) {
            Ok(Readiness::Ready) => count.ready += 1,
            _ => count.silent += 1,
        }
    }
    count
}

/// A change of a node's status is a sign of life, unless it is our own.
fn hear_node(beats: &Beats, event: &Event) {
    let name = &event.object.key.name;
    let beat = |object: &Object| {
        let node = object.typed::<Node>().ok()?;
        super::health::condition(&node, "Ready")?.last_heartbeat_time.clone()
    };
    match (&event.previous, event.change) {
        (_, Change::Deleted) => beats.forget(name),
        (Some(previous), _) if beat(previous) != beat(&event.object) => beats.hear(name, Instant::now()),
        (None, _) => beats.hear(name, Instant::now()),
        _ => {}
    }
}

/// The node itself; and when its readiness changes, those whose pace that changes.
fn concerned(snapshot: &Snapshot, event: &Event) -> Vec<ObjectKey> {
    let readiness_of = |object: &Arc<Object>| object.typed::<Node>().ok().map(|node| readiness(&node));
    let now = readiness_of(&event.object);
    let mut keys = vec![event.object.key.clone()];
    if event.change == Change::Deleted || event.previous.as_ref().map(readiness_of) != Some(now) {
        let others = snapshot.list(kinds::NODE, "").filter(|n| readiness_of(n) != Some(Readiness::Ready));
        keys.extend(others.map(|n| n.key.clone()));
    }
    keys
}
