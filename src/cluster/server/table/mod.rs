//! What `kubectl get` prints of each kind: the columns, and the cells of an object's row. Pure: the time is an
//! argument. (Kubernetes API concepts, "Receiving resources as Tables".)

mod age;
mod autoscaler;
mod batch;
mod columns;
pub mod custom;
mod endpoints;
mod event;
mod node;
mod pod;
mod pod_status;
mod policies;
mod service;
mod storage;
mod workload;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use columns::{Column, columns};

use crate::object::{Kind, kinds};

/// The cells of `object`, one for each of the kind's columns.
pub fn row(kind: &'static Kind, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = || object["metadata"]["name"].clone();
    let age = || json!(age::since(&object["metadata"]["creationTimestamp"], now));
    let count = |field: &str| object[field].as_object().map_or(0, serde_json::Map::len);
    let status = || &object["status"];
    match kind {
        k if k == kinds::POD => pod::row(object, now),
        k if k == kinds::EVENT => event::row(object, now),
        k if k == kinds::DEPLOYMENT => workload::deployment(object, age()),
        k if k == kinds::REPLICA_SET => workload::replica_set(object, age()),
        k if k == kinds::REPLICATION_CONTROLLER => workload::replication_controller(object, age()),
        k if k == kinds::STATEFUL_SET => workload::stateful_set(object, age()),
        k if k == kinds::DAEMON_SET => workload::daemon_set(object, age()),
        k if k == kinds::POD_TEMPLATE => workload::pod_template(object),
        k if k == kinds::CONTROLLER_REVISION => workload::controller_revision(object, age()),
        k if k == kinds::JOB => batch::job(object, now),
        k if k == kinds::CRON_JOB => batch::cron_job(object, now),
        k if k == kinds::AUTOSCALER => autoscaler::row(object, age()),
        k if k == kinds::DISRUPTION_BUDGET => autoscaler::budget(object, age()),
        k if k == kinds::SERVICE => service::row(object, age()),
        k if k == kinds::NODE => node::row(object, age()),
        k if k == kinds::ENDPOINTS => vec![name(), json!(endpoints::of_endpoints(object)), age()],
        k if k == kinds::ENDPOINT_SLICE => endpoints::of_slice(object, age()),
        k if k == kinds::NAMESPACE => vec![name(), text(&status()["phase"]), age()],
        k if k == kinds::CONFIG_MAP => vec![name(), json!(count("data") + count("binaryData")), age()],
        k if k == kinds::SECRET => vec![name(), text(&object["type"]), json!(count("data")), age()],
        k if k == kinds::LEASE => vec![name(), text(&object["spec"]["holderIdentity"]), age()],
        k if k == kinds::PRIORITY_CLASS => vec![
            name(),
            object["value"].clone(),
            json!(object["globalDefault"] == true),
            age(),
            text(&object["preemptionPolicy"]),
        ],
        k if k == kinds::VOLUME => storage::volume(object, age()),
        k if k == kinds::CLAIM => storage::claim(object, age()),
        k if k == kinds::STORAGE_CLASS => storage::class(object, age()),
        k if k == kinds::INGRESS => policies::ingress(object, age()),
        k if k == kinds::INGRESS_CLASS => policies::ingress_class(object, age()),
        k if k == kinds::NETWORK_POLICY => {
            vec![name(), json!(workload::selector(&object["spec"]["podSelector"])), age()]
        }
        k if k == kinds::ROLE_BINDING || k == kinds::CLUSTER_ROLE_BINDING => policies::role_binding(object, age()),
        k if k == kinds::RESOURCE_QUOTA => policies::quota(object, age()),
        k if k == kinds::ADMISSION_POLICY => policies::admission_policy(object, age()),
        k if k == kinds::ADMISSION_BINDING => policies::admission_binding(object, age()),
        k if columns::shows_date(k) => vec![name(), object["metadata"]["creationTimestamp"].clone()],
        k if k == kinds::APPLICATION => vec![
            name(),
            text(&status()["sync"]["status"]),
            text(&status()["health"]["status"]),
            text(&status()["sync"]["revision"]),
            age(),
        ],
        k if k == kinds::CUSTOM_RESOURCE_DEFINITION => {
            vec![name(), object["metadata"]["creationTimestamp"].clone()]
        }
        _ => vec![name(), age()],
    }
}

/// What is to be known of the row as a whole: that a pod has ended, so that a client may leave it out.
pub fn conditions(kind: &'static Kind, object: &Value) -> Option<Value> {
    let phase = object["status"]["phase"].as_str().filter(|_| kind == kinds::POD)?;
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": phase, "message": message}]))
}

/// What stands in a cell that has nothing to say.
const NONE: &str = "<none>";

/// The text, or no text.
fn text(value: &Value) -> Value {
    json!(value.as_str().unwrap_or_default())
}

/// The text, or `<none>`.
fn text_or_none(value: &Value) -> Value {
    json!(value.as_str().filter(|text| !text.is_empty()).unwrap_or(NONE))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// `a,b`, or `<none>` of nothing.
fn joined<T: AsRef<str>>(parts: impl IntoIterator<Item = T>) -> String {
    let parts: Vec<T> = parts.into_iter().collect();
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    if parts.is_empty() { NONE.to_owned() } else { parts.join(",") }
}

/// The first three, and how many more there are: `a,b,c + 2 more...`.
fn first_three(parts: &[String]) -> String {
    const SHOWN: usize = 3;
    match parts.len().checked_sub(SHOWN) {
        None | Some(0) => parts.join(","),
        Some(more) => format!("{} + {more} more...", parts[..SHOWN].join(",")),
    }
}

/// `a=1,b=2` of a map of labels.
fn labels(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten();
    let mut pairs: Vec<String> = pairs.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    pairs.sort();
    joined(pairs)
}

#[cfg(test)]
mod tests;
