//! What one object uses, by the names that quotas know.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::amount::{Amount, Amounts, amounts};
use crate::object::{Kind, kinds};

/// Resources whose requests are also known by their bare name.
const COMPUTE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const STORAGE: &str = ".storageclass.storage.k8s.io";

/// What `object` uses at `now`.
pub fn usage(kind: &'static Kind, object: &Value, now: Timestamp) -> Amounts {
    let mut used = Amounts::new();
    let counted = match kind.group {
        "" => format!("count/{}", kind.plural),
        group => format!("count/{}.{group}", kind.plural),
    };
    used.insert(counted, Amount::ONE);
    match kind {
        k if k == kinds::POD => pod(object, now, &mut used),
        k if k == kinds::SERVICE => service(object, &mut used),
        k if k == kinds::CLAIM => claim(object, &mut used),
        k if [kinds::CONFIG_MAP, kinds::SECRET, kinds::REPLICATION_CONTROLLER, kinds::RESOURCE_QUOTA].contains(&k) => {
            used.insert(kind.plural.to_owned(), Amount::ONE);
        }
        _ => {}
    }
    used
}

/// Pods that have ended, or whose grace period has passed, use nothing but their place in the list.
fn pod(pod: &Value, now: Timestamp, used: &mut Amounts) {
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let deleted = pod["metadata"]["deletionTimestamp"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    if ended || deleted.is_some_and(|end| now > end) {
        return;
    }
    used.insert("pods".to_owned(), Amount::ONE);
    for (name, amount) in total(&pod["spec"], "requests") {
        if COMPUTE.contains(&name.as_str()) || name.starts_with("hugepages-") {
            used.insert(name.clone(), amount);
        }
        used.insert(format!("requests.{name}"), amount);
    }
    for (name, amount) in total(&pod["spec"], "limits") {
        if COMPUTE.contains(&name.as_str()) {
            used.insert(format!("limits.{name}"), amount);
        }
    }
}

/// The containers that run together, or the most that a step of the start needs, and the overhead.
fn total(spec: &Value, of: &str) -> Amounts {
    let given = |container: &Value| amounts(&container["resources"][of]);
    let mut running = Amounts::new();
    let mut starting = Amounts::new();
    for container in spec["initContainers"].as_array().into_iter().flatten() {
        let mut step = running.clone();
        add(&mut step, &given(container));
        if container["restartPolicy"] == "Always" {
            running = step.clone();
        }
        raise(&mut starting, &step);
    }
    for container in spec["containers"].as_array().into_iter().flatten() {
        add(&mut running, &given(container));
    }
    raise(&mut running, &starting);
    // Overhead counts to what is asked for; to a limit only where there is one.
    for (name, amount) in amounts(&spec["overhead"]) {
        match running.get_mut(&name) {
            Some(known) => *known = known.plus(amount),
            None if of == "requests" => drop(running.insert(name, amount)),
            None => {}
        }
    }
    running
}

fn add(sums: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = sums.entry(name.clone()).or_default();
        *sum = sum.plus(*amount);
    }
}

fn raise(most: &mut Amounts, others: &Amounts) {
    for (name, amount) in others {
        let known = most.entry(name.clone()).or_default();
        *known = known.larger(*amount);
    }
}

fn service(service: &Value, used: &mut Amounts) {
    used.insert("services".to_owned(), Amount::ONE);
    let spec = &service["spec"];
    let ports = spec["ports"].as_array().map_or(0, Vec::len);
    let ports = Amount { millis: i64::try_from(ports).unwrap_or(0) * 1000, binary: false };
    match spec["type"].as_str() {
        Some("NodePort") => drop(used.insert("services.nodeports".to_owned(), ports)),
        Some("LoadBalancer") => {
            used.insert("services.loadbalancers".to_owned(), Amount::ONE);
            if spec["allocateLoadBalancerNodePorts"] != false {
                used.insert("services.nodeports".to_owned(), ports);
            }
        }
        _ => {}
    }
}

