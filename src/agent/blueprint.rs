//! What the sandbox and the containers of a pod are to be, for the engine. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, SecurityContext};

use super::environment;
use super::images::SANDBOX_IMAGE;
use super::labels;
use super::lifecycle::spec;
use super::runtime::{
    ContainerSpec, Isolation, Mount, Namespaces, Network, NetworkMode, Processes, Resources, Security,
};
use crate::object::quantity::Quantity;

/// Never below 0: not every engine (a rootless one, one in a container) may protect processes from the kernel. The order
/// is a kubelet's all the same: who asked for nothing goes first, sandboxes and who has what it asked for go last.
const LAST_TO_GO: i64 = 0;
/// The least weight that the kernel knows.
const LEAST_SHARES: i64 = 2;

#[derive(Debug, thiserror::Error)]
pub enum BlueprintError {
    #[error("container has runAsNonRoot and image will run as root (pod: {pod:?}, container: {container})")]
    RunsAsRoot { pod: String, container: String },
}

/// All that a container is made of.
pub struct Parts<'a> {
    pub pod: &'a Pod,
    pub definition: &'a Container,
    pub attempt: u32,
    pub backoff_seconds: i64,
    pub sandbox: &'a str,
    /// The container whose processes this one sees, for an ephemeral one.
    pub target: Option<&'a str>,
    pub agent_id: &'a str,
    pub env: Vec<(String, String)>,
    pub mounts: Vec<Mount>,
}

fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}

/// `k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`, as people know it from Kubernetes nodes.
fn name(pod: &Pod, container: &str, attempt: u32) -> String {
    let meta = &pod.metadata;
    format!("k8s_{container}_{}_{}_{}_{attempt}", text(&meta.name), text(&meta.namespace), text(&meta.uid))
}

fn common_labels(pod: &Pod, agent_id: &str, role: &str, container: &str, attempt: u32) -> BTreeMap<String, String> {
    let meta = &pod.metadata;
    [
        (labels::AGENT, agent_id),
        (labels::ROLE, role),
        (labels::ATTEMPT, &attempt.to_string()),
        (labels::GRACE, &spec::grace_seconds(pod).to_string()),
        (labels::POD_NAME, text(&meta.name)),
        (labels::POD_NAMESPACE, text(&meta.namespace)),
        (labels::POD_UID, text(&meta.uid)),
        (labels::CONTAINER_NAME, container),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// The sandbox: it holds the network that the pod's containers share, and does nothing.
pub fn sandbox(pod: &Pod, attempt: u32, agent_id: &str, network: &Network) -> ContainerSpec {
    let default = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&default);
    let host_network = spec.host_network == Some(true);
    let pod_name = text(&pod.metadata.name);
    let hostname = spec.hostname.as_deref().filter(|name| !name.is_empty()).unwrap_or(pod_name);
    let aliases = spec.host_aliases.iter().flatten();
    let hosts = aliases.flat_map(|a| a.hostnames.iter().flatten().map(|name| (name.clone(), a.ip.clone())));
    let dns = spec.dns_config.clone().unwrap_or_default();
    let options = dns.options.unwrap_or_default().into_iter().filter_map(|o| {
        let name = o.name?;
        Some(o.value.map_or(name.clone(), |value| format!("{name}:{value}")))
    });
    ContainerSpec {
        name: name(pod, "POD", attempt),
        image: SANDBOX_IMAGE.to_owned(),
        labels: common_labels(pod, agent_id, labels::ROLE_SANDBOX, "POD", attempt),
        resources: Resources { oom_score: LAST_TO_GO, cpu_shares: Some(LEAST_SHARES), ..Resources::default() },
        isolation: Isolation {
            network: if host_network { NetworkMode::Host } else { NetworkMode::Named(network.name.clone()) },
            namespaces: if spec.host_ipc == Some(true) { Namespaces::Host } else { Namespaces::Shareable },
            processes: Processes::Own,
            // The kernel takes 64 characters at most.
            hostname: (!host_network).then(|| hostname.chars().take(63).collect()),
            hosts: hosts.collect(),
            dns_servers: dns.nameservers.unwrap_or_default(),
            dns_searches: dns.searches.unwrap_or_default(),
            dns_options: options.collect(),
        },
        security: Security { no_new_privileges: true, ..Security::default() },
        ..ContainerSpec::default()
    }
}

/// A container of the pod.
///
/// # Errors
/// When it may not run as its image says.
pub fn container(parts: &Parts<'_>) -> Result<ContainerSpec, BlueprintError> {
    let Parts { pod, definition, .. } = parts;
    let default = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&default);
    let variables: BTreeMap<String, String> = parts.env.iter().cloned().collect();
    let expand = |words: &Option<Vec<String>>| {
        let words = words.as_ref().filter(|words| !words.is_empty());
        words.map(|words| words.iter().map(|word| environment::expand(word, &variables)).collect())
    };
    let mut all = common_labels(pod, parts.agent_id, labels::ROLE_CONTAINER, &definition.name, parts.attempt);
    all.insert(labels::DEFINITION.to_owned(), spec::definition(definition));
    all.insert(labels::SANDBOX.to_owned(), parts.sandbox.to_owned());
    all.insert(labels::BACKOFF.to_owned(), parts.backoff_seconds.to_string());
    Ok(ContainerSpec {
        name: name(pod, &definition.name, parts.attempt),
        image: definition.image.clone().unwrap_or_default(),
        labels: all,
        command: expand(&definition.command),
        args: expand(&definition.args),
        env: parts.env.clone(),
        working_dir: definition.working_dir.clone().filter(|dir| !dir.is_empty()),
        mounts: parts.mounts.clone(),
        resources: resources(pod, definition),
        security: security(pod, definition)?,
        isolation: Isolation {
            network: NetworkMode::Container(parts.sandbox.to_owned()),
            namespaces: match spec.host_ipc {
                Some(true) => Namespaces::Host,
                _ => Namespaces::Container(parts.sandbox.to_owned()),
            },
            processes: match (spec.host_pid, parts.target) {
                (Some(true), _) => Processes::Host,
                (_, Some(target)) => Processes::Container(target.to_owned()),
                _ => Processes::Own,
            },
            ..Isolation::default()
        },
        tty: definition.tty == Some(true),
        stdin: definition.stdin == Some(true),
        stdin_once: definition.stdin_once == Some(true),
    })
}

