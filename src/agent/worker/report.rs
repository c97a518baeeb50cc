//! Tells the API the pod's status, when it has changed, and people what happened, by events.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::Worker;
use super::outcome::Outcome;
use crate::agent::context::{self, ApiFailure, Context};
use crate::agent::events::{Severity, Subject};
use crate::agent::lifecycle;

impl Worker {
    /// Sends the status if it differs from what the API has; at most one such write is under way.
    pub(super) fn report(&mut self, now: Timestamp) {
        if self.reporting || self.report_failed || self.seen.memory.gone.is_some() || self.seen.memory.deleted {
            return;
        }
        // What was reported is the base of the next status: the watch may bring it back later than we need it.
        let mut base = Pod::clone(&self.pod);
        if let Some(reported) = &self.reported {
            base.status = Some(merge_foreign(reported, base.status.as_ref()));
        }
        let status = lifecycle::status(&base, &self.seen, self.context.host_ip, now);
        if base.status.as_ref() == Some(&status) {
            return;
        }
        self.reporting = true;
        let (context, pod) = (self.context.clone(), self.pod.clone());
        self.running.push(Box::pin(async move {
            let result = write(&context, &pod, &status).await;
            Outcome::Reported { status: Box::new(status), result }
        }));
    }

    pub(super) fn reported(&mut self, status: PodStatus, result: Result<(), ApiFailure>) {
        self.reporting = false;
        match result {
            Ok(()) => self.reported = Some(status),
            // Gone, or another pod of this name: the watch will say so.
            Err(error) if matches!(error.code(), Some(404 | 409)) => self.reported = Some(status),
            Err(error) => {
                tracing::debug!(%error, "a pod's status could not be written, will be tried again");
                self.report_failed = true;
            }
        }
    }

    pub(super) fn note(&self, subject: Subject, reason: &'static str, message: &str) {
        self.context.events.record(subject, Severity::Normal, reason, message);
    }

    pub(super) fn warn(&self, subject: Subject, reason: &'static str, message: &str) {
        self.context.events.record(subject, Severity::Warning, reason, message);
    }
}

/// What we reported, with the conditions that others have set since.
fn merge_foreign(reported: &PodStatus, api: Option<&PodStatus>) -> PodStatus {
    let mut merged = reported.clone();
    let ours = ["PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"];
    let theirs = api.and_then(|status| status.conditions.clone()).unwrap_or_default();
    let theirs: Vec<_> = theirs.into_iter().filter(|c| !ours.contains(&c.type_.as_str())).collect();
    let conditions = merged.conditions.get_or_insert_default();
    conditions.retain(|c| ours.contains(&c.type_.as_str()));
    conditions.extend(theirs);
    if let Some(api) = api {
        merged.qos_class.clone_from(&api.qos_class);
        if matches!(api.phase.as_deref(), Some("Succeeded" | "Failed")) {
            merged.phase.clone_from(&api.phase);
        }
    }
    merged
}

async fn write(context: &Context, pod: &Pod, status: &PodStatus) -> Result<(), ApiFailure> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    let mut status = json!(status);
    // A merge patch keeps what it does not name.
    for field in [
        "podIP",
        "podIPs",
        "hostIP",
        "hostIPs",
        "initContainerStatuses",
        "containerStatuses",
        "ephemeralContainerStatuses",
    ] {
        if status.get(field).is_none() {
            status[field] = serde_json::Value::Null;
        }
    }
    let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": status});
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    context::request(pods.patch_status(name, &PatchParams::default(), &Patch::Merge(patch))).await.map(drop)
}
