//! Judges whether an object makes sense, as Kubernetes does and in its words: all that is wrong at once, each with
//! the path of its field. Pure functions on JSON values that `object::schema::check` has put in order and
//! `defaults` has filled in. What only the rest of the cluster can tell (is the port free?) is judged elsewhere.

mod access;
mod admission;
mod affinity;
mod autoscaler;
mod container;
mod cron_job;
mod data;
mod definition;
mod disruption;
mod endpoints;
mod environment;
mod ephemeral;
mod field;
pub mod format;
mod internal;
mod job;
mod job_policy;
mod metadata;
mod network;
mod node;
mod pod;
mod pod_spec;
mod probe;
mod quota;
mod resources;
mod security;
mod selector;
mod service;
mod simple;
mod stateful_set;
mod storage;
mod volume;
mod workload;
mod workload_status;

use field::Findings;
use serde_json::Value;

use crate::object::{Cause, Kind, kinds};

/// What is wrong with an object that is to be created.
pub fn create(kind: &'static Kind, object: &Value) -> Vec<Cause> {
    let mut found = Findings::default();
    if kind == kinds::DISRUPTION_BUDGET {
        // Its own rules say nothing of metadata, so what holds of every kind is judged last.
        content(kind, object, &mut found);
        if found.is_empty() {
            metadata::common(kind, object, &mut found);
        }
        return found.into_causes();
    }
    metadata::own(kind, object, &mut found);
    match kind {
        k if k == kinds::CRON_JOB => cron_job::create(object, &mut found),
        k if k == kinds::AUTOSCALER => autoscaler::content(object, None, &mut found),
        _ => content(kind, object, &mut found),
    }
    if kind == kinds::POD {
        pod::create(object, &mut found);
    } else if kind == kinds::INGRESS {
        network::create_ingress(object, &mut found);
    }
    found.into_causes()
}

/// What is wrong with an object that is to replace `old`, of which some fields cannot change. Kubernetes judges
/// metadata once for every kind and again by the rules of the kind, and some kinds twice over; so what is wrong is
/// listed as often.
pub fn update(kind: &'static Kind, new: &Value, old: &Value) -> Vec<Cause> {
    let mut findings = Findings::default();
    let found = &mut findings;
    metadata::common(kind, new, found);
    metadata::update(new, old, found);
    match kind {
        k if k == kinds::DISRUPTION_BUDGET => content(kind, new, found),
        k if k == kinds::POD => {
            metadata::update(new, old, found);
            metadata::own(kind, new, found);
            content(kind, new, found);
            pod::update(new, old, found);
        }
        k if [kinds::REPLICA_SET, kinds::DAEMON_SET, kinds::REPLICATION_CONTROLLER, kinds::JOB].contains(&k) => {
            metadata::own(kind, new, found);
            content(kind, new, found);
            metadata::update(new, old, found);
            match kind {
                k if k == kinds::JOB => job::update(new, old, found),
                _ => content(kind, new, found),
            }
        }
        k if k == kinds::CRON_JOB => {
            metadata::update(new, old, found);
            cron_job::content(new, Some(old), found);
        }
        k if k == kinds::AUTOSCALER => {
            metadata::update(new, old, found);
            autoscaler::content(new, Some(old), found);
        }
        _ => {
            metadata::update(new, old, found);
            immutable(kind, new, old, found);
            if judges_again(kind) {
                metadata::own(kind, new, found);
            }
            content(kind, new, found);
        }
    }
    match kind {
        k if [kinds::DEPLOYMENT, kinds::REPLICA_SET, kinds::DAEMON_SET].contains(&k) => {
            workload::immutable_selector(new, old, found);
        }
        k if k == kinds::STATEFUL_SET => stateful_set::stateful_set_update(new, old, found),
        k if k == kinds::VOLUME => storage::immutable_volume(new, old, found),
        k if k == kinds::CLAIM => storage::immutable_claim(new, old, found),
        k if k == kinds::STORAGE_CLASS => storage::immutable_class(new, old, found),
        k if k == kinds::INGRESS_CLASS => network::immutable_ingress_class(new, old, found),
        k if k == kinds::RESOURCE_QUOTA => quota::immutable_scopes(new, old, found),
        k if k == kinds::ROLE_BINDING || k == kinds::CLUSTER_ROLE_BINDING => {
            access::immutable_binding(new, old, found);
        }
        k if k == kinds::CONTROLLER_REVISION => workload::immutable_data(new, old, found),
        _ => {}
    }
    findings.into_causes()
}

