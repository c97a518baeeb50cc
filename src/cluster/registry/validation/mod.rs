//! Judges whether an object makes sense, as Kubernetes does and in its words: all that is wrong at once, each with
//! the path of its field. Pure functions on JSON values that `object::schema::check` has put in order and
//! `defaults` has filled in. What only the rest of the cluster can tell (is the port free?) is judged elsewhere.

mod affinity;
mod container;
mod data;
mod endpoints;
mod environment;
mod field;
pub mod format;
mod metadata;
mod node;
mod pod;
mod pod_spec;
mod probe;
mod resources;
mod security;
mod selector;
mod service;
mod simple;
mod volume;
mod workload;

use field::Findings;
use serde_json::Value;

use crate::object::{Cause, Kind, kinds};

/// What is wrong with an object that is to be created.
pub fn create(kind: &'static Kind, object: &Value) -> Vec<Cause> {
    let mut found = Findings::default();
    metadata::create(kind, object, &mut found);
    content(kind, object, &mut found);
    if kind == kinds::POD {
        pod::create(object, &mut found);
    }
    found.into_causes()
}

/// What is wrong with an object that is to replace `old`, of which some fields cannot change.
pub fn update(kind: &'static Kind, new: &Value, old: &Value) -> Vec<Cause> {
    let mut found = Findings::default();
    metadata::create(kind, new, &mut found);
    metadata::update(new, old, &mut found);
    match kind {
        k if k == kinds::POD => pod::update(new, old, &mut found),
        k if k == kinds::SERVICE => service::immutable(new, old, &mut found),
        k if k == kinds::CONFIG_MAP => data::immutable(new, old, &["data", "binaryData"], &mut found),
        k if k == kinds::SECRET => data::immutable_secret(new, old, &mut found),
        k if k == kinds::NODE => node::immutable(new, old, &mut found),
        k if k == kinds::PRIORITY_CLASS => simple::immutable_priority(new, old, &mut found),
        k if k == kinds::ENDPOINT_SLICE => endpoints::immutable(new, old, &mut found),
        _ => {}
    }
    content(kind, new, &mut found);
    if kind == kinds::DEPLOYMENT || kind == kinds::REPLICA_SET {
        workload::immutable_selector(new, old, &mut found);
    }
    found.into_causes()
}

fn content(kind: &'static Kind, object: &Value, found: &mut Findings) {
    match kind {
        k if k == kinds::POD => pod::content(object, found),
        k if k == kinds::DEPLOYMENT => workload::deployment(object, found),
        k if k == kinds::REPLICA_SET => workload::replica_set(object, found),
        k if k == kinds::SERVICE => service::check(object, found),
        k if k == kinds::ENDPOINTS => endpoints::endpoints(object, found),
        k if k == kinds::ENDPOINT_SLICE => endpoints::slice(object, found),
        k if k == kinds::CONFIG_MAP => data::config_map(object, found),
        k if k == kinds::SECRET => data::secret(object, found),
        k if k == kinds::NODE => node::check(object, found),
        k if k == kinds::LEASE => simple::lease(object, found),
        k if k == kinds::PRIORITY_CLASS => simple::priority_class(object, found),
        k if k == kinds::EVENT => simple::event(object, found),
        k if k == kinds::APPLICATION => simple::application(object, found),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
