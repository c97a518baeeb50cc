//! What this machine says of itself as a Node. `facts` asks the machine; the rest is pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::path::Path;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{NodeAddress, NodeCondition, NodeStatus, NodeSystemInfo};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::agent::runtime::Engine;

pub const KUBELET_VERSION: &str = "v1.33.0+windlass";
const MAX_PODS: u32 = 110;
/// The engine and the agent need some of the machine, too.
const RESERVED_MEMORY: i64 = 100 << 20;

/// What does not change while the agent runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub engine: Engine,
    pub address: Option<IpAddr>,
    pub hostname: String,
    pub machine_id: String,
    pub boot_id: String,
    pub disk_bytes: i64,
    pub control_plane: bool,
}

/// Asks the machine.
pub fn facts(engine: Engine, control_plane: bool) -> Facts {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let disk_bytes = disk_bytes(&engine.root);
    Facts {
        engine,
        address: own_address(),
        hostname: hostname::get().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        machine_id: read("/etc/machine-id"),
        boot_id: read("/proc/sys/kernel/random/boot_id"),
        disk_bytes,
        control_plane,
    }
}

/// The address that this machine would speak from to another one. Sends nothing.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

fn disk_bytes(path: &Path) -> i64 {
    // The standard library does not know the size of a file system, and `df` is on every machine.
    let output = std::process::Command::new("df").arg("-B1").arg("--output=size").arg(path).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().nth(1).and_then(|line| line.trim().parse().ok()).unwrap_or_default()
}

/// The labels that a node gives itself.
pub fn labels(name: &str, facts: &Facts) -> BTreeMap<String, String> {
    let architecture = facts.engine.architecture.as_str();
    let mut labels: BTreeMap<String, String> = [
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", architecture),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    if facts.control_plane {
        labels.insert("node-role.kubernetes.io/control-plane".to_owned(), String::new());
    }
    labels
}

fn amounts(facts: &Facts, reserved_memory: i64) -> BTreeMap<String, Quantity> {
    let kib = |bytes: i64| format!("{}Ki", bytes.max(0) / 1024);
    [
        ("cpu", facts.engine.cpus.to_string()),
        ("memory", kib(facts.engine.memory_bytes - reserved_memory)),
        ("ephemeral-storage", kib(facts.disk_bytes)),
        ("pods", MAX_PODS.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), Quantity(value)))
    .into()
}

/// What the agent found out about the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineState {
    /// `None`: it answers.
    pub trouble: Option<String>,
}

/// The status; conditions keep their times while their status stays.
pub fn status(facts: &Facts, engine: &EngineState, present: &[NodeCondition], now: Timestamp) -> NodeStatus {
    let second = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    let condition = |type_: &str, holds: bool, reason: &str, message: &str| {
        let status = if holds { "True" } else { "False" };
        let before = present.iter().find(|c| c.type_ == type_ && c.status == status);
        NodeCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_heartbeat_time: Some(second.clone()),
            last_transition_time: before.and_then(|c| c.last_transition_time.clone()).or(Some(second.clone())),
        }
    };
    let ready = match &engine.trouble {
        None => condition("Ready", true, "KubeletReady", "kubelet is posting ready status"),
        Some(why) => condition("Ready", false, "KubeletNotReady", &format!("container runtime is down: {why}")),
    };
    let address = |type_: &str, address: String| NodeAddress { type_: type_.to_owned(), address };
    let mut addresses: Vec<_> = facts.address.iter().map(|ip| address("InternalIP", ip.to_string())).collect();
    addresses.push(address("Hostname", facts.hostname.clone()));
    NodeStatus {
        addresses: Some(addresses),
        capacity: Some(amounts(facts, 0)),
        allocatable: Some(amounts(facts, RESERVED_MEMORY)),
        conditions: Some(vec![
            condition("MemoryPressure", false, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ready,
        ]),
        node_info: Some(NodeSystemInfo {
            architecture: facts.engine.architecture.clone(),
            boot_id: facts.boot_id.clone(),
            container_runtime_version: facts.engine.version.clone(),
            kernel_version: facts.engine.kernel.clone(),
            kube_proxy_version: KUBELET_VERSION.to_owned(),
            kubelet_version: KUBELET_VERSION.to_owned(),
            machine_id: facts.machine_id.clone(),
            operating_system: "linux".to_owned(),
            os_image: facts.engine.os_image.clone(),
            system_uuid: facts.machine_id.clone(),
            ..NodeSystemInfo::default()
        }),
        ..NodeStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_time_until_it_changes() {
        let facts = Facts::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let well = EngineState { trouble: None };
        let first = status(&facts, &well, &[], at(10)).conditions.unwrap();
        let second = status(&facts, &well, &first, at(20)).conditions.unwrap();
        let ready = |conditions: &[NodeCondition]| conditions.iter().find(|c| c.type_ == "Ready").unwrap().clone();
        assert_eq!(ready(&second).last_transition_time.unwrap().0, at(10));
        assert_eq!(ready(&second).last_heartbeat_time.unwrap().0, at(20));
        let ill = EngineState { trouble: Some("hung".into()) };
        let third = ready(&status(&facts, &ill, &second, at(30)).conditions.unwrap());
        assert_eq!((third.status.as_str(), third.last_transition_time.unwrap().0), ("False", at(30)));
    }
}
