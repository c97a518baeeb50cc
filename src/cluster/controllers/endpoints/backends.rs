//! Reads from pods what a Service may send its clients to: address, ports and readiness. Pure.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::cluster::controllers::pods;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// `addressType` of an EndpointSlice, and the name in a Service's `ipFamilies`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    fn of_address(address: &str) -> Self {
        if address.contains(':') { Self::V6 } else { Self::V4 }
    }
}

/// The families of a Service, its own address's first.
pub fn families(service: &Service) -> Vec<Family> {
    let named = service.spec.iter().flat_map(|s| s.ip_families.iter().flatten());
    let families: Vec<_> = named.map(|f| if f == "IPv6" { Family::V6 } else { Family::V4 }).collect();
    if families.is_empty() { vec![Family::V4] } else { families }
}

/// One port of a Service as one pod answers it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The Service port's name; empty when it has none.
    pub name: String,
    pub protocol: String,
    pub number: i32,
    pub app_protocol: Option<String>,
}

/// A pod that a Service may send its clients to.
#[derive(Clone, Debug)]
pub struct Backend {
    pub pod: Arc<Pod>,
    pub ports: Vec<Port>,
    pub zone: Option<String>,
    pub ready: bool,
    pub serving: bool,
    pub terminating: bool,
}

impl Backend {
    /// `None` for a pod that has ended: nobody answers there.
    pub fn of(service: &Service, pod: Arc<Pod>, zone: Option<String>) -> Option<Self> {
        if pods::has_ended(&pod) || pod.status.as_ref()?.pod_ip.as_ref().is_none_or(String::is_empty) {
            return None;
        }
        let serving = pods::is_ready(&pod);
        let terminating = pods::is_deleting(&pod);
        let ready = publishes_not_ready(service) || (serving && !terminating);
        let ports = ports(service, &pod);
        Some(Self { pod, ports, zone, ready, serving, terminating })
    }

    /// The pod's address of a family, or its only one.
    pub fn address(&self, family: Family) -> Option<&str> {
        let status = self.pod.status.as_ref()?;
        let all = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str()).chain(status.pod_ip.as_deref());
        all.into_iter().find(|ip| Family::of_address(ip) == family)
    }

    pub fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    /// The pod's own name under a headless Service that is its subdomain.
    pub fn hostname(&self, service: &Service) -> Option<String> {
        let spec = self.pod.spec.as_ref()?;
        let within = spec.subdomain.is_some() && spec.subdomain == service.metadata.name;
        spec.hostname.clone().filter(|name| within && !name.is_empty())
    }
}

pub fn publishes_not_ready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|s| s.publish_not_ready_addresses).unwrap_or(false)
}

pub fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|s| s.cluster_ip.as_deref()) == Some("None")
}

/// A port that the pod has no container port for (by name) is left out.
fn ports(service: &Service, pod: &Pod) -> Vec<Port> {
    let wanted = service.spec.iter().flat_map(|s| s.ports.iter().flatten());
    let resolved = wanted.filter_map(|port| {
        Some(Port {
            name: port.name.clone().unwrap_or_default(),
            protocol: protocol(port).to_owned(),
            number: number(port, pod)?,
            app_protocol: port.app_protocol.clone(),
        })
    });
    let mut ports: Vec<Port> = resolved.collect();
    ports.sort();
    ports
}

fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

fn number(port: &ServicePort, pod: &Pod) -> Option<i32> {
    let name = match &port.target_port {
        None | Some(IntOrString::Int(0)) => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
    };
    let spec = pod.spec.as_ref()?;
    let sidecars = spec.init_containers.iter().flatten().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let mut offered = spec.containers.iter().chain(sidecars).flat_map(|c| c.ports.iter().flatten());
    let found =
        offered.find(|p| p.name.as_ref() == Some(name) && p.protocol.as_deref().unwrap_or("TCP") == protocol(port));
    found.map(|p| p.container_port)
}