fn amount(container: &Container, limits: bool, resource: &str) -> Option<Quantity> {
    let resources = container.resources.as_ref()?;
    let list = if limits { resources.limits.as_ref() } else { resources.requests.as_ref() };
    Quantity::parse(&list?.get(resource)?.0).ok()
}

/// Requests become weights, limits become quotas, as a kubelet computes them.
fn resources(pod: &Pod, container: &Container) -> Resources {
    let cpu_limit = amount(container, true, "cpu").map(Quantity::millis);
    let cpu_request = amount(container, false, "cpu").map(Quantity::millis).or(cpu_limit).unwrap_or(0);
    let memory_limit = amount(container, true, "memory").map(Quantity::units).filter(|bytes| *bytes > 0);
    let memory_request = amount(container, false, "memory").map(Quantity::units).or(memory_limit).unwrap_or(0);
    let qos = pod.status.as_ref().and_then(|status| status.qos_class.as_deref());
    Resources {
        memory_bytes: memory_limit,
        cpu_shares: Some((cpu_request.saturating_mul(1024) / 1000).clamp(LEAST_SHARES, 262_144)),
        // 500m of a CPU are 50 ms in each 100 ms; the kernel takes no less than 1 ms.
        cpu_quota: cpu_limit.filter(|millis| *millis > 0).map(|millis| (millis.saturating_mul(100)).max(1000)),
        oom_score: match qos {
            Some("Guaranteed") => LAST_TO_GO,
            // Who asked for little goes first: 1000 minus the asked for share of (say) 16 GiB, in thousandths.
            Some("Burstable") => (1000 - memory_request.saturating_mul(1000) / (16 << 30)).clamp(2, 999),
            _ => 1000,
        },
    }
}

fn security(pod: &Pod, container: &Container) -> Result<Security, BlueprintError> {
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.security_context.clone()).unwrap_or_default();
    let default = SecurityContext::default();
    let own = container.security_context.as_ref().unwrap_or(&default);
    let user = own.run_as_user.or(of_pod.run_as_user);
    let group = own.run_as_group.or(of_pod.run_as_group);
    let non_root = own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true);
    if non_root && user == Some(0) {
        let pod = format!("{}_{}", text(&pod.metadata.name), text(&pod.metadata.namespace));
        return Err(BlueprintError::RunsAsRoot { pod, container: container.name.clone() });
    }
    let capabilities = own.capabilities.clone().unwrap_or_default();
    let groups = of_pod.supplemental_groups.into_iter().flatten().chain(of_pod.fs_group);
    Ok(Security {
        privileged: own.privileged == Some(true),
        user: match (user, group) {
            (None, None) => String::new(),
            (Some(user), None) => user.to_string(),
            (user, Some(group)) => format!("{}:{group}", user.unwrap_or_default()),
        },
        groups: groups.map(|group| group.to_string()).collect(),
        add: capabilities.add.unwrap_or_default(),
        drop: capabilities.drop.unwrap_or_default(),
        read_only_root: own.read_only_root_filesystem == Some(true),
        no_new_privileges: own.allow_privilege_escalation == Some(false),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_become_weights_and_limits_become_quotas() {
        let cases = [
            (json!({}), (None, Some(2), None)),
            (json!({"requests": {"cpu": "250m"}}), (None, Some(256), None)),
            (json!({"limits": {"cpu": "500m", "memory": "64Mi"}}), (Some(64 << 20), Some(512), Some(50_000))),
            (json!({"limits": {"cpu": "1m"}}), (None, Some(2), Some(1000))),
        ];
        for (given, want) in cases {
            let container: Container = serde_json::from_value(json!({"name": "c", "resources": given})).unwrap();
            let got = resources(&Pod::default(), &container);
            assert_eq!((got.memory_bytes, got.cpu_shares, got.cpu_quota), want, "{given}");
        }
    }

    #[test]
    fn a_container_that_must_not_be_root_is_not() {
        let container: Container = serde_json::from_value(json!({"name": "c",
            "securityContext": {"runAsNonRoot": true, "runAsUser": 0}}))
        .unwrap();
        assert!(security(&Pod::default(), &container).is_err());
    }
}
