//! What is odd about a pod, or about the template of pods.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP: &str = "container.seccomp.security.alpha.kubernetes.io/";
const SECCOMP_OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const APP_ARMOR_FIELD: &str = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
const NO_SELECTOR: &str = "a null labelSelector results in matching no pod";
const SECCOMP_GONE: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";

/// Labels of nodes that have a new name: since when, and which.
const OLD_LABELS: [(&str, &str, &str); 5] = [
    ("beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"),
    ("failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"),
    ("beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"),
];

const OLD_ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];

const OLD_VOLUMES: [(&str, &str); 9] = [
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

pub fn pod(pod: &Value, said: &mut Vec<String>) {
    all(pod, "", said);
    let annotations = &pod["metadata"]["annotations"];
    for (container, _) in containers(&pod["spec"], "") {
        let key = format!("{APP_ARMOR}{}", text(container, "name"));
        // What the annotation says was made a field of the container.
        if !annotations[&key].is_null() && !container["securityContext"]["appArmorProfile"].is_null() {
            said.push(format!("metadata.annotations[{key}]: {APP_ARMOR_FIELD}"));
        }
    }
}

/// `at` is the path of the template.
pub fn template(template: &Value, at: &str, said: &mut Vec<String>) {
    let prefix = format!("{at}.");
    all(template, &prefix, said);
}

fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object[field].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

fn all(pod: &Value, prefix: &str, said: &mut Vec<String>) {
    let spec = &pod["spec"];
    let at = format!("{prefix}spec");
    placing(spec, &at, said);
    let annotations = &pod["metadata"]["annotations"];
    let annotated = |key: &str, why: &str| format!("{prefix}metadata.annotations[{key}]: {why}");
    said.extend(OLD_ANNOTATIONS.iter().filter(|(key, _)| !annotations[*key].is_null()).map(|(k, w)| annotated(k, w)));
    volumes(spec, &at, said);
    addresses(spec, &at, said);
    for resource in ["memory", "ephemeral-storage"] {
        fractional(&spec["overhead"], resource, &format!("{at}.overhead"), said);
    }
    let security = &spec["securityContext"];
    if security["seccompProfile"].is_null() && !annotations[SECCOMP_OF_POD].is_null() {
        said.push(annotated(SECCOMP_OF_POD, SECCOMP_GONE));
    }
    for (container, at) in containers(spec, &at) {
        let own = &container["securityContext"];
        let key = format!("{SECCOMP}{}", text(container, "name"));
        if own["seccompProfile"].is_null() && !annotations[&key].is_null() {
            said.push(annotated(&key, SECCOMP_GONE));
        }
        let key = format!("{APP_ARMOR}{}", text(container, "name"));
        // A pod's annotation is made a field when it is created, so only then is there something to say of it.
        let no_field = own["appArmorProfile"].is_null() && security["appArmorProfile"].is_null();
        if !prefix.is_empty() && no_field && !annotations[&key].is_null() {
            said.push(annotated(&key, APP_ARMOR_FIELD));
        }
        for resource in ["memory", "ephemeral-storage"] {
            for amounts in ["limits", "requests"] {
                let at = format!("{at}.resources.{amounts}");
                fractional(&container["resources"][amounts], resource, &at, said);
            }
        }
        variables(container, &at, said);
    }
    ports(spec, &at, said);
    affinity(&spec["affinity"], &format!("{at}.affinity"), said);
}

/// Containers of all sorts, each with its path.
fn containers<'a>(spec: &'a Value, at: &str) -> Vec<(&'a Value, String)> {
    let sorts = ["initContainers", "containers", "ephemeralContainers"];
    let each = |sort: &'static str| {
        list(spec, sort).iter().enumerate().map(move |(index, container)| (container, format!("{at}.{sort}[{index}]")))
    };
    sorts.into_iter().flat_map(each).collect()
}

fn old_label(key: &str) -> Option<String> {
    let (_, since, now) = OLD_LABELS.iter().find(|(old, ..)| *old == key)?;
    Some(format!("deprecated since {since}; use \"{now}\" instead"))
}

/// Old names of node labels, and spreading over no pod.
fn placing(spec: &Value, at: &str, said: &mut Vec<String>) {
    for key in spec["nodeSelector"].as_object().into_iter().flat_map(serde_json::Map::keys) {
        said.extend(old_label(key).map(|why| format!("{at}.nodeSelector[{key}]: {why}")));
    }
    let affinity = &spec["affinity"]["nodeAffinity"];
    let at_affinity = format!("{at}.affinity.nodeAffinity");
    let mut terms: Vec<(&Value, String)> = Vec::new();
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    for (index, term) in list(&affinity[required], "nodeSelectorTerms").iter().enumerate() {
        terms.push((term, format!("{at_affinity}.{required}.nodeSelectorTerms[{index}]")));
    }
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    for (index, term) in list(affinity, preferred).iter().enumerate() {
        terms.push((&term["preference"], format!("{at_affinity}.{preferred}[{index}].preference")));
    }
    for (term, at) in terms {
        for (index, requirement) in list(term, "matchExpressions").iter().enumerate() {
            let key = text(requirement, "key");
            said.extend(old_label(key).map(|why| format!("{at}.matchExpressions[{index}].key: {key} is {why}")));
        }
    }
    for (index, spread) in list(spec, "topologySpreadConstraints").iter().enumerate() {
        let at = format!("{at}.topologySpreadConstraints[{index}]");
        let key = text(spread, "topologyKey");
        said.extend(old_label(key).map(|why| format!("{at}.topologyKey: {key} is {why}")));
        if spread["labelSelector"].is_null() {
            said.push(format!("{at}.labelSelector: {NO_SELECTOR}"));
        }
    }
}

