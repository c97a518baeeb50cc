//! Where pods would go that do not exist yet. For plans: nothing is written, and what is foreseen for one pod is counted when
//! the next one is placed. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::cache::Cache;
use super::claims::{self, Claims};
use super::message;
use super::node::NodeSpec;
use super::place::{Verdict, fits, place};
use super::pod::{PodInfo, Stage, stage};
use crate::cluster::store::Snapshot;
use crate::object::{Object, kinds};

pub struct Forecast<'a> {
    snapshot: &'a Snapshot,
    cache: Cache,
    /// Pods that were placed here; makes their names.
    placed: usize,
}

impl<'a> Forecast<'a> {
    /// From the nodes and pods that there are.
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let mut cache = Cache::default();
        for spec in snapshot.list(kinds::NODE, "").filter_map(|node| NodeSpec::of(node).ok()) {
            cache.set_node(spec);
        }
        for namespace in snapshot.list(kinds::NAMESPACE, "") {
            cache.set_namespace(&namespace.key.name, Some(namespace.meta.labels.clone()));
        }
        for pod in snapshot.list(kinds::POD, "").filter(|pod| stage(pod).is_ok_and(|stage| stage == Stage::Bound)) {
            if let (Ok(info), Some(node)) = (PodInfo::of(pod), &pod.meta.node) {
                cache.set_pod(Arc::new(info), node);
            }
        }
        Self { snapshot, cache, placed: 0 }
    }

    /// The pod will not be there.
    pub fn without(&mut self, uid: &str) {
        self.cache.remove_pod(uid);
    }

    /// Gives the node on which a pod of the template would be put.
    ///
    /// # Errors
    /// Why it would be put on none, in the words of its condition; or that it is no pod.
    pub fn place(&mut self, namespace: &str, template: &Value) -> Result<String, String> {
        let pod = self.pod(namespace, template)?;
        match place(&pod, self.cache.view()) {
            Verdict::Placed(placed) => {
                self.cache.set_pod(Arc::new(pod), &placed.node);
                Ok(placed.node)
            }
            Verdict::Unfit(unfit) if unfit.nodes == 0 => Err("there are no nodes".to_owned()),
            Verdict::Unfit(unfit) => Err(unfit.pod.unwrap_or_else(|| message::nodes(unfit.nodes, &unfit.reasons))),
        }
    }

    /// As [`Forecast::place`], one pod on each node that is meant; why those have no room that have none.
    ///
    /// # Errors
    /// That it is no pod.
    pub fn place_on_each(&mut self, namespace: &str, template: &Value) -> Result<Vec<Result<String, String>>, String> {
        let view = self.cache.view().clone();
        let mut found = Vec::new();
        for node in &view.nodes {
            let pod = self.pod(namespace, template)?;
            match fits(&pod, &view, node) {
                Ok(()) => {
                    self.cache.set_pod(Arc::new(pod), node.name());
                    found.push(Ok(node.name().to_owned()));
                }
                Err(rejection) => {
                    let full: BTreeMap<_, _> = rejection
                        .reasons
                        .into_iter()
                        .filter(|reason| is_full(reason))
                        .map(|reason| (reason, 1))
                        .collect();
                    if !full.is_empty() {
                        found.push(Err(message::nodes(1, &full)));
                    }
                }
            }
        }
        Ok(found)
    }

    fn pod(&mut self, namespace: &str, template: &Value) -> Result<PodInfo, String> {
        self.placed += 1;
        let mut pod =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]});
        let name = format!("planned-{}", self.placed);
        pod["metadata"]["namespace"] = namespace.into();
        (pod["metadata"]["uid"], pod["metadata"]["name"]) = (name.clone().into(), name.into());
        let object = Object::from_json(kinds::POD, Bytes::from(pod.to_string())).map_err(|error| error.to_string())?;
        let mut info = PodInfo::of(&object).map_err(|error| error.to_string())?;
        // Claims that do not exist yet come with the pod.
        let exists = |claim: &String| self.snapshot.find(kinds::CLAIM, namespace, claim).is_some();
        info.claims.retain(exists);
        if let Claims::Known(places) = claims::of(&info, self.snapshot) {
            info.volumes = places;
        }
        Ok(info)
    }
}

/// Whether a node is meant, and only lacks room.
fn is_full(reason: &str) -> bool {
    reason.starts_with("Insufficient") || reason == "Too many pods" || reason.contains("free ports")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::registry::{Author, Registry, WriteOptions};
    use crate::cluster::store::Store;
    use crate::object::Clock;
    use crate::tasks::Tasks;

    #[tokio::test]
    async fn pods_are_counted_where_they_are_foreseen_until_nothing_fits() {
        let tasks = Tasks::default();
        let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
        for (name, cpu) in [("a", "1"), ("b", "2")] {
            let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
                "status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "10"}}});
            let author = Author::controller("test");
            registry.create(&author, kinds::NODE, "", node, WriteOptions::default()).await.unwrap();
        }
        let snapshot = registry.snapshot();
        let template = |cpu: &str| {
            json!({"metadata": {"labels": {"app": "x"}},
                "spec": {"containers": [{"name": "x", "image": "x", "resources": {"requests": {"cpu": cpu}}}]}})
        };
        let mut forecast = Forecast::of(&snapshot);
        let mut nodes: Vec<_> = (0..3).map(|_| forecast.place("default", &template("900m")).unwrap()).collect();
        nodes.sort();
        assert_eq!(nodes, ["a", "b", "b"]);
        let why = forecast.place("default", &template("900m")).unwrap_err();
        assert_eq!(why, "0/2 nodes are available: 2 Insufficient cpu.");
        let mut forecast = Forecast::of(&snapshot);
        let each = forecast.place_on_each("default", &template("1500m")).unwrap();
        assert_eq!(each, [Err("0/1 nodes are available: 1 Insufficient cpu.".to_owned()), Ok("b".to_owned())]);
    }
}