/// Kinds whose rules for an update include those for a new object.
fn judges_again(kind: &'static Kind) -> bool {
    [
        kinds::CONFIG_MAP,
        kinds::SECRET,
        kinds::SERVICE,
        kinds::SERVICE_ACCOUNT,
        kinds::ENDPOINTS,
        kinds::CONTROLLER_REVISION,
        kinds::VOLUME,
        kinds::CLAIM,
        kinds::STORAGE_CLASS,
        kinds::INGRESS,
        kinds::INGRESS_CLASS,
        kinds::LIMIT_RANGE,
        kinds::ROLE,
        kinds::CLUSTER_ROLE,
        kinds::ROLE_BINDING,
        kinds::CLUSTER_ROLE_BINDING,
    ]
    .contains(&kind)
}

fn immutable(kind: &'static Kind, new: &Value, old: &Value, found: &mut Findings) {
    match kind {
        k if k == kinds::SERVICE => service::immutable(new, old, found),
        k if k == kinds::CONFIG_MAP => data::immutable(new, old, &["data", "binaryData"], found),
        k if k == kinds::SECRET => data::immutable_secret(new, old, found),
        k if k == kinds::NODE => node::immutable(new, old, found),
        k if k == kinds::PRIORITY_CLASS => simple::immutable_priority(new, old, found),
        k if k == kinds::ENDPOINT_SLICE => endpoints::immutable(new, old, found),
        k if k == kinds::CUSTOM_RESOURCE_DEFINITION => definition::immutable(new, old, found),
        _ => {}
    }
}

/// What is wrong with a write to the status subresource.
pub fn status(kind: &'static Kind, new: &Value, old: &Value) -> Vec<Cause> {
    let mut found = Findings::default();
    if !workload_status::judges(kind) {
        return update(kind, new, old);
    }
    metadata::common(kind, new, &mut found);
    metadata::update(new, old, &mut found);
    if kind != kinds::DISRUPTION_BUDGET && kind != kinds::CRON_JOB {
        metadata::update(new, old, &mut found);
    }
    workload_status::check(kind, new, old, &mut found);
    found.into_causes()
}

/// What is wrong with a pod that is to have other ephemeral containers than `old`.
pub fn ephemeral(new: &Value, old: &Value) -> Vec<Cause> {
    let mut found = Findings::default();
    ephemeral::update(new, old, &mut found);
    found.into_causes()
}

fn content(kind: &'static Kind, object: &Value, found: &mut Findings) {
    match kind {
        k if k == kinds::POD => pod::content(object, found),
        k if k == kinds::DEPLOYMENT => workload::deployment(object, found),
        k if k == kinds::REPLICA_SET => workload::replica_set(object, found),
        k if k == kinds::REPLICATION_CONTROLLER => workload::replication_controller(object, found),
        k if k == kinds::STATEFUL_SET => stateful_set::stateful_set(object, found),
        k if k == kinds::DAEMON_SET => stateful_set::daemon_set(object, found),
        k if k == kinds::POD_TEMPLATE => workload::pod_template_object(object, found),
        k if k == kinds::CONTROLLER_REVISION => workload::controller_revision(object, found),
        k if k == kinds::JOB => job::job(object, found),
        k if k == kinds::DISRUPTION_BUDGET => disruption::budget(object, found),
        k if k == kinds::SERVICE => service::check(object, found),
        k if k == kinds::ENDPOINTS => endpoints::endpoints(object, found),
        k if k == kinds::ENDPOINT_SLICE => endpoints::slice(object, found),
        k if k == kinds::CONFIG_MAP => data::config_map(object, found),
        k if k == kinds::SECRET => data::secret(object, found),
        k if k == kinds::NODE => node::check(object, found),
        k if k == kinds::LEASE => simple::lease(object, found),
        k if k == kinds::PRIORITY_CLASS => simple::priority_class(object, found),
        k if k == kinds::EVENT => simple::event(object, found),
        k if k == kinds::VOLUME => storage::volume(object, found),
        k if k == kinds::CLAIM => storage::claim(object, found),
        k if k == kinds::STORAGE_CLASS => storage::class(object, found),
        k if k == kinds::INGRESS => network::ingress(object, found),
        k if k == kinds::INGRESS_CLASS => network::ingress_class(object, found),
        k if k == kinds::NETWORK_POLICY => network::network_policy(object, found),
        k if k == kinds::ROLE => access::role(object, found),
        k if k == kinds::CLUSTER_ROLE => access::cluster_role(object, found),
        k if k == kinds::ROLE_BINDING => access::binding(object, true, found),
        k if k == kinds::CLUSTER_ROLE_BINDING => access::binding(object, false, found),
        k if k == kinds::RESOURCE_QUOTA => quota::resource_quota(object, found),
        k if k == kinds::LIMIT_RANGE => quota::limit_range(object, found),
        k if k == kinds::ADMISSION_POLICY => admission::policy(object, found),
        k if k == kinds::ADMISSION_BINDING => admission::binding(object, found),
        k if k == kinds::APPLICATION => simple::application(object, found),
        k if k == kinds::CUSTOM_RESOURCE_DEFINITION => definition::check(object, found),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
