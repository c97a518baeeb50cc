//! Keeps the status of each PodDisruptionBudget: what may be evicted now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::json;

use super::budget;
use crate::cluster::controllers::decode::{decode, update_status, whole_seconds};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source};
use crate::cluster::controllers::events::{Note, Recorder};
use crate::cluster::registry::{Author, Registry};
use crate::cluster::store::Snapshot;
use crate::object::meta::Owner;
use crate::object::selector::Selector;
use crate::object::{Object, ObjectKey, kinds};

pub struct DisruptionController {
    registry: Registry,
    author: Author,
    recorder: Recorder,
}

impl Controller for DisruptionController {
    fn name(&self) -> &'static str {
        "disruption"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::DISRUPTION_BUDGET),
            Source::new(kinds::POD, |snapshot, event| {
                let states: Vec<_> = std::iter::once(&event.object).chain(&event.previous).collect();
                let budgets = snapshot.list(kinds::DISRUPTION_BUDGET, &event.object.key.namespace);
                let covering = budgets.filter(|budget| {
                    selector_of(budget).is_some_and(|s| states.iter().any(|pod| s.matches(&pod.meta.labels)))
                });
                covering.map(|budget| budget.key.clone()).collect()
            }),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else { return Ok(Next::Done) };
        let budget = decode::<PodDisruptionBudget>(object)?;
        let Some(spec) = &budget.spec else { return Ok(Next::Done) };
        let now = whole_seconds(self.registry.clock().now());
        let selector = selector_of(object);
        let covered = snapshot.list(kinds::POD, &key.namespace);
        let covered: Vec<&Arc<Object>> = match &selector {
            Some(selector) => covered.filter(|pod| selector.matches(&pod.meta.labels)).collect(),
            None => Vec::new(),
        };
        let pods = covered.iter().map(|pod| decode::<Pod>(pod)).collect::<Result<Vec<_>, _>>()?;
        let pods: Vec<&Pod> = pods.iter().map(Arc::as_ref).collect();
        let mut notes = Vec::new();
        if pods.is_empty() {
            notes.push(Note::normal("NoPods", "No matching pods found"));
        }
        let evicted = budget.status.as_ref().and_then(|status| status.disrupted_pods.clone()).unwrap_or_default();
        let (evicted, next) = budget::under_way(&evicted, &pods, now);
        let present = i32::try_from(pods.len()).unwrap_or(i32::MAX);
        let mut unmanaged = false;
        let wanted = budget::wanted(spec, present, || scale(&snapshot, &covered, &mut unmanaged));
        if unmanaged {
            notes.push(Note::warning("UnmanagedPods", unmanaged_message(spec)));
        }
        let (old, generation) = (budget.status.as_ref(), object.meta.generation);
        let status = match wanted {
            Ok(wanted) => {
                let healthy = budget::healthy(&pods, &evicted);
                budget::status(old, generation, wanted, healthy, evicted, now)
            }
            Err(why) => {
                let message = format!("Failed to calculate the number of expected pods: {why}");
                notes.push(Note::warning("CalculateExpectedPodCountFailed", message));
                budget::failed(old, generation, &why, now)
            }
        };
        if old != Some(&status) {
            let mut transaction = self.registry.begin(&self.author);
            update_status(&mut transaction, &key, |object| object["status"] = json!(status))?;
            transaction.commit().await?;
        }
        self.recorder.tell(object, &notes).await;
        Ok(next.map_or(Next::Done, |left| Next::After(left.unsigned_abs())))
    }
}

impl DisruptionController {
    pub fn new(registry: &Registry) -> Self {
        let author = Author::controller("disruption-controller");
        let recorder = Recorder::new(registry, &author, "controllermanager");
        Self { registry: registry.clone(), author, recorder }
    }
}

/// `None` selects nothing; the empty selector every pod of the namespace.
fn selector_of(object: &Object) -> Option<Selector> {
    let budget = object.typed::<PodDisruptionBudget>().ok()?;
    Selector::of_workload(budget.spec.as_ref()?.selector.as_ref()?).ok()
}

/// How many pods the controllers of these pods want, all together.
fn scale(snapshot: &Snapshot, pods: &[&Arc<Object>], unmanaged: &mut bool) -> Result<i32, String> {
    let mut seen = BTreeSet::new();
    let mut scales: BTreeMap<String, i32> = BTreeMap::new();
    for pod in pods {
        let Some(owner) = pod.meta.controller() else {
            *unmanaged = true;
            continue;
        };
        if seen.insert(owner.uid.clone()) {
            let (uid, replicas) = scale_of(snapshot, &pod.key.namespace, owner)?;
            scales.insert(uid, replicas);
        }
    }
    Ok(scales.values().sum())
}

/// The workload at the top and its scale: a Deployment in place of its ReplicaSets.
fn scale_of(snapshot: &Snapshot, namespace: &str, owner: &Owner) -> Result<(String, i32), String> {
    let find = |kind| {
        let found = snapshot.find(kind, namespace, &owner.name).filter(|object| object.meta.uid == owner.uid);
        found.ok_or_else(|| format!("{} {namespace}/{} was not found", owner.kind, owner.name))
    };
    let broken = |error: serde_json::Error| error.to_string();
    match (owner.api_version.as_str(), owner.kind.as_str()) {
        ("apps/v1", "ReplicaSet") => {
            let object = find(kinds::REPLICA_SET)?;
            if let Some(above) = object.meta.controller().filter(|above| above.kind == "Deployment") {
                return scale_of(snapshot, namespace, above);
            }
            let set = object.typed::<ReplicaSet>().map_err(broken)?;
            Ok((owner.uid.clone(), set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)))
        }
        ("apps/v1", "Deployment") => {
            let deployment = find(kinds::DEPLOYMENT)?.typed::<Deployment>().map_err(broken)?;
            Ok((owner.uid.clone(), deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)))
        }
        ("apps/v1", "StatefulSet") => {
            let set = find(kinds::STATEFUL_SET)?.typed::<StatefulSet>().map_err(broken)?;
            Ok((owner.uid.clone(), set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)))
        }
        ("v1", "ReplicationController") => {
            let controller = find(kinds::REPLICATION_CONTROLLER)?.typed::<ReplicationController>().map_err(broken)?;
            Ok((owner.uid.clone(), controller.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)))
        }
        (version, kind) => {
            let (group, _) = kinds::split_api_version(version);
            let plural = kinds::by_manifest(version, kind).map_or_else(|| kind.to_lowercase(), |k| k.plural.to_owned());
            Err(format!("{plural}.{group} does not implement the scale subresource"))
        }
    }
}

fn unmanaged_message(spec: &k8s_openapi::api::policy::v1::PodDisruptionBudgetSpec) -> String {
    let labels = spec.selector.as_ref().and_then(|selector| selector.match_labels.clone()).unwrap_or_default();
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    format!(
        "Pods selected by this PodDisruptionBudget (selector: &LabelSelector{{MatchLabels:map[string]string{{{}}},\
         MatchExpressions:[]LabelSelectorRequirement{{}},}}) were found to be unmanaged. As a result, the status of the \
         PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please \
         set \".spec.minAvailable\" field of the PDB to an integer value.",
        labels.iter().map(|pair| pair.replacen(':', ": ", 1) + ",").collect::<String>()
    )
}
