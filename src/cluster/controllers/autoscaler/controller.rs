//! Carries out the plans for autoscalers, every 15 s while there are any: loads change without anybody saying so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus};
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::json;

use super::demand::{Measured, Sample, State};
use super::past::Past;
use super::plan::{Plan, View, plan};
use crate::cluster::controllers::decode::{decode, update_status};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source};
use crate::cluster::controllers::events::Recorder;
use crate::cluster::controllers::pods;
use crate::cluster::registry::{Author, Patch, Registry, Target, WriteOptions};
use crate::cluster::store::{Change, Event, Snapshot};
use crate::cluster::usage::{Usage, Usages};
use crate::object::kinds::Subresource;
use crate::object::meta::string_map;
use crate::object::quantity::Quantity;
use crate::object::selector::Selector;
use crate::object::{ApiError, Object, ObjectKey, kinds};

const PERIOD: Duration = Duration::from_secs(15);

pub struct AutoscalerController {
    registry: Registry,
    usages: Usages,
    author: Author,
    recorder: Recorder,
    /// What was recommended and done, by autoscaler.
    pasts: Mutex<HashMap<ObjectKey, Past>>,
}

/// What an autoscaler scales.
struct Scaled {
    key: ObjectKey,
    replicas: i32,
    selector: Selector,
}

impl Controller for AutoscalerController {
    fn name(&self) -> &'static str {
        "horizontal-pod-autoscaler"
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::new(kinds::AUTOSCALER, |_, event| {
            // Its own status writes must not hasten the next run.
            asks_anew(event).then(|| event.object.key.clone()).into_iter().collect()
        })]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else {
            self.pasts.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            return Ok(Next::Done);
        };
        let autoscaler = decode::<HorizontalPodAutoscaler>(object)?;
        let now = self.registry.clock().now();
        let scaled = match scaled_by(&snapshot, &key, &autoscaler) {
            Ok(scaled) => scaled,
            Err(error) => {
                let plan = Plan::unreadable(&autoscaler, &error.to_string(), now);
                return self.write(object, &autoscaler, &plan).await;
            }
        };
        let past = self.pasts.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned().unwrap_or_default();
        let members = members(&snapshot, &scaled)?;
        let samples = Box::new(|resource: &str, container: Option<&str>| {
            members.iter().map(|pod| sample(pod, resource, container, &self.usages)).collect()
        });
        let view = View { autoscaler: autoscaler.clone(), current: scaled.replicas, samples, past, now };
        let mut plan = plan(&view);
        if let Some(size) = plan.scale
            && let Err(error) = self.scale(&scaled.key, size).await
        {
            plan.refused(&error.to_string(), size, now);
            plan.past = view.past.clone();
        }
        self.pasts.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), plan.past.clone());
        self.write(object, &autoscaler, &plan).await
    }
}

impl AutoscalerController {
    pub fn new(registry: &Registry, usages: Usages) -> Self {
        let author = Author::controller("horizontal-pod-autoscaler");
        let recorder = Recorder::new(registry, &author, "horizontal-pod-autoscaler");
        Self { registry: registry.clone(), usages, author, recorder, pasts: Mutex::default() }
    }

    async fn scale(&self, key: &ObjectKey, size: i32) -> Result<(), ApiError> {
        let target = Target { key: key.clone(), subresource: Some(Subresource::Scale) };
        let patch = Patch::Merge(json!({"spec": {"replicas": size}}));
        self.registry.patch(&self.author, &target, patch, WriteOptions::default()).await.map(drop)
    }

    async fn write(&self, object: &Object, autoscaler: &HorizontalPodAutoscaler, plan: &Plan) -> Result<Next, Failure> {
        if autoscaler.status.as_ref() != Some(&plan.status) {
            let mut transaction = self.registry.begin(&self.author);
            let status: &HorizontalPodAutoscalerStatus = &plan.status;
            let status =
                serde_json::to_value(status).map_err(|source| Failure::Decode { key: object.key.clone(), source })?;
            update_status(&mut transaction, &object.key, |object| object["status"] = status)?;
            transaction.commit().await?;
        }
        self.recorder.tell(object, &plan.notes).await;
        Ok(Next::After(PERIOD))
    }
}

