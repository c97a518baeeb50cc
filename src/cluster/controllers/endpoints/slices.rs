//! Decides which EndpointSlices a Service has: at most 100 endpoints each, one set of ports each, and as few
//! changes as possible to those that are there, because every node watches them. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ObjectReference, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};

use super::backends::{Backend, Family, Port};

/// Endpoints in one slice.
const CAPACITY: usize = 100;

/// A slice's content; what it is named, and who owns it, is the same for all.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    pub family: Family,
    pub ports: Vec<Port>,
    pub endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    pub create: Vec<Content>,
    /// By name.
    pub update: Vec<(String, Content)>,
    pub delete: Vec<String>,
}

/// What has to change so that `existing` become the slices of `backends`. Slices that stay as they are do not occur.
pub fn plan(service: &Service, families: &[Family], backends: &[Backend], existing: &[EndpointSlice]) -> Changes {
    let mut changes = Changes::default();
    for family in families {
        let of_family = |slice: &&EndpointSlice| slice.address_type == family.as_str();
        let existing: Vec<_> = existing.iter().filter(of_family).collect();
        plan_family(service, *family, backends, &existing, &mut changes);
    }
    let known = |slice: &&EndpointSlice| families.iter().any(|f| slice.address_type == f.as_str());
    changes.delete.extend(existing.iter().filter(|s| !known(s)).map(name));
    changes
}

fn plan_family(
    service: &Service,
    family: Family,
    backends: &[Backend],
    existing: &[&EndpointSlice],
    changes: &mut Changes,
) {
    let mut groups: BTreeMap<&[Port], BTreeMap<String, Endpoint>> = BTreeMap::new();
    for backend in backends {
        if let Some(endpoint) = endpoint(service, backend, family) {
            let uid = backend.pod.metadata.uid.clone().unwrap_or_default();
            groups.entry(&backend.ports).or_default().insert(uid, endpoint);
        }
    }
    let nothing = groups.is_empty();
    let mut free: Vec<&EndpointSlice> = Vec::new();
    let mut create = Vec::new();
    let mut by_ports: BTreeMap<Vec<Port>, Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in existing {
        by_ports.entry(ports_of(slice)).or_default().push(slice);
    }
    for (ports, wanted) in groups {
        let same = by_ports.remove(ports).unwrap_or_default();
        fill(family, ports, wanted, &same, changes, &mut free, &mut create);
    }
    free.extend(by_ports.into_values().flatten());
    if nothing {
        // A Service without endpoints has one empty slice, so that its watchers can tell it from an unknown one.
        let placeholder = Content { family, ports: Vec::new(), endpoints: Vec::new() };
        match free.iter().position(|slice| slice.endpoints.is_empty() && ports_of(slice).is_empty()) {
            Some(kept) => drop(free.remove(kept)),
            None => create.push(placeholder),
        }
    }
    // A slice that is free is written anew rather than deleted beside one that is created.
    for content in create {
        match free.pop() {
            Some(slice) => changes.update.push((name(slice), content)),
            None => changes.create.push(content),
        }
    }
    changes.delete.extend(free.into_iter().map(name));
}

/// Updates the slices of one set of ports, puts what is new where there is room, and the rest into new slices.
fn fill<'a>(
    family: Family,
    ports: &[Port],
    mut wanted: BTreeMap<String, Endpoint>,
    same: &[&'a EndpointSlice],
    changes: &mut Changes,
    free: &mut Vec<&'a EndpointSlice>,
    create: &mut Vec<Content>,
) {
    let mut kept: Vec<(&EndpointSlice, Vec<Endpoint>)> = Vec::new();
    for slice in same {
        let stays = |old: &Endpoint| wanted.remove(old.target_ref.as_ref()?.uid.as_deref()?);
        kept.push((slice, slice.endpoints.iter().filter_map(stays).collect()));
    }
    // Slices that have to be written anyway take new endpoints first, the fullest of them first.
    kept.sort_by_key(|(slice, endpoints)| (slice.endpoints == *endpoints, CAPACITY.saturating_sub(endpoints.len())));
    let mut rest = wanted.into_values();
    for (slice, mut endpoints) in kept {
        endpoints.extend(rest.by_ref().take(CAPACITY.saturating_sub(endpoints.len())));
        if endpoints.is_empty() {
            free.push(slice);
        } else if endpoints != slice.endpoints {
            changes.update.push((name(slice), Content { family, ports: ports.to_vec(), endpoints }));
        }
    }
    loop {
        let endpoints: Vec<_> = rest.by_ref().take(CAPACITY).collect();
        if endpoints.is_empty() {
            break;
        }
        create.push(Content { family, ports: ports.to_vec(), endpoints });
    }
}

