//! The status of a DaemonSet: counts over nodes. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DaemonSetStatus;

use super::plan::Place;
use crate::cluster::controllers::pods;

pub fn report(
    before: &DaemonSetStatus,
    generation: i64,
    places: &[Place],
    min_ready_seconds: i32,
    now: Timestamp,
) -> DaemonSetStatus {
    let there = || places.iter().filter(|p| p.exists);
    let count =
        |holds: &dyn Fn(&Place) -> bool| i32::try_from(there().filter(|p| holds(p)).count()).unwrap_or(i32::MAX);
    let desired = count(&|p| p.fit.run);
    // The first pod of a node speaks for it.
    let of_first =
        |holds: &dyn Fn(&super::plan::Daemon) -> bool| count(&|p| p.fit.run && p.pods.first().is_some_and(holds));
    let ready = of_first(&|d| pods::is_ready(&d.pod));
    let available = of_first(&|d| pods::is_available(&d.pod, min_ready_seconds, now));
    let nonzero = |count: i32| (count != 0).then_some(count);
    DaemonSetStatus {
        current_number_scheduled: count(&|p| p.fit.run && !p.pods.is_empty()),
        desired_number_scheduled: desired,
        number_misscheduled: count(&|p| !p.fit.run && !p.pods.is_empty()),
        number_ready: ready,
        number_available: nonzero(available),
        number_unavailable: nonzero(desired - available),
        updated_number_scheduled: nonzero(of_first(&|d| d.updated)),
        observed_generation: Some(generation),
        ..before.clone()
    }
}

/// When the next of the ready pods becomes available merely by staying ready.
pub fn next_available(places: &[Place], min_ready_seconds: i32, now: Timestamp) -> Option<Duration> {
    let all = places.iter().flat_map(|p| &p.pods);
    let due = all.filter_map(|d| pods::available_at(&d.pod, min_ready_seconds)).filter(|at| *at > now).min()?;
    Duration::try_from(due.duration_since(now).max(SignedDuration::ZERO)).ok()
}
