//! Fills in what a manifest leaves out, as Kubernetes does. Pure functions on JSON values, and idempotent: an object
//! that went through once is not changed by going through again, so a dry run shows what is stored.
//!
//! Expects an object that `object::schema::check` has put in order. Values that need the rest of the cluster
//! (cluster IPs, node ports, names) are given elsewhere.

mod autoscaler;
mod batch;
mod endpoints;
mod node;
mod pod;
mod pod_create;
mod pod_spec;
mod policies;
mod qos;
mod service;
mod simple;
mod storage;
mod volumes;
mod workload;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use pod_create::admit_pod;
pub use qos::qos_class;

use crate::object::{ApiError, Kind, kinds};

/// Fills in the defaults that hold for every write of an object of `kind`.
pub fn apply(kind: &'static Kind, object: &mut Value) {
    match kind {
        k if k == kinds::POD => pod::apply(object),
        k if k == kinds::DEPLOYMENT => workload::deployment(object),
        k if k == kinds::REPLICA_SET => workload::replica_set(object),
        k if k == kinds::REPLICATION_CONTROLLER => workload::replication_controller(object),
        k if k == kinds::STATEFUL_SET => workload::stateful_set(object),
        k if k == kinds::DAEMON_SET => workload::daemon_set(object),
        k if k == kinds::POD_TEMPLATE => workload::pod_template(object),
        k if k == kinds::JOB => batch::job(object),
        k if k == kinds::CRON_JOB => batch::cron_job(object),
        k if k == kinds::AUTOSCALER => autoscaler::apply(object),
        k if k == kinds::DISRUPTION_BUDGET => autoscaler::disruption_budget(object),
        k if k == kinds::SERVICE => service::apply(object),
        k if k == kinds::ENDPOINTS => endpoints::endpoints(object),
        k if k == kinds::ENDPOINT_SLICE => endpoints::endpoint_slice(object),
        k if k == kinds::NODE => node::apply(object),
        k if k == kinds::NAMESPACE => simple::namespace(object),
        k if k == kinds::SECRET => simple::secret(object),
        k if k == kinds::EVENT => simple::event(object),
        k if k == kinds::LEASE => simple::lease(object),
        k if k == kinds::CUSTOM_RESOURCE_DEFINITION => super::definitions::default(object),
        k if k == kinds::PRIORITY_CLASS => fill(object, "preemptionPolicy", || "PreemptLowerPriority"),
        k if k == kinds::VOLUME => storage::volume(object),
        k if k == kinds::CLAIM => storage::claim(object),
        k if k == kinds::STORAGE_CLASS => storage::class(object),
        k if k == kinds::INGRESS => policies::ingress(object),
        k if k == kinds::INGRESS_CLASS => policies::ingress_class(object),
        k if k == kinds::NETWORK_POLICY => policies::network_policy(object),
        k if k == kinds::ROLE || k == kinds::CLUSTER_ROLE => policies::role(object),
        k if k == kinds::ROLE_BINDING || k == kinds::CLUSTER_ROLE_BINDING => policies::role_binding(object),
        k if k == kinds::RESOURCE_QUOTA => policies::quota(object),
        k if k == kinds::LIMIT_RANGE => policies::limit_range(object),
        k if k == kinds::ADMISSION_POLICY => policies::admission_policy(object),
        k if k == kinds::ADMISSION_BINDING => policies::admission_binding(object),
        _ => {}
    }
}

/// What happens besides to an object that is created: its status begins anew, and a pod is admitted.
///
/// # Errors
/// `Forbidden` when a pod names a class that does not exist.
pub fn create(kind: &'static Kind, object: &mut Value, now: Timestamp) -> Result<(), ApiError> {
    let status = match kind {
        k if k == kinds::POD => return admit_pod(object, now),
        k if k == kinds::NAMESPACE => {
            fill(&mut object["spec"], "finalizers", || json!(["kubernetes"]));
            json!({"phase": "Active"})
        }
        k if k == kinds::DAEMON_SET => {
            workload::begin_daemon_set(object);
            return Ok(());
        }
        k if k == kinds::JOB => {
            batch::begin_job(object);
            return Ok(());
        }
        // The status of these begins with what it always has.
        k if [
            kinds::REPLICATION_CONTROLLER,
            kinds::STATEFUL_SET,
            kinds::CRON_JOB,
            kinds::AUTOSCALER,
            kinds::DISRUPTION_BUDGET,
        ]
        .contains(&k) =>
        {
            apply(kind, object);
            return Ok(());
        }
        k if k == kinds::DEPLOYMENT => json!({}),
        k if k == kinds::REPLICA_SET => json!({"replicas": 0}),
        k if k == kinds::SERVICE || k == kinds::INGRESS => json!({"loadBalancer": {}}),
        k if k == kinds::RESOURCE_QUOTA || k == kinds::ADMISSION_POLICY => json!({}),
        k if k == kinds::VOLUME => {
            storage::begin_volume(object, now);
            return Ok(());
        }
        k if k == kinds::CLAIM => {
            storage::begin_claim(object);
            return Ok(());
        }
        _ => return Ok(()),
    };
    object["status"] = status;
    Ok(())
}

/// What happens besides to an object that replaces `old`: what a pod was admitted with holds on, and what only the
/// server counts goes on.
pub fn update(kind: &'static Kind, object: &mut Value, old: &Value, now: Timestamp) {
    match kind {
        k if k == kinds::POD => pod_create::readmit_pod(object, old),
        k if k == kinds::DAEMON_SET => workload::go_on_daemon_set(object, old),
        k if k == kinds::VOLUME => storage::update_volume(object, old, now),
        _ => {}
    }
}

/// Sets a field that is absent.
fn fill<V: Into<Value>>(object: &mut Value, field: &str, value: impl FnOnce() -> V) {
    if object[field].is_null() && (object.is_object() || object.is_null()) {
        object[field] = value().into();
    }
}

/// The items of a list field; none when it is absent.
fn items<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// The field, if it is there.
fn present<'a>(object: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    object.get_mut(field).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests;
