//! The quality-of-service class of a pod: who is evicted first when a node runs short.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::object::Quantity;

const COMPUTE: [&str; 2] = ["cpu", "memory"];

/// `Guaranteed` when every container is limited in CPU and memory and requests as much, `BestEffort` when none
/// requests or is limited at all, else `Burstable`.
pub fn qos_class(spec: &Value) -> &'static str {
    let mut requests = BTreeMap::new();
    let mut limits = BTreeMap::new();
    let mut all_limited = true;
    let lists = [&spec["containers"], &spec["initContainers"]];
    for container in lists.into_iter().filter_map(Value::as_array).flatten() {
        add(&mut requests, &container["resources"]["requests"]);
        all_limited &= add(&mut limits, &container["resources"]["limits"]) == COMPUTE.len();
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if all_limited && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Adds the positive amounts of CPU and memory, and gives how many of the two there are.
fn add(sums: &mut BTreeMap<&'static str, Quantity>, list: &Value) -> usize {
    let amount = |name: &&'static str| Some((*name, Quantity::parse(list[*name].as_str()?).ok()?));
    let amounts = COMPUTE.iter().filter_map(amount).filter(|(_, amount)| *amount > Quantity::ZERO);
    let mut count = 0;
    for (name, amount) in amounts {
        let sum = sums.entry(name).or_insert(Quantity::ZERO);
        *sum = *sum + amount;
        count += 1;
    }
    count
}
