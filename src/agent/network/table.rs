//! Which address goes to which pods, out of Services and EndpointSlices. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

/// All that the rules of a node say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub fronts: Vec<Front>,
}

/// One port of one Service, and who answers there. Nobody: it is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Front {
    /// `namespace/service:port`.
    pub name: String,
    pub protocol: Protocol,
    pub addresses: Vec<Ipv4Addr>,
    pub port: u16,
    pub node_port: Option<u16>,
    pub backends: BTreeSet<(Ipv4Addr, u16)>,
    /// A client stays with one backend (`sessionAffinity: ClientIP`).
    pub sticky: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    fn of(text: Option<&str>) -> Self {
        match text {
            Some("UDP") => Self::Udp,
            Some("SCTP") => Self::Sctp,
            _ => Self::Tcp,
        }
    }
}

/// `withdrawn`: uids of pods that are about to end, whatever their slices still say.
pub fn table<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    withdrawn: &dyn Fn(&str) -> bool,
) -> Table {
    let mut by_service: BTreeMap<(&str, &str), Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in slices.into_iter().filter(|slice| slice.address_type == "IPv4") {
        let labels = slice.metadata.labels.as_ref();
        let service = labels.and_then(|labels| labels.get("kubernetes.io/service-name"));
        if let (Some(service), Some(namespace)) = (service, slice.metadata.namespace.as_deref()) {
            by_service.entry((namespace, service)).or_default().push(slice);
        }
    }
    let mut fronts = Vec::new();
    for service in services {
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let slices = by_service.get(&(namespace, name)).map(Vec::as_slice).unwrap_or_default();
        let Some(spec) = &service.spec else { continue };
        let addresses = addresses(service);
        if addresses.is_empty() {
            continue;
        }
        for port in spec.ports.iter().flatten() {
            let port_name = port.name.as_deref().unwrap_or_default();
            fronts.push(Front {
                name: format!("{namespace}/{name}:{port_name}"),
                protocol: Protocol::of(port.protocol.as_deref()),
                addresses: addresses.clone(),
                port: number(port.port).unwrap_or_default(),
                node_port: port.node_port.and_then(number).filter(|port| *port > 0),
                backends: backends(slices, port, withdrawn),
                sticky: spec.session_affinity.as_deref() == Some("ClientIP"),
            });
        }
    }
    fronts.sort_by(|a, b| a.name.cmp(&b.name).then(a.protocol.cmp(&b.protocol)));
    Table { fronts }
}

fn number(port: i32) -> Option<u16> {
    port.try_into().ok()
}

fn addresses(service: &Service) -> Vec<Ipv4Addr> {
    let spec = service.spec.as_ref();
    let cluster = spec.and_then(|spec| spec.cluster_ip.as_deref());
    let external = spec.and_then(|spec| spec.external_ips.as_deref()).unwrap_or_default();
    let ingress = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = ingress.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default();
    // "None" and "" are no addresses: a headless Service has no rules.
    let Some(cluster) = cluster.and_then(|ip| ip.parse().ok()) else { return Vec::new() };
    let others = external.iter().map(String::as_str).chain(ingress.iter().filter_map(|i| i.ip.as_deref()));
    std::iter::once(cluster).chain(others.filter_map(|ip| ip.parse().ok())).collect()
}

/// Those that are ready. When none is, those that still serve while they end, as in Kubernetes: better than nobody.
fn backends(
    slices: &[&EndpointSlice],
    port: &ServicePort,
    withdrawn: &dyn Fn(&str) -> bool,
) -> BTreeSet<(Ipv4Addr, u16)> {
    let mut ready = BTreeSet::new();
    let mut serving = BTreeSet::new();
    for slice in slices {
        let is_ours =
            |name: &Option<String>| name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default();
        let target = slice.ports.iter().flatten().find(|p| is_ours(&p.name)).and_then(|p| p.port).and_then(number);
        let Some(target) = target else { continue };
        for endpoint in &slice.endpoints {
            let address = endpoint.addresses.first().and_then(|ip| ip.parse().ok());
            let Some(address) = address else { continue };
            let conditions = endpoint.conditions.clone().unwrap_or_default();
            let leaving = uid(endpoint).is_some_and(withdrawn);
            if conditions.ready.unwrap_or(true) && !leaving {
                ready.insert((address, target));
            } else if conditions.serving.or(conditions.ready).unwrap_or(true)
                && (leaving || conditions.terminating == Some(true))
            {
                serving.insert((address, target));
            }
        }
    }
    if ready.is_empty() { serving } else { ready }
}

fn uid(endpoint: &Endpoint) -> Option<&str> {
    endpoint.target_ref.as_ref()?.uid.as_deref()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service() -> Service {
        serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {
            "clusterIP": "10.96.0.10", "ports": [{"name": "http", "port": 80, "nodePort": 30080, "targetPort": 8080}]}}))
        .unwrap()
    }

    fn slice(endpoints: &Value) -> EndpointSlice {
        serde_json::from_value(json!({"metadata": {"name": "web-1", "namespace": "default",
            "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints}))
        .unwrap()
    }

    fn endpoint(last: u8, ready: bool, serving: bool, terminating: bool) -> Value {
        json!({"addresses": [format!("10.88.0.{last}")], "targetRef": {"kind": "Pod", "uid": format!("u{last}")},
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating}})
    }

    fn chosen(endpoints: Value, withdrawn: &[&str]) -> Vec<u8> {
        let table = table([&service()], [&slice(&endpoints)], &|uid| withdrawn.contains(&uid));
        table.fronts[0].backends.iter().map(|(ip, _)| ip.octets()[3]).collect()
    }

    #[test]
    fn only_ready_pods_answer_unless_none_is() {
        let two = endpoint(2, true, true, false);
        let three = endpoint(3, true, true, false);
        let ending = endpoint(4, false, true, true);
        let unready = endpoint(5, false, false, false);
        let cases = [
            (json!([two, three, ending, unready]), &[][..], vec![2, 3], "ready ones only"),
            (json!([two, three]), &["u2"][..], vec![3], "a withdrawn pod is out before its slice says so"),
            (json!([ending, unready]), &[][..], vec![4], "one that ends but serves is better than nobody"),
            (json!([two]), &["u2"][..], vec![2], "the last one serves until it is gone"),
            (json!([unready]), &[][..], vec![], "nobody"),
        ];
        for (endpoints, withdrawn, want, case) in cases {
            assert_eq!(chosen(endpoints, withdrawn), want, "{case}");
        }
    }

    #[test]
    fn a_headless_service_has_no_rules() {
        let mut headless = service();
        headless.spec.as_mut().unwrap().cluster_ip = Some("None".into());
        assert_eq!(table([&headless], [], &|_| false), Table::default());
    }
}
