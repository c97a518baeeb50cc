//! Keeps the EndpointSlices and the Endpoints of each Service: reads a snapshot, asks `slices` and `subsets`, and
//! stores what differs at one revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{EndpointSubset, Endpoints, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::backends::{Backend, families, is_headless};
use super::slices::{self, Content, to_wire};
use super::subsets;
use crate::cluster::controllers::claims::Claimant;
use crate::cluster::controllers::decode::{decode, is_namespace_terminating};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source};
use crate::cluster::controllers::names;
use crate::cluster::registry::{Author, DeleteOptions, Patch, Registry, Target, Transaction, WriteOptions};
use crate::cluster::store::{Change, Event, Snapshot};
use crate::object::selector::Selector;
use crate::object::{Object, ObjectKey, kinds};

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
const ENDPOINTS_MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const ENDPOINTS_MANAGER: &str = "endpoint-controller";
const HEADLESS: &str = "service.kubernetes.io/headless";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const ZONE: &str = "topology.kubernetes.io/zone";

pub struct EndpointsController {
    registry: Registry,
    author: Author,
}

impl Controller for EndpointsController {
    fn name(&self) -> &'static str {
        "endpoints"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::SERVICE),
            Source::new(kinds::POD, |snapshot, event| {
                let states = std::iter::once(&event.object).chain(&event.previous);
                states.flat_map(|pod| selecting(snapshot, pod)).collect()
            }),
            Source::new(kinds::ENDPOINT_SLICE, |_, event| written_by_others(event)),
            Source::new(kinds::ENDPOINTS, |_, event| {
                vec![ObjectKey::new(kinds::SERVICE, &*event.object.key.namespace, &*event.object.key.name)]
            }),
            Source::new(kinds::NODE, |snapshot, event| {
                let zone = |node: &Arc<Object>| node.meta.labels.get(ZONE).cloned();
                if event.previous.as_ref().map(zone) == Some(zone(&event.object)) {
                    return Vec::new();
                }
                let pods = snapshot.pods_on(&event.object.key.name);
                pods.flat_map(|pod| selecting(snapshot, pod)).collect()
            }),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let mut transaction = self.registry.begin(&self.author);
        let Some(object) = snapshot.get(&key) else {
            // Slices are owned by the Service and collected; Endpoints are bound to it by their name alone.
            remove_endpoints(&mut transaction, &snapshot, &key)?;
            transaction.commit().await?;
            return Ok(Next::Done);
        };
        let service = decode::<Service>(object)?;
        let Some(selector) = selector_of(&service).filter(|_| !object.meta.is_deleting()) else {
            return Ok(Next::Done);
        };
        let run = Run { snapshot: &snapshot, object, service: &service, selector };
        match run.write(&mut transaction) {
            Err(failure) if is_namespace_terminating(&failure) => return Ok(Next::Done),
            written => written?,
        }
        transaction.commit().await?;
        Ok(Next::Done)
    }
}

impl EndpointsController {
    pub fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), author: Author::controller("endpointslice-controller") }
    }
}

/// The Services whose selector matches a pod.
fn selecting(snapshot: &Snapshot, pod: &Object) -> Vec<ObjectKey> {
    let selects = |service: &&Arc<Object>| {
        let typed = service.typed::<Service>();
        typed.is_ok_and(|s| selector_of(&s).is_some_and(|selector| selector.matches(&pod.meta.labels)))
    };
    snapshot.list(kinds::SERVICE, &pod.key.namespace).filter(selects).map(|s| s.key.clone()).collect()
}

fn written_by_others(event: &Event) -> Vec<ObjectKey> {
    let slice = &event.object;
    let labels = &slice.meta.labels;
    let ours = labels.get(MANAGED_BY).is_some_and(|manager| manager == MANAGER);
    let service = labels.get(SERVICE_NAME).filter(|_| ours || event.change != Change::Deleted);
    service.map(|name| ObjectKey::new(kinds::SERVICE, &*slice.key.namespace, &**name)).into_iter().collect()
}

fn selector_of(service: &Service) -> Option<Selector> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    let labels = spec.selector.as_ref().filter(|labels| !labels.is_empty())?;
    Some(Selector::of_labels(labels))
}

fn remove_endpoints(transaction: &mut Transaction, snapshot: &Snapshot, key: &ObjectKey) -> Result<(), Failure> {
    let Some(endpoints) = snapshot.find(kinds::ENDPOINTS, &key.namespace, &key.name) else { return Ok(()) };
    let ours = endpoints.meta.labels.get(ENDPOINTS_MANAGED_BY).is_some_and(|m| m == ENDPOINTS_MANAGER);
    if ours && !endpoints.meta.is_deleting() {
        transaction.delete(&endpoints.key, &DeleteOptions::default())?;
    }
    Ok(())
}

struct Run<'a> {
    snapshot: &'a Snapshot,
    object: &'a Object,
    service: &'a Service,
    selector: Selector,
}

