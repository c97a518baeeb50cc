//! Decides what one run does for an autoscaler: to which number its target goes, and what its status says. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricStatus, HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition,
    HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus, MetricSpec, MetricStatus, MetricTarget,
    MetricValueStatus, ResourceMetricStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::demand::{Demand, Sample, Target, Tolerance, demand};
use super::limits::Limits;
use super::past::Past;
use crate::cluster::controllers::decode::whole_seconds;
use crate::cluster::controllers::events::Note;
use crate::object::quantity::Quantity;

const ABLE: &str = "AbleToScale";
const ACTIVE: &str = "ScalingActive";
const LIMITED: &str = "ScalingLimited";

type Samples<'a> = dyn Fn(&str, Option<&str>) -> Vec<Sample> + Send + 'a;

/// What a plan is computed from.
pub struct View<'a> {
    pub autoscaler: Arc<HorizontalPodAutoscaler>,
    /// What its target asks for now.
    pub current: i32,
    /// The pods of the target as a resource, and perhaps one container of each, is concerned.
    pub samples: Box<Samples<'a>>,
    pub past: Past,
    pub now: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Plan {
    /// The number that the target is to have, when it is another.
    pub scale: Option<i32>,
    pub status: HorizontalPodAutoscalerStatus,
    pub notes: Vec<Note>,
    pub past: Past,
}

/// The metrics of an autoscaler, judged.
struct Proposal {
    replicas: i32,
    metric: String,
}

struct Invalid {
    reason: &'static str,
    why: String,
    error: String,
}

pub fn plan(view: &View<'_>) -> Plan {
    let spec = view.autoscaler.spec.clone().unwrap_or_default();
    let status = view.autoscaler.status.clone().unwrap_or_default();
    let mut plan = Plan { scale: None, status, notes: Vec::new(), past: view.past.clone() };
    plan.past.begin(view.current, view.now);
    plan.set(
        ABLE,
        true,
        "SucceededGetScale",
        "the HPA controller was able to get the target's current scale",
        view.now,
    );
    let (current, least) = (view.current, spec.min_replicas.unwrap_or(1));
    let wanted = if current == 0 && least != 0 {
        let message = "scaling is disabled since the replica count of the target is zero";
        plan.set(ACTIVE, false, "ScalingDisabled", message, view.now);
        Some((0, String::new()))
    } else if current > spec.max_replicas {
        Some((spec.max_replicas, "Current number of replicas above Spec.MaxReplicas".to_owned()))
    } else if current < least {
        Some((least, "Current number of replicas below Spec.MinReplicas".to_owned()))
    } else {
        plan.by_metrics(view, &spec)
    };
    let Some((desired, why)) = wanted else {
        plan.status.current_replicas = Some(current);
        return plan;
    };
    plan.rescale(view, desired, &why);
    plan
}

impl Plan {
    /// The target could not be read.
    pub fn unreadable(view: &Arc<HorizontalPodAutoscaler>, why: &str, now: Timestamp) -> Self {
        let status = view.status.clone().unwrap_or_default();
        let mut plan = Self { scale: None, status, notes: Vec::new(), past: Past::default() };
        let message = format!("the HPA controller was unable to get the target's current scale: {why}");
        plan.set(ABLE, false, "FailedGetScale", &message, now);
        plan.notes.push(Note::warning("FailedGetScale", why));
        plan
    }

    /// The target refused the new number.
    pub fn refused(&mut self, why: &str, size: i32, now: Timestamp) {
        let message = format!("the HPA controller was unable to update the target scale: {why}");
        self.set(ABLE, false, "FailedUpdateScale", &message, now);
        self.notes.retain(|note| note.reason != "SuccessfulRescale");
        self.notes.push(Note::warning("FailedRescale", format!("New size: {size}; error: {why}")));
        self.status.desired_replicas = self.status.current_replicas.unwrap_or(0);
    }

