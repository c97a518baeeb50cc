//! Amounts of what a node has and a pod asks for. (Kubernetes documentation, "Resource Management for Pods".)

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::object::quantity::Quantity;

pub type Quantities = BTreeMap<String, Text>;

/// CPU in thousandths of a core, the rest in whole units (bytes).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    pub cpu: i64,
    pub memory: i64,
    pub storage: i64,
    /// What an administrator named, for example `example.com/gpu`.
    pub extended: BTreeMap<String, i64>,
}

impl Resources {
    /// What cannot be read as an amount counts as nothing: the registry has validated it.
    pub fn of(amounts: &Quantities) -> Self {
        let mut all = Self::default();
        for (name, Text(text)) in amounts {
            let amount = Quantity::parse(text).unwrap_or_default();
            match name.as_str() {
                "cpu" => all.cpu = amount.millis(),
                "memory" => all.memory = amount.units(),
                "ephemeral-storage" => all.storage = amount.units(),
                "pods" => {}
                _ => drop(all.extended.insert(name.clone(), amount.units())),
            }
        }
        all
    }

    pub fn add(&mut self, other: &Self) {
        self.combine(other, i64::saturating_add);
    }

    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, i64::saturating_sub);
    }

    /// The larger of each amount.
    pub fn raise(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }

    fn combine(&mut self, other: &Self, by: impl Fn(i64, i64) -> i64) {
        self.cpu = by(self.cpu, other.cpu);
        self.memory = by(self.memory, other.memory);
        self.storage = by(self.storage, other.storage);
        for (name, amount) in &other.extended {
            let own = self.extended.entry(name.clone()).or_default();
            *own = by(*own, *amount);
        }
    }
}

/// What a pod takes of its node: the containers that run together, or the most that a step of its start needs.
///
/// A sidecar (an init container that is restarted always) runs from its start on, beside all that comes after it.
/// With sidecar 1 CPU, then an init container 2, then one container 1: max(1 + 2, 1 + 1) = 3.
pub fn of_pod(spec: &PodSpec) -> Resources {
    total(spec, Resources::of)
}

/// The same with a guess for containers that ask for no CPU or memory, so that scores see them too.
pub fn guessed(spec: &PodSpec) -> Resources {
    const CPU: i64 = 100;
    const MEMORY: i64 = 200 << 20;
    total(spec, |amounts| {
        let mut asked = Resources::of(amounts);
        asked.cpu = if amounts.contains_key("cpu") { asked.cpu } else { CPU };
        asked.memory = if amounts.contains_key("memory") { asked.memory } else { MEMORY };
        asked
    })
}

fn total(spec: &PodSpec, of: impl Fn(&Quantities) -> Resources) -> Resources {
    let none = Quantities::new();
    let requests = |c: &Container| {
        let given = c.resources.as_ref().and_then(|r| r.requests.as_ref());
        of(given.unwrap_or(&none))
    };
    let mut running = Resources::default();
    let mut starting = Resources::default();
    for container in spec.init_containers.iter().flatten() {
        let mut step = requests(container);
        if container.restart_policy.as_deref() == Some("Always") {
            running.add(&step);
            step = running.clone();
        } else {
            step.add(&running);
        }
        starting.raise(&step);
    }
    spec.containers.iter().for_each(|container| running.add(&requests(container)));
    running.raise(&starting);
    // Requests of the pod as a whole stand in place of its containers'.
    if let Some(whole) = spec.resources.as_ref().and_then(|r| r.requests.as_ref()) {
        let asked = Resources::of(whole);
        running.cpu = if whole.contains_key("cpu") { asked.cpu } else { running.cpu };
        running.memory = if whole.contains_key("memory") { asked.memory } else { running.memory };
    }
    if let Some(overhead) = &spec.overhead {
        running.add(&Resources::of(overhead));
    }
    running
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_takes_what_runs_together_or_the_most_of_its_start() {
        let cpu = |amount: &str| json!({"requests": {"cpu": amount}});
        let cases = [
            (
                json!({"containers": [{"name": "a", "resources": cpu("1")}, {"name": "b", "resources": cpu("500m")}]}),
                1500,
            ),
            (
                json!({"containers": [{"name": "a", "resources": cpu("1")}],
                "initContainers": [{"name": "i", "resources": cpu("3")}]}),
                3000,
            ),
            (
                json!({"containers": [{"name": "a", "resources": cpu("1")}],
                "initContainers": [{"name": "s", "restartPolicy": "Always", "resources": cpu("1500m")}]}),
                2500,
            ),
            (
                json!({"containers": [{"name": "a", "resources": cpu("1")}],
                "initContainers": [{"name": "s", "restartPolicy": "Always", "resources": cpu("1")},
                                   {"name": "i", "resources": cpu("2")}]}),
                3000,
            ),
            (json!({"containers": [{"name": "a", "resources": cpu("1")}], "overhead": {"cpu": "100m"}}), 1100),
            (json!({"containers": [{"name": "a", "resources": cpu("1")}], "resources": cpu("4")}), 4000),
        ];
        for (spec, want) in cases {
            let spec: PodSpec = serde_json::from_value(spec).unwrap();
            assert_eq!(of_pod(&spec).cpu, want, "{spec:?}");
        }
    }

    #[test]
    fn scores_count_a_container_that_asks_for_nothing() {
        let spec: PodSpec = serde_json::from_value(json!({"containers": [{"name": "a"}, {"name": "b"}]})).unwrap();
        assert_eq!((guessed(&spec).cpu, guessed(&spec).memory), (200, 400 << 20));
        assert_eq!(of_pod(&spec), Resources::default());
    }
}
