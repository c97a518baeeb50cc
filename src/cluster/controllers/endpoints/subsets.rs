//! Decides what the Endpoints object of a Service says: addresses grouped by the ports that they answer. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, ObjectReference, Service};

use super::backends::{Backend, Family, Port, publishes_not_ready};

/// Addresses that one Endpoints object holds; it says so when there are more.
pub const CAPACITY: usize = 1000;

/// The addresses, and whether some were left out because there are too many.
pub fn plan(service: &Service, family: Family, backends: &[Backend]) -> (Vec<EndpointSubset>, bool) {
    // Unlike slices, Endpoints have no word for pods that are on their way out.
    let listed = backends.iter().filter(|b| publishes_not_ready(service) || !b.terminating);
    let mut listed: Vec<&Backend> = listed.filter(|b| b.address(family).is_some()).collect();
    listed.sort_by_key(|b| (!b.ready, b.address(family).map(str::to_owned), b.name().to_owned()));
    let truncated = listed.len() > CAPACITY;
    listed.truncate(CAPACITY);

    let without_ports = service.spec.as_ref().is_none_or(|s| s.ports.iter().flatten().next().is_none());
    // The pods that answer each port, and then the ports that the same pods answer.
    let mut answering: BTreeMap<Option<&Port>, Vec<usize>> = BTreeMap::new();
    for (index, backend) in listed.iter().enumerate() {
        if without_ports {
            answering.entry(None).or_default().push(index);
        }
        for port in &backend.ports {
            answering.entry(Some(port)).or_default().push(index);
        }
    }
    let mut groups: BTreeMap<Vec<usize>, Vec<&Port>> = BTreeMap::new();
    for (port, pods) in answering {
        groups.entry(pods).or_default().extend(port);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by(|a, b| a.1.cmp(&b.1));
    let subset = |(pods, ports): (Vec<usize>, Vec<&Port>)| {
        let addresses = |ready: bool| {
            let some = pods.iter().map(|i| listed[*i]).filter(|b| b.ready == ready);
            let some: Vec<_> = some.map(|b| address(service, b, family)).collect();
            (!some.is_empty()).then_some(some)
        };
        let ports: Vec<_> = ports.into_iter().map(port).collect();
        EndpointSubset {
            addresses: addresses(true),
            not_ready_addresses: addresses(false),
            ports: (!ports.is_empty()).then_some(ports),
        }
    };
    (groups.into_iter().map(subset).collect(), truncated)
}

fn address(service: &Service, backend: &Backend, family: Family) -> EndpointAddress {
    let meta = &backend.pod.metadata;
    EndpointAddress {
        ip: backend.address(family).unwrap_or_default().to_owned(),
        hostname: backend.hostname(service),
        node_name: backend.pod.spec.as_ref().and_then(|s| s.node_name.clone()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".into()),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            ..ObjectReference::default()
        }),
    }
}

fn port(port: &Port) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone()).filter(|name| !name.is_empty()),
        port: port.number,
        protocol: Some(port.protocol.clone()),
        app_protocol: port.app_protocol.clone(),
    }
}