impl Run<'_> {
    fn write(&self, transaction: &mut Transaction) -> Result<(), Failure> {
        let backends = self.backends()?;
        let mut existing = Vec::new();
        for slice in self.own_slices() {
            existing.push(EndpointSlice::clone(&*decode::<EndpointSlice>(slice)?));
        }
        let families = families(self.service);
        let changes = slices::plan(self.service, &families, &backends, &existing);
        let namespace = self.object.key.namespace.as_str();
        let key = |name: &str| ObjectKey::new(kinds::ENDPOINT_SLICE, namespace, name);
        for name in &changes.delete {
            transaction.delete(&key(name), &DeleteOptions::default())?;
        }
        for (name, content) in &changes.update {
            transaction.update(&Target::from(key(name)), self.slice(name, content)?, WriteOptions::default())?;
        }
        let mut random = fastrand::Rng::new();
        for content in &changes.create {
            let mut name = names::generate(&format!("{}-", self.object.key.name), &mut random);
            while transaction.current(&key(&name)).is_some() {
                name = names::generate(&format!("{}-", self.object.key.name), &mut random);
            }
            let slice = self.slice(&name, content)?;
            transaction.create(kinds::ENDPOINT_SLICE, namespace, slice, WriteOptions::default())?;
        }
        self.relabel(transaction, &changes)?;
        let family = families[0];
        let (subsets, truncated) = subsets::plan(self.service, family, &backends);
        self.write_endpoints(transaction, subsets, truncated)
    }

    fn backends(&self) -> Result<Vec<Backend>, Failure> {
        let namespace = self.object.key.namespace.as_str();
        let mut backends = Vec::new();
        let selected = self.snapshot.list(kinds::POD, namespace).filter(|p| self.selector.matches(&p.meta.labels));
        for object in selected {
            let node = object.meta.node.as_deref().and_then(|name| self.snapshot.find(kinds::NODE, "", name));
            let zone = node.and_then(|node| node.meta.labels.get(ZONE).cloned());
            backends.extend(Backend::of(self.service, decode::<Pod>(object)?, zone));
        }
        Ok(backends)
    }

    fn own_slices(&self) -> impl Iterator<Item = &Arc<Object>> {
        let ours = |o: &&Arc<Object>| {
            o.key.kind == kinds::ENDPOINT_SLICE
                && o.meta.labels.get(MANAGED_BY).is_some_and(|m| m == MANAGER)
                && !o.meta.is_deleting()
        };
        self.snapshot.owned_by(&self.object.meta.uid).filter(ours)
    }

    fn slice_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.object.meta.labels.clone();
        labels.insert(SERVICE_NAME.into(), self.object.key.name.clone());
        labels.insert(MANAGED_BY.into(), MANAGER.into());
        self.mark_headless(&mut labels);
        labels
    }

    fn mark_headless(&self, labels: &mut BTreeMap<String, String>) {
        labels.remove(HEADLESS);
        if is_headless(self.service) {
            labels.insert(HEADLESS.into(), String::new());
        }
    }

    fn slice(&self, name: &str, content: &Content) -> Result<Value, Failure> {
        let undecodable = |source| Failure::Decode { key: self.object.key.clone(), source };
        let endpoints = serde_json::to_value(&content.endpoints).map_err(undecodable)?;
        let ports = serde_json::to_value(to_wire(&content.ports)).map_err(undecodable)?;
        let owner = Claimant { owner: self.object, selector: &self.selector }.reference();
        Ok(json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": name, "generateName": format!("{}-", self.object.key.name),
                "namespace": self.object.key.namespace, "labels": self.slice_labels(), "ownerReferences": [owner]},
            "addressType": content.family.as_str(), "endpoints": endpoints, "ports": ports}))
    }

    /// Slices whose content stays may still lack a change of the Service's labels.
    fn relabel(&self, transaction: &mut Transaction, changes: &slices::Changes) -> Result<(), Failure> {
        let wanted = self.slice_labels();
        for slice in self.own_slices().filter(|slice| slice.meta.labels != wanted) {
            let name = &slice.key.name;
            if changes.delete.contains(name) || changes.update.iter().any(|(updated, _)| updated == name) {
                continue;
            }
            let gone = slice.meta.labels.keys().filter(|label| !wanted.contains_key(*label));
            let mut labels: serde_json::Map<String, Value> = gone.map(|label| (label.clone(), Value::Null)).collect();
            labels.extend(wanted.iter().map(|(label, value)| (label.clone(), json!(value))));
            let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
            transaction.patch(&Target::from(slice.key.clone()), patch, WriteOptions::default())?;
        }
        Ok(())
    }

    fn write_endpoints(
        &self,
        transaction: &mut Transaction,
        subsets: Vec<EndpointSubset>,
        truncated: bool,
    ) -> Result<(), Failure> {
        let key = ObjectKey::new(kinds::ENDPOINTS, &*self.object.key.namespace, &*self.object.key.name);
        let mut labels = self.object.meta.labels.clone();
        labels.insert(ENDPOINTS_MANAGED_BY.into(), ENDPOINTS_MANAGER.into());
        self.mark_headless(&mut labels);
        let present = self.snapshot.get(&key);
        if let Some(present) = present {
            let typed = decode::<Endpoints>(present)?;
            if typed.subsets.as_deref().unwrap_or_default() == subsets && present.meta.labels == labels {
                return Ok(());
            }
        }
        let undecodable = |source| Failure::Decode { key: key.clone(), source };
        let subsets = serde_json::to_value(&subsets).map_err(undecodable)?;
        let mut endpoints = json!({"apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": key.name, "namespace": key.namespace, "labels": labels}, "subsets": subsets});
        if truncated {
            endpoints["metadata"]["annotations"] = json!({OVER_CAPACITY: "truncated"});
        }
        if present.is_some() {
            transaction.update(&Target::from(key), endpoints, WriteOptions::default())?;
        } else {
            transaction.create(kinds::ENDPOINTS, &key.namespace, endpoints, WriteOptions::default())?;
        }
        Ok(())
    }
}
