//! What is left in a namespace that is being deleted, and what its conditions say about that. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{NamespaceCondition, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::cluster::controllers::pods;
use crate::cluster::store::Snapshot;
use crate::object::{Object, ObjectKey, kinds};

/// What is left, as far as it will not go by itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Remaining {
    /// By `PLURAL.GROUP`, as the conditions name a kind.
    pub resources: BTreeMap<String, usize>,
    pub finalizers: BTreeMap<String, usize>,
    /// What should have gone by now, and has not.
    pub stuck: Vec<String>,
    /// When the last of the pods that still have time to end should have ended.
    pub due: Option<Duration>,
    pub any: bool,
}

/// The objects that are to be deleted next: pods first, so that what they are run by does not vanish under them,
/// then all others at once. Empty when all that can be asked for has been.
pub fn to_delete(snapshot: &Snapshot, namespace: &str) -> Vec<ObjectKey> {
    let waiting = |o: &Arc<Object>| (!o.meta.is_deleting()).then(|| o.key.clone());
    let mut pods = snapshot.list(kinds::POD, namespace).peekable();
    if pods.peek().is_some() {
        return pods.filter_map(waiting).collect();
    }
    content(snapshot, namespace).filter_map(waiting).collect()
}

pub fn content<'a>(snapshot: &'a Snapshot, namespace: &'a str) -> impl Iterator<Item = &'a Arc<Object>> {
    let namespaced = snapshot.kinds().stored().filter(|kind| kind.namespaced);
    namespaced.flat_map(move |kind| snapshot.list(kind, namespace))
}

pub fn remaining(snapshot: &Snapshot, namespace: &str, deleted: Timestamp, now: Timestamp) -> Remaining {
    let mut remaining = Remaining::default();
    let grace = grace(snapshot, namespace);
    let due = grace.and_then(|grace| deleted.checked_add(grace).ok()).filter(|due| *due > now);
    remaining.due = due.and_then(|due| Duration::try_from(due.duration_since(now)).ok());
    let has_pods = snapshot.list(kinds::POD, namespace).next().is_some();
    let mut counts: BTreeMap<(String, String), (usize, bool)> = BTreeMap::new();
    for object in content(snapshot, namespace) {
        remaining.any = true;
        let kind = object.key.kind;
        // While there are pods nothing else was asked to go; pods within their grace period go by themselves.
        if (has_pods && kind != kinds::POD) || (kind == kinds::POD && remaining.due.is_some()) {
            continue;
        }
        *remaining.resources.entry(format!("{}.{}", kind.plural, kind.group)).or_default() += 1;
        let resource = format!("{}/{}, Resource={}", kind.group, kind.version, kind.plural);
        let (count, held) = counts.entry((kind.qualified(), resource)).or_default();
        *count += 1;
        *held |= !object.meta.finalizers.is_empty();
        for finalizer in &object.meta.finalizers {
            *remaining.finalizers.entry(finalizer.clone()).or_default() += 1;
        }
    }
    for ((_, resource), (_, held)) in counts {
        if !held {
            let what = format!("unexpected items still remain in namespace: {namespace} for gvr: {resource}");
            remaining.stuck.push(what);
        }
    }
    remaining
}

/// The longest grace period of the pods that have not ended.
fn grace(snapshot: &Snapshot, namespace: &str) -> Option<SignedDuration> {
    let pods = snapshot.list(kinds::POD, namespace).filter_map(|o| o.typed::<Pod>().ok());
    let running = pods.filter(|pod| !pods::has_ended(pod));
    let seconds = running.filter_map(|pod| pod.spec.as_ref()?.termination_grace_period_seconds).max();
    seconds.map(SignedDuration::from_secs)
}

impl Remaining {
    /// The five conditions of a namespace that is being deleted. Those that say what they said keep their time.
    pub fn conditions(&self, before: &[NamespaceCondition], now: Timestamp) -> Vec<NamespaceCondition> {
        let listed = |counts: &BTreeMap<String, usize>, join: &str| {
            let each: Vec<String> =
                counts.iter().map(|(what, count)| format!("{what} {join} {count} resource instances")).collect();
            each.join(", ")
        };
        let resources = listed(&self.resources, "has");
        let finalizers = listed(&self.finalizers, "in");
        let stuck: usize = self.stuck.len();
        let failure = match self.stuck.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let rows = [
            (
                "NamespaceDeletionDiscoveryFailure",
                None,
                ("ResourcesDiscovered", "All resources successfully discovered"),
            ),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                None,
                ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
            ),
            (
                "NamespaceDeletionContentFailure",
                (stuck > 0).then(|| {
                    let message = format!("Failed to delete all resource types, {stuck} remaining: {failure}");
                    ("ContentDeletionFailed", message)
                }),
                ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
            ),
            (
                "NamespaceContentRemaining",
                (!resources.is_empty())
                    .then(|| ("SomeResourcesRemain", format!("Some resources are remaining: {resources}"))),
                ("ContentRemoved", "All content successfully removed"),
            ),
            (
                "NamespaceFinalizersRemaining",
                (!finalizers.is_empty()).then(|| {
                    let message = format!("Some content in the namespace has finalizers remaining: {finalizers}");
                    ("SomeFinalizersRemain", message)
                }),
                ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
            ),
        ];
        let condition = |(kind, wrong, fine): (&str, Option<(&str, String)>, (&str, &str))| {
            let (status, (reason, message)) = match wrong {
                Some(wrong) => ("True", wrong),
                None => ("False", (fine.0, fine.1.to_owned())),
            };
            let fresh = NamespaceCondition {
                type_: kind.to_owned(),
                status: status.to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(message),
                last_transition_time: Some(Time(now)),
            };
            let known = before.iter().find(|c| c.type_ == kind);
            let same =
                known.filter(|c| c.status == fresh.status && c.reason == fresh.reason && c.message == fresh.message);
            same.cloned().unwrap_or(fresh)
        };
        rows.into_iter().map(condition).collect()
    }
}