fn volumes(spec: &Value, at: &str, said: &mut Vec<String>) {
    let volumes = list(spec, "volumes");
    for (index, volume) in volumes.iter().enumerate() {
        let old = OLD_VOLUMES.iter().filter(|(source, _)| !volume[*source].is_null());
        said.extend(old.map(|(source, why)| format!("{at}.volumes[{index}].{source}: {why}")));
    }
    for volume in volumes {
        for source in list(&volume["projected"], "sources") {
            if source.as_object().is_none_or(serde_json::Map::is_empty) {
                said.push(format!("volume {:?} (Projected) has no sources provided", text(volume, "name")));
            }
        }
    }
}

/// Host aliases and pull secrets that are given twice, and those without a name.
fn addresses(spec: &Value, at: &str, said: &mut Vec<String>) {
    for (field, member) in [("hostAliases", "ip"), ("imagePullSecrets", "name")] {
        let mut seen = BTreeSet::new();
        for (index, item) in list(spec, field).iter().enumerate() {
            if !seen.insert(text(item, member)) {
                said.push(format!("{at}.{field}[{index}].{member}: duplicate {member} {:?}", text(item, member)));
            }
        }
    }
    for (index, _) in list(spec, "imagePullSecrets").iter().enumerate().filter(|(_, s)| text(s, "name").is_empty()) {
        said.push(format!("{at}.imagePullSecrets[{index}].name: invalid empty name \"\""));
    }
}

/// There are no parts of a byte.
fn fractional(amounts: &Value, resource: &str, at: &str, said: &mut Vec<String>) {
    let Some(amount) = amounts[resource].as_str() else { return };
    // In its canonical form only an amount with a fraction has one of these suffixes.
    if amount.ends_with(['m', 'u', 'n']) {
        said.push(format!("{at}[{resource}]: fractional byte value {amount:?} is invalid, must be an integer"));
    }
}

/// Variables that are defined twice, unless the second builds on the first.
fn variables(container: &Value, at: &str, said: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (index, variable) in list(container, "env").iter().enumerate() {
        let name = text(variable, "name");
        if seen.insert(name) {
            continue;
        }
        let reference = format!("$({name})");
        let value = text(variable, "value");
        if !variable["valueFrom"].is_null() || value == reference || !value.contains(&reference) {
            let why = format!("hides previous definition of {name:?}, which may be dropped when using apply");
            said.push(format!("{at}.env[{index}]: {why}"));
        }
    }
}

/// Ports of the pod that stand for the same thing more than once.
fn ports(spec: &Value, at: &str, said: &mut Vec<String>) {
    let mut known: BTreeMap<(i64, &str), Vec<(&Value, String)>> = BTreeMap::new();
    for (container, at) in containers(spec, at) {
        for (index, port) in list(container, "ports").iter().enumerate() {
            let at = format!("{at}.ports[{index}]");
            let key = (port["containerPort"].as_i64().unwrap_or(0), text(port, "protocol"));
            let others = known.entry(key).or_default();
            for (other, other_at) in others.iter() {
                said.extend(clash(port, other).map(|how| format!("{at}: {how} port definition with {other_at}")));
            }
            others.push((port, at));
        }
    }
}

fn clash(port: &Value, other: &Value) -> Option<&'static str> {
    let number = |port: &Value| port["hostPort"].as_i64().unwrap_or(0);
    let (ip, other_ip) = (text(port, "hostIP"), text(other, "hostIP"));
    if ip == other_ip && number(port) == number(other) {
        Some("duplicate")
    } else if number(port) == 0 || number(other) == 0 {
        Some("overlapping")
    } else if number(port) == number(other) && ip.is_empty() != other_ip.is_empty() {
        Some("dangerously ambiguous")
    } else {
        None
    }
}

/// Terms of (anti-)affinity to pods that no pod meets.
fn affinity(affinity: &Value, at: &str, said: &mut Vec<String>) {
    for sort in ["podAffinity", "podAntiAffinity"] {
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        for (index, term) in list(&affinity[sort], required).iter().enumerate() {
            if term["labelSelector"].is_null() {
                said.push(format!("{at}.{sort}.{required}[{index}].labelSelector: {NO_SELECTOR}"));
            }
        }
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        for (index, term) in list(&affinity[sort], preferred).iter().enumerate() {
            if term["podAffinityTerm"]["labelSelector"].is_null() {
                said.push(format!("{at}.{sort}.{preferred}[{index}].podAffinityTerm.labelSelector: {NO_SELECTOR}"));
            }
        }
    }
}