fn asks_anew(event: &Event) -> bool {
    let spec =
        |object: &Object| object.typed::<HorizontalPodAutoscaler>().ok().map(|autoscaler| autoscaler.spec.clone());
    let same = |previous: &Arc<Object>| spec(previous) == spec(&event.object);
    event.change == Change::Deleted || !event.previous.as_ref().is_some_and(same)
}

fn scaled_by(snapshot: &Snapshot, key: &ObjectKey, autoscaler: &HorizontalPodAutoscaler) -> Result<Scaled, ApiError> {
    let target = autoscaler.spec.as_ref().map(|spec| spec.scale_target_ref.clone()).unwrap_or_default();
    let api_version = target.api_version.unwrap_or_default();
    let kind =
        kinds::by_manifest(&api_version, &target.kind).filter(|kind| kind.subresources.contains(&Subresource::Scale));
    let Some(kind) = kind else {
        return Err(ApiError::bad_request(format!(
            "no matches for kind \"{}\" in group \"{api_version}\"",
            target.kind
        )));
    };
    let key = ObjectKey::new(kind, &*key.namespace, target.name);
    let object = snapshot.get(&key).ok_or_else(|| ApiError::not_found(kind, &key.name))?.value();
    let replicas = object["spec"]["replicas"].as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or(1);
    let selector = &object["spec"]["selector"];
    let selector = if kind == kinds::REPLICATION_CONTROLLER {
        Selector::of_labels(&string_map(selector))
    } else {
        let selector = LabelSelector::deserialize(selector).map_err(ApiError::internal)?;
        Selector::of_workload(&selector).map_err(ApiError::internal)?
    };
    Ok(Scaled { key, replicas, selector })
}

fn members(snapshot: &Snapshot, scaled: &Scaled) -> Result<Vec<Arc<Pod>>, Failure> {
    let all = snapshot.list(kinds::POD, &scaled.key.namespace);
    all.filter(|pod| scaled.selector.matches(&pod.meta.labels)).map(|pod| decode::<Pod>(pod)).collect()
}

fn sample(pod: &Pod, resource: &str, container: Option<&str>, usages: &Usages) -> Sample {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (namespace, name) = (text(&pod.metadata.namespace), text(&pod.metadata.name));
    let measured = usages.pod(&namespace, &name).and_then(|measured| {
        let usage = container.map_or_else(|| Some(measured.total()), |container| measured.container(container))?;
        let window = SignedDuration::try_from(measured.window).unwrap_or(SignedDuration::ZERO);
        Some(Measured { millis: millis(usage, resource), at: measured.timestamp, window })
    });
    Sample { state: state(pod), usage: measured, request: request(pod, resource, container) }
}

fn millis(usage: Usage, resource: &str) -> i64 {
    let amount = match resource {
        "cpu" => usage.cpu_nanocores.div_ceil(1_000_000),
        "memory" => usage.memory_bytes.saturating_mul(1000),
        _ => 0,
    };
    i64::try_from(amount).unwrap_or(i64::MAX)
}

fn state(pod: &Pod) -> State {
    if pods::is_deleting(pod) || pods::phase(pod) == "Failed" {
        return State::Gone;
    }
    if pods::phase(pod) == "Pending" {
        return State::Pending;
    }
    let ready = pods::condition(pod, "Ready");
    State::Running {
        started: pod.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0),
        ready: pods::is_ready(pod),
        ready_since: ready.and_then(|ready| ready.last_transition_time.as_ref()).map(|time| time.0),
    }
}

/// What the containers ask for, sidecars among them.
fn request(pod: &Pod, resource: &str, container: Option<&str>) -> Result<i64, String> {
    let Some(spec) = &pod.spec else { return Ok(0) };
    let sidecars = spec.init_containers.iter().flatten().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let concerned = |c: &&Container| container.is_none_or(|container| c.name == container);
    let of = |c: &Container| {
        let requests = c.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let asked = requests.and_then(|requests| Quantity::parse(&requests.get(resource)?.0).ok());
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let missing = || format!("missing request for {resource} in container {} of Pod {name}", c.name);
        asked.map(Quantity::millis).ok_or_else(missing)
    };
    spec.containers.iter().chain(sidecars).filter(concerned).map(of).sum()
}