    /// The number that the metrics ask for, within the limits, and why it is another than now.
    fn by_metrics(&mut self, view: &View<'_>, spec: &HorizontalPodAutoscalerSpec) -> Option<(i32, String)> {
        let Proposal { replicas, metric } = self.judge_metrics(view, spec)?;
        let (current, now) = (view.current, view.now);
        let why =
            if replicas > current { format!("{metric} above target") } else { "All metrics below target".to_owned() };
        let past = self.past.clone();
        let limits = Limits {
            behavior: spec.behavior.as_ref(),
            least: spec.min_replicas.unwrap_or(1),
            most: spec.max_replicas,
            past: &past,
            now,
        };
        let stable = limits.stabilized(current, replicas);
        self.past.recommend(replicas, now);
        self.set(ABLE, true, stable.reason, stable.message, now);
        let allowed = limits.allowed(current, stable.replicas);
        self.set(LIMITED, allowed.replicas != stable.replicas, allowed.reason, allowed.message, now);
        Some((allowed.replicas, why))
    }

    /// The largest number that one of the metrics asks for. A metric that cannot be read never lets it shrink.
    fn judge_metrics(&mut self, view: &View<'_>, spec: &HorizontalPodAutoscalerSpec) -> Option<Proposal> {
        let metrics = spec.metrics.as_deref().unwrap_or_default();
        let mut best: Option<Proposal> = None;
        let mut statuses = Vec::new();
        let mut invalid: Vec<Invalid> = Vec::new();
        for metric in metrics {
            match judge(metric, view, spec) {
                Ok((proposal, status)) => {
                    statuses.push(status);
                    if best.as_ref().is_none_or(|best| proposal.replicas > best.replicas) {
                        best = Some(proposal);
                    }
                }
                Err(failed) => {
                    self.notes.push(Note::warning(failed.reason, failed.why.clone()));
                    invalid.push(failed);
                }
            }
        }
        self.status.current_metrics = Some(statuses).filter(|statuses| !statuses.is_empty());
        let best = best.filter(|best| invalid.is_empty() || best.replicas >= view.current);
        match (best, invalid.first()) {
            (Some(best), _) => {
                let message =
                    format!("the HPA was able to successfully calculate a replica count from {}", best.metric);
                self.set(ACTIVE, true, "ValidMetricFound", &message, view.now);
                Some(best)
            }
            (None, Some(first)) => {
                let message = format!("the HPA was unable to compute the replica count: {}", first.why);
                self.set(ACTIVE, false, first.reason, &message, view.now);
                let (count, all) = (invalid.len(), metrics.len());
                let error = format!("invalid metrics ({count} invalid out of {all}), first error is: {}", first.error);
                self.notes.push(Note::warning("FailedComputeMetricsReplicas", error));
                None
            }
            (None, None) => None,
        }
    }

    fn rescale(&mut self, view: &View<'_>, desired: i32, why: &str) {
        let (current, now) = (view.current, view.now);
        if desired != current {
            let message = format!("the HPA controller was able to update the target scale to {desired}");
            self.set(ABLE, true, "SucceededRescale", &message, now);
            self.notes.push(Note::normal("SuccessfulRescale", format!("New size: {desired}; reason: {why}")));
            self.past.change(desired - current, now);
            self.status.last_scale_time = Some(Time(whole_seconds(now)));
            self.scale = Some(desired);
        }
        self.status.current_replicas = Some(current);
        self.status.desired_replicas = desired;
    }

    fn set(&mut self, kind: &str, holds: bool, reason: &str, message: &str, now: Timestamp) {
        let value = if holds { "True" } else { "False" };
        let conditions = self.status.conditions.get_or_insert_default();
        let known = conditions.iter_mut().find(|condition| condition.type_ == kind);
        let since =
            known.as_ref().filter(|known| known.status == value).and_then(|known| known.last_transition_time.clone());
        let condition = HorizontalPodAutoscalerCondition {
            type_: kind.to_owned(),
            status: value.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_transition_time: since.or(Some(Time(whole_seconds(now)))),
        };
        match known {
            Some(known) => *known = condition,
            None => conditions.push(condition),
        }
    }
}