fn endpoint(service: &Service, backend: &Backend, family: Family) -> Option<Endpoint> {
    let meta = &backend.pod.metadata;
    Some(Endpoint {
        addresses: vec![backend.address(family)?.to_owned()],
        conditions: Some(EndpointConditions {
            ready: Some(backend.ready),
            serving: Some(backend.serving),
            terminating: Some(backend.terminating),
        }),
        hostname: backend.hostname(service),
        node_name: backend.pod.spec.as_ref().and_then(|s| s.node_name.clone()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".into()),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            ..ObjectReference::default()
        }),
        zone: backend.zone.clone(),
        ..Endpoint::default()
    })
}

pub fn to_wire(ports: &[Port]) -> Option<Vec<EndpointPort>> {
    let wire = |port: &Port| EndpointPort {
        name: Some(port.name.clone()),
        protocol: Some(port.protocol.clone()),
        port: Some(port.number),
        app_protocol: port.app_protocol.clone(),
    };
    (!ports.is_empty()).then(|| ports.iter().map(wire).collect())
}

fn ports_of(slice: &EndpointSlice) -> Vec<Port> {
    let port = |port: &EndpointPort| Port {
        name: port.name.clone().unwrap_or_default(),
        protocol: port.protocol.clone().unwrap_or_else(|| "TCP".into()),
        number: port.port.unwrap_or(0),
        app_protocol: port.app_protocol.clone(),
    };
    let mut ports: Vec<Port> = slice.ports.iter().flatten().map(port).collect();
    ports.sort();
    ports
}

fn name(slice: &EndpointSlice) -> String {
    slice.metadata.name.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn service() -> Service {
        serde_json::from_value(json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})).unwrap()
    }

    fn backends(range: std::ops::Range<u32>) -> Vec<Backend> {
        let pod = |n: u32| {
            let ready = json!([{"type": "Ready", "status": "True"}]);
            let status =
                json!({"phase": "Running", "podIP": format!("10.0.{}.{}", n / 250, n % 250), "conditions": ready});
            json!({"metadata": {"name": format!("p{n}"), "uid": format!("u{n:04}")}, "spec": {"containers": []},
                "status": status})
        };
        let backend = |n| Backend::of(&service(), Arc::new(serde_json::from_value(pod(n)).unwrap()), None).unwrap();
        range.map(backend).collect()
    }

    fn stored(contents: &[Content]) -> Vec<EndpointSlice> {
        let slice = |(index, content): (usize, &Content)| EndpointSlice {
            metadata: serde_json::from_value(json!({"name": format!("s-{index}")})).unwrap(),
            address_type: "IPv4".into(),
            endpoints: content.endpoints.clone(),
            ports: to_wire(&content.ports),
        };
        contents.iter().enumerate().map(slice).collect()
    }

    #[test]
    fn slices_hold_at_most_a_hundred_and_are_changed_as_little_as_possible() {
        let sizes = |contents: &[Content]| contents.iter().map(|c| c.endpoints.len()).collect::<Vec<_>>();
        let v4 = [Family::V4];
        let first = plan(&service(), &v4, &backends(0..250), &[]);
        assert_eq!(sizes(&first.create), [100, 100, 50]);
        let existing = stored(&first.create);
        assert_eq!(plan(&service(), &v4, &backends(0..250), &existing), Changes::default());
        let grown = plan(&service(), &v4, &backends(0..260), &existing);
        assert_eq!((grown.create.len(), grown.update.len(), grown.delete.len()), (0, 1, 0));
        assert_eq!(grown.update[0].1.endpoints.len(), 60);
        let shrunk = plan(&service(), &v4, &backends(0..100), &existing);
        assert_eq!((shrunk.create.len(), shrunk.update.len(), shrunk.delete.len()), (0, 0, 2));
    }

    #[test]
    fn a_service_without_pods_keeps_one_empty_slice() {
        let v4 = [Family::V4];
        let empty = plan(&service(), &v4, &[], &[]);
        assert_eq!((empty.create.len(), empty.create[0].endpoints.len()), (1, 0));
        let existing = stored(&empty.create);
        assert_eq!(plan(&service(), &v4, &[], &existing), Changes::default());
        let filled = plan(&service(), &v4, &backends(0..1), &existing);
        assert_eq!((filled.create.len(), filled.update.len(), filled.delete.len()), (0, 1, 0), "it is written anew");
    }
}
