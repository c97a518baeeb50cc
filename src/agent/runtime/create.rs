//! Turns a `ContainerSpec` into the body of the Docker API's "create a container". Pure.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount as DockerMount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, RestartPolicy, RestartPolicyNameEnum,
};

use super::container::{ContainerSpec, Mount, Namespaces, NetworkMode, Processes};

/// Docker's default for one scheduling period, in microseconds.
const CPU_PERIOD: i64 = 100_000;

pub(super) fn body(spec: &ContainerSpec) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        entrypoint: spec.command.clone(),
        cmd: spec.args.clone(),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        working_dir: spec.working_dir.clone(),
        user: Some(spec.security.user.clone()).filter(|u| !u.is_empty()),
        hostname: spec.isolation.hostname.clone(),
        tty: Some(spec.tty),
        open_stdin: Some(spec.stdin),
        stdin_once: Some(spec.stdin_once),
        host_config: Some(host_config(spec)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let isolation = &spec.isolation;
    let some = |list: &[String]| Some(list.to_vec()).filter(|l| !l.is_empty());
    let hosts: Vec<String> = isolation.hosts.iter().map(|(name, ip)| format!("{name}:{ip}")).collect();
    HostConfig {
        network_mode: Some(match &isolation.network {
            NetworkMode::None => "none".to_owned(),
            NetworkMode::Host => "host".to_owned(),
            NetworkMode::Named(name) => name.clone(),
            NetworkMode::Container(id) => format!("container:{id}"),
        }),
        ipc_mode: Some(match &isolation.namespaces {
            Namespaces::Shareable => "shareable".to_owned(),
            Namespaces::Host => "host".to_owned(),
            Namespaces::Container(id) => format!("container:{id}"),
        }),
        pid_mode: match &isolation.processes {
            Processes::Own => None,
            Processes::Host => Some("host".to_owned()),
            Processes::Container(id) => Some(format!("container:{id}")),
        },
        extra_hosts: some(&hosts),
        dns: some(&isolation.dns_servers),
        dns_search: some(&isolation.dns_searches),
        dns_options: some(&isolation.dns_options),
        memory: spec.resources.memory_bytes,
        // No swap beyond the memory limit: a limit that swaps is none.
        memory_swap: spec.resources.memory_bytes,
        cpu_shares: spec.resources.cpu_shares,
        cpu_period: spec.resources.cpu_quota.map(|_| CPU_PERIOD),
        cpu_quota: spec.resources.cpu_quota,
        oom_score_adj: Some(spec.resources.oom_score),
        privileged: Some(spec.security.privileged),
        group_add: some(&spec.security.groups),
        cap_add: some(&spec.security.add),
        cap_drop: some(&spec.security.drop),
        readonly_rootfs: Some(spec.security.read_only_root),
        security_opt: spec.security.no_new_privileges.then(|| vec!["no-new-privileges".to_owned()]),
        mounts: Some(spec.mounts.iter().map(mount).collect()),
        // The agent restarts containers; the engine must not.
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        log_config: Some(log_config()),
        ..HostConfig::default()
    }
}

/// Logs rotate as a kubelet's do: five files of 10 MiB.
fn log_config() -> HostConfigLogConfig {
    let options = [("max-size", "10m"), ("max-file", "5")];
    let config: HashMap<String, String> = options.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(config) }
}

fn mount(mount: &Mount) -> DockerMount {
    let propagation = match mount.propagation.as_deref() {
        Some("HostToContainer") => MountBindOptionsPropagationEnum::RSLAVE,
        Some("Bidirectional") => MountBindOptionsPropagationEnum::RSHARED,
        _ => MountBindOptionsPropagationEnum::RPRIVATE,
    };
    DockerMount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.to_string_lossy().into_owned()),
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        bind_options: Some(MountBindOptions { propagation: Some(propagation), ..MountBindOptions::default() }),
        ..DockerMount::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::runtime::{Isolation, Resources};

    #[test]
    fn a_containers_limits_and_namespaces_reach_the_engine() {
        let spec = ContainerSpec {
            resources: Resources { memory_bytes: Some(64 << 20), cpu_quota: Some(50_000), ..Resources::default() },
            isolation: Isolation { network: NetworkMode::Container("abc".into()), ..Isolation::default() },
            ..ContainerSpec::default()
        };
        let host = body(&spec).host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("container:abc"));
        assert_eq!((host.memory, host.memory_swap), (Some(64 << 20), Some(64 << 20)));
        assert_eq!((host.cpu_quota, host.cpu_period), (Some(50_000), Some(100_000)));
    }
}