fn judge(
    metric: &MetricSpec,
    view: &View<'_>,
    spec: &HorizontalPodAutoscalerSpec,
) -> Result<(Proposal, MetricStatus), Invalid> {
    let status = |type_: &str| MetricStatus { type_: type_.to_owned(), ..MetricStatus::default() };
    if let Some(source) = &metric.resource {
        let (proposal, current) =
            of_resource(&source.name, None, &source.target, view, spec).map_err(|why| Invalid {
                reason: "FailedGetResourceMetric",
                error: format!("failed to get {} resource metric value: {why}", source.name),
                why,
            })?;
        let resource = Some(ResourceMetricStatus { name: source.name.clone(), current });
        return Ok((proposal, MetricStatus { resource, ..status("Resource") }));
    }
    if let Some(source) = &metric.container_resource {
        let container = Some(source.container.as_str());
        let (proposal, current) =
            of_resource(&source.name, container, &source.target, view, spec).map_err(|why| Invalid {
                reason: "FailedGetContainerResourceMetric",
                error: format!("failed to get {} container metric value: {why}", source.name),
                why,
            })?;
        let (name, container) = (source.name.clone(), source.container.clone());
        let container_resource = Some(ContainerResourceMetricStatus { name, container, current });
        return Ok((proposal, MetricStatus { container_resource, ..status("ContainerResource") }));
    }
    Err(not_served(metric))
}

/// Metrics that nobody measures here, in the words of a cluster to which no adapter was added.
fn not_served(metric: &MetricSpec) -> Invalid {
    let custom =
        "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered";
    let external = "unable to fetch metrics from external metrics API: no external metrics API (external.metrics.k8s.io) registered";
    let (reason, kind, name, why) = match (&metric.pods, &metric.object, &metric.external) {
        (Some(pods), _, _) => ("FailedGetPodsMetric", "pods", pods.metric.name.as_str(), custom),
        (_, Some(object), _) => ("FailedGetObjectMetric", "object", object.metric.name.as_str(), custom),
        (_, _, Some(external_source)) => {
            ("FailedGetExternalMetric", "external", external_source.metric.name.as_str(), external)
        }
        _ => ("InvalidMetricSourceType", metric.type_.as_str(), "", "unknown metric source type"),
    };
    let why = format!("unable to get metric {name}: {why}");
    Invalid { reason, error: format!("failed to get {kind} metric value: {why}"), why }
}

fn of_resource(
    name: &str,
    container: Option<&str>,
    target: &MetricTarget,
    view: &View<'_>,
    spec: &HorizontalPodAutoscalerSpec,
) -> Result<(Proposal, MetricValueStatus), String> {
    let average = target.average_value.as_ref().and_then(|quantity| Quantity::parse(&quantity.0).ok());
    let (target, what, metric) = match (average, target.average_utilization) {
        (Some(average), _) => (Target::Average(average.millis()), "usage", format!("{name} resource")),
        (None, Some(percent)) => (
            Target::Utilization(percent),
            "utilization",
            format!("{name} resource utilization (percentage of request)"),
        ),
        (None, None) => {
            let why = "invalid resource metric source: neither an average utilization target nor an average value (usage) target was set";
            return Err(why.to_owned());
        }
    };
    let samples = (view.samples)(name, container);
    let Demand { replicas, utilization, average } =
        demand(&samples, name, target, view.current, tolerance(spec), view.now)
            .map_err(|why| format!("failed to get {name} {what}: {why}"))?;
    let average_value = Some(resource::Quantity(Quantity::from_millis(average).to_string()));
    let current = MetricValueStatus { average_utilization: utilization, average_value, value: None };
    Ok((Proposal { replicas, metric }, current))
}

#[allow(clippy::cast_precision_loss, reason = "tolerances are small")]
fn tolerance(spec: &HorizontalPodAutoscalerSpec) -> Tolerance {
    let default = Tolerance::default();
    let of = |rules: Option<&k8s_openapi::api::autoscaling::v2::HPAScalingRules>, default| {
        let given = rules.and_then(|rules| Quantity::parse(&rules.tolerance.as_ref()?.0).ok());
        given.map_or(default, |quantity| quantity.millis() as f64 / 1000.0)
    };
    let behavior = spec.behavior.as_ref();
    Tolerance {
        up: of(behavior.and_then(|b| b.scale_up.as_ref()), default.up),
        down: of(behavior.and_then(|b| b.scale_down.as_ref()), default.down),
    }
}