fn claim(claim: &Value, used: &mut Amounts) {
    let class = claim["spec"]["storageClassName"].as_str().filter(|class| !class.is_empty());
    let asked = amounts(&claim["spec"]["resources"]["requests"]).get("storage").copied();
    let mut both = |name: &str, amount: Amount| {
        used.insert(name.to_owned(), amount);
        if let Some(class) = class {
            used.insert(format!("{class}{STORAGE}/{name}"), amount);
        }
    };
    both("persistentvolumeclaims", Amount::ONE);
    if let Some(storage) = asked {
        both("requests.storage", storage);
    }
}

/// The resources among `limited` that every container of a pod has to state, and the containers that do not:
/// `limits.cpu for: app,db; requests.memory for: app`. Empty when all is stated.
pub fn unstated(kind: &'static Kind, object: &Value, limited: &Amounts) -> String {
    if kind != kinds::POD {
        return String::new();
    }
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let lists = ["containers", "initContainers"].map(|list| object["spec"][list].as_array());
    for container in lists.into_iter().flatten().flatten() {
        let (requests, limits) = (&container["resources"]["requests"], &container["resources"]["limits"]);
        for name in limited.keys() {
            let stated = match name.split_once('.') {
                _ if COMPUTE.contains(&name.as_str()) => requests.get(name),
                Some(("requests", plain)) if COMPUTE.contains(&plain) => requests.get(plain),
                Some(("limits", plain)) if COMPUTE.contains(&plain) => limits.get(plain),
                _ => continue,
            };
            if stated.is_none() {
                missing.entry(name).or_default().push(container["name"].as_str().unwrap_or_default());
            }
        }
    }
    let shown = missing.into_iter().map(|(name, mut containers)| {
        containers.sort_unstable();
        format!("{name} for: {}", containers.join(","))
    });
    shown.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::amount::show;
    use super::*;

    #[test]
    fn each_kind_uses_what_quotas_know_it_by() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let resources = json!({"requests": {"cpu": "600m", "memory": "512Mi"}, "limits": {"cpu": "1"}});
        let running = json!({"spec": {"containers": [{"name": "a", "resources": resources}],
            "initContainers": [{"name": "i", "resources": {"requests": {"cpu": "2"}}}]}});
        let mut ended = running.clone();
        ended["status"] = json!({"phase": "Succeeded"});
        let claim = json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}});
        let cases = [
            (
                kinds::POD,
                running,
                "count/pods=1,cpu=2,limits.cpu=1,memory=512Mi,pods=1,requests.cpu=2,requests.memory=512Mi",
            ),
            (kinds::POD, ended, "count/pods=1"),
            (
                kinds::SERVICE,
                json!({"spec": {"type": "NodePort", "ports": [{}, {}]}}),
                "count/services=1,services=1,services.nodeports=2",
            ),
            (
                kinds::CLAIM,
                claim,
                "count/persistentvolumeclaims=1,fast.storageclass.storage.k8s.io/persistentvolumeclaims=1,fast.storageclass.storage.k8s.io/requests.storage=1Gi,persistentvolumeclaims=1,requests.storage=1Gi",
            ),
            (kinds::DEPLOYMENT, json!({}), "count/deployments.apps=1"),
            (kinds::SECRET, json!({}), "count/secrets=1,secrets=1"),
        ];
        for (kind, object, want) in cases {
            assert_eq!(show(&usage(kind, &object, now)), want, "{}", kind.kind);
        }
    }

    #[test]
    fn containers_that_do_not_state_what_is_limited_are_named() {
        let pod =
            json!({"spec": {"containers": [{"name": "b", "resources": {"requests": {"cpu": "1"}}}, {"name": "a"}]}});
        let limited = amounts(&json!({"limits.cpu": "2", "requests.cpu": "1", "pods": "3"}));
        assert_eq!(unstated(kinds::POD, &pod, &limited), "limits.cpu for: a,b; requests.cpu for: a");
        assert_eq!(unstated(kinds::SERVICE, &pod, &limited), "");
    }
}
