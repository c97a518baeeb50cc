//! Draws the namespace in the form of the recordings: generated names are replaced by stand-ins, and what does not
//! matter is left out.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};
use windlass::cluster::store::{Change, Watch};
use windlass::object::{Revision, kinds};

use crate::cluster::{Cluster, NAMESPACE};
use crate::workloads;

/// Sections that a case draws if any of its steps has them.
const OPTIONAL: &[&str] =
    &["endpointSlices", "endpoints", "objects", "namespace", "controllerRevisions", "persistentVolumeClaims"];
const REVISION_HASH: &str = "controller-revision-hash";

pub struct Picture {
    sets: Watch,
    pods: Watch,
    revisions: Watch,
    jobs: Watch,
    /// ReplicaSets that Deployments made, by name: rs-a, rs-b and so on, in order of creation.
    ids: BTreeMap<String, String>,
    /// ControllerRevisions, by name: cr-a, cr-b and so on, in order of creation.
    revision_ids: BTreeMap<String, String>,
    /// Jobs that CronJobs made, by name: NAME-<time>.
    timed: BTreeMap<String, String>,
    /// Generated names of pods; those of a StatefulSet's are its own while it controls them.
    generated: Vec<String>,
    /// All pods in order of creation.
    order: HashMap<String, usize>,
    addresses: BTreeMap<String, String>,
    /// Events and how often each was counted when the last picture was taken.
    counted: HashMap<String, i64>,
    sections: Vec<&'static str>,
    by_node: bool,
}

impl Picture {
    pub fn of_case(cluster: &Cluster, case: &Value) -> Self {
        let steps = case["steps"].as_array().unwrap();
        let has = |section: &&&str| steps.iter().any(|s| s["expected"].get(**section).is_some());
        let pods = steps.iter().flat_map(|s| s["expected"]["pods"].as_array().into_iter().flatten());
        let store = cluster.registry.store();
        let from: Revision = cluster.registry.snapshot().revision();
        Self {
            sets: store.watch(kinds::REPLICA_SET, from).unwrap(),
            pods: store.watch(kinds::POD, from).unwrap(),
            revisions: store.watch(kinds::CONTROLLER_REVISION, from).unwrap(),
            jobs: store.watch(kinds::JOB, from).unwrap(),
            ids: BTreeMap::new(),
            timed: BTreeMap::new(),
            revision_ids: BTreeMap::new(),
            generated: Vec::new(),
            order: HashMap::new(),
            addresses: BTreeMap::new(),
            counted: HashMap::new(),
            sections: OPTIONAL.iter().filter(has).copied().collect(),
            by_node: pods.into_iter().any(|p| p.get("node").is_some()),
        }
    }

    /// Takes note of what was created since the last time.
    pub fn learn(&mut self) {
        use futures::FutureExt;
        while let Some(Ok(event)) = self.sets.next().now_or_never() {
            let owner = event.object.meta.controller();
            if event.change == Change::Added && owner.is_some_and(|o| o.kind == "Deployment") {
                let letter = char::from(b'a' + u8::try_from(self.ids.len()).unwrap());
                self.ids.insert(event.object.key.name.clone(), format!("rs-{letter}"));
            }
        }
        while let Some(Ok(event)) = self.revisions.next().now_or_never() {
            if event.change == Change::Added {
                let letter = char::from(b'a' + u8::try_from(self.revision_ids.len()).unwrap());
                self.revision_ids.insert(event.object.key.name.clone(), format!("cr-{letter}"));
            }
        }
        while let Some(Ok(event)) = self.jobs.next().now_or_never() {
            let owner = event.object.meta.controller();
            if let Some(owner) = owner.filter(|owner| event.change == Change::Added && owner.kind == "CronJob") {
                self.timed.insert(event.object.key.name.clone(), format!("{}-<time>", owner.name));
            }
        }
        while let Some(Ok(event)) = self.pods.next().now_or_never() {
            let name = &event.object.key.name;
            let value = event.object.value();
            if event.change == Change::Added {
                self.order.insert(name.clone(), self.order.len());
            }
            let own = event.object.meta.controller().is_some_and(|o| o.kind == "StatefulSet");
            self.generated.retain(|known| known != name);
            if !own && !value["metadata"]["generateName"].is_null() {
                self.generated.push(name.clone());
            }
            if let Some(ip) = value["status"]["podIP"].as_str() {
                self.addresses.insert(ip.to_owned(), name.clone());
            }
        }
    }

    /// The pods that an action means, in order of creation, as many as it counts.
    pub fn select(&self, cluster: &Cluster, action: &Value) -> Vec<Value> {
        let empty = Map::new();
        let select = action["select"].as_object().unwrap_or(&empty);
        let mut pods = cluster.list(kinds::POD);
        pods.sort_by_key(|p| self.order.get(p["metadata"]["name"].as_str().unwrap()).copied());
        pods.retain(|pod| select.iter().all(|(name, want)| self.is(pod, name, want)));
        if let Some(count) = action["count"].as_u64() {
            pods.truncate(usize::try_from(count).unwrap());
        }
        pods
    }

    fn is(&self, pod: &Value, name: &str, want: &Value) -> bool {
        match name {
            "names" => want.as_array().unwrap().contains(&pod["metadata"]["name"]),
            "labels" => want.as_object().unwrap().iter().all(|(k, v)| pod["metadata"]["labels"][k] == *v),
            "bound" => *want == json!(!pod["spec"]["nodeName"].is_null()),
            "ready" => *want == json!(is_ready(pod)),
            "deleting" => *want == json!(is_deleting(pod)),
            "owner" => *want == self.owner(pod),
            "phase" => *want == phase(pod),
            "node" => *want == pod["spec"]["nodeName"],
            "index" => *want == index(pod),
            other => panic!("the replay does not select by {other}"),
        }
    }

    pub fn take(&mut self, cluster: &Cluster, step: &Value) -> Value {
        let mut picture = json!({"workloads": self.workloads(cluster), "replicaSets": self.replica_sets(cluster),
            "pods": self.pods(cluster)});
        let events = self.events(cluster);
        if step["expected"].get("eventsVary").is_none() {
            picture["events"] = events;
        }
        for section in &self.sections {
            picture[section] = match *section {
                "endpointSlices" => self.slices(cluster),
                "endpoints" => self.endpoints(cluster),
                "objects" => objects(cluster),
                "controllerRevisions" => self.controller_revisions(cluster),
                "persistentVolumeClaims" => claims(cluster),
                _ => namespace(cluster),
            };
        }
        picture
    }

    fn workloads(&self, cluster: &Cluster) -> Value {
        let mut all = Vec::new();
        for row in workloads::rows() {
            for object in cluster.list(row.kind) {
                let mut drawn = row.draw(&object);
                drawn["name"] = json!(self.anonymous(object["metadata"]["name"].as_str().unwrap()));
                drawn["owner"] = self.owner(&object);
                drawn["status"] = self.status(&object);
                drawn["conditions"] = json!(self.conditions(&object));
                mark_deleting(&mut drawn, &object);
                all.push(drawn);
            }
        }
        json!(all)
    }

    fn replica_sets(&self, cluster: &Cluster) -> Value {
        let draw = |object: Value| {
            let name = object["metadata"]["name"].as_str().unwrap();
            let annotation =
                |of: &str| object["metadata"]["annotations"][format!("deployment.kubernetes.io/{of}")].clone();
            let mut status = self.status(&object);
            if self.ids.contains_key(name) {
                status.as_object_mut().unwrap().remove("observedGeneration");
            }
            let mut drawn = json!({"id": self.ids.get(name).map_or(name, String::as_str), "owner": self.owner(&object),
                "replicas": object["spec"]["replicas"], "revision": annotation("revision"),
                "revisionHistory": annotation("revision-history"), "desired": annotation("desired-replicas"),
                "max": annotation("max-replicas"), "status": status, "conditions": self.conditions(&object),
                "image": object["spec"]["template"]["spec"]["containers"][0]["image"]});
            mark_deleting(&mut drawn, &object);
            drawn
        };
        cluster.list(kinds::REPLICA_SET).into_iter().map(draw).collect()
    }

    fn pods(&self, cluster: &Cluster) -> Value {
        let mut counted: Vec<(Value, i64)> = Vec::new();
        for pod in cluster.list(kinds::POD) {
            let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
            let mut drawn = json!({"deleting": is_deleting(&pod), "owner": self.owner(&pod), "phase": phase(&pod),
                "ready": is_ready(&pod)});
            if self.by_node {
                drawn["node"] = pod["spec"]["nodeName"].clone();
            } else {
                drawn["bound"] = json!(!pod["spec"]["nodeName"].is_null());
            }
            if !self.generated.contains(&name) {
                drawn["name"] = json!(name);
            }
            drawn["revision"] = self.revision(&pod["metadata"]["labels"][REVISION_HASH]);
            drawn["index"] = index(&pod);
            drawn["finalizers"] = pod["metadata"]["finalizers"].clone();
            match counted.iter_mut().find(|(same, _)| *same == drawn) {
                Some((_, count)) => *count += 1,
                None => counted.push((drawn, 1)),
            }
        }
        counted
            .into_iter()
            .map(|(mut pod, count)| {
                pod["count"] = json!(count);
                pod
            })
            .collect()
    }

    /// Events since the last picture.
    fn events(&mut self, cluster: &Cluster) -> Value {
        let mut drawn: BTreeMap<String, (Value, i64)> = BTreeMap::new();
        for event in cluster.list(kinds::EVENT) {
            let about = &event["involvedObject"];
            let name = about["name"].as_str().unwrap_or_default();
            if about["kind"] == "PersistentVolumeClaim" {
                continue;
            }
            let orphaned =
                |text: &str| self.orphans(cluster).iter().fold(text.to_owned(), |t, n| t.replace(n, "<pod>"));
            // A combined event takes the message of its latest: the recordings count it as a new one then. So do they
            // with an event about a StatefulSet's pod that it has let go, whose name says nothing from then on.
            let key =
                format!("{} {}", event["metadata"]["name"], orphaned(event["message"].as_str().unwrap_or_default()));
            let count = event["count"].as_i64().unwrap_or(1);
            let more = count - self.counted.insert(key, count).unwrap_or(0);
            if more <= 0 || about["kind"] == "Pod" || self.ids.contains_key(name) {
                continue;
            }
            let message = self.anonymous(event["message"].as_str().unwrap_or_default());
            let object = format!("{}/{}", about["kind"].as_str().unwrap(), self.anonymous(name));
            let event = json!({"object": object, "type": event["type"],
                "reason": event["reason"], "message": message});
            drawn.entry(event.to_string()).or_insert((event, 0)).1 += more;
        }
        drawn
            .into_values()
            .map(|(mut event, count)| {
                event["count"] = json!(count);
                event
            })
            .collect()
    }

    fn slices(&self, cluster: &Cluster) -> Value {
        let draw = |slice: Value| {
            let labels = &slice["metadata"]["labels"];
            let endpoint = |e: &Value| {
                let addresses: Vec<String> =
                    e["addresses"].as_array().unwrap().iter().map(|a| self.address(a)).collect();
                let mut drawn = e.clone();
                drawn["addresses"] = json!(addresses);
                drawn["targetRef"] = e["targetRef"]["name"].clone();
                drawn
            };
            let mut endpoints: Vec<Value> = slice["endpoints"].as_array().into_iter().flatten().map(endpoint).collect();
            endpoints.sort_by_key(Value::to_string);
            json!({"service": labels["kubernetes.io/service-name"],
                "managedBy": labels["endpointslice.kubernetes.io/managed-by"],
                "headless": !labels["service.kubernetes.io/headless"].is_null(),
                "addressType": slice["addressType"], "ports": sorted(&slice["ports"]), "endpoints": endpoints})
        };
        cluster.list(kinds::ENDPOINT_SLICE).into_iter().map(draw).collect()
    }

    fn endpoints(&self, cluster: &Cluster) -> Value {
        let draw = |object: Value| {
            let names = |list: &Value| -> Vec<Value> {
                list.as_array().into_iter().flatten().map(|a| a["targetRef"]["name"].clone()).collect()
            };
            let subset = |s: &Value| {
                json!({"ready": names(&s["addresses"]), "notReady": names(&s["notReadyAddresses"]),
                "ports": sorted(&s["ports"])})
            };
            let subsets: Vec<Value> = object["subsets"].as_array().into_iter().flatten().map(subset).collect();
            json!({"name": object["metadata"]["name"], "subsets": subsets})
        };
        cluster.list(kinds::ENDPOINTS).into_iter().map(draw).collect()
    }

    /// The stand-in of a ControllerRevision, by its name or, as DaemonSets label their pods, by the hash in it.
    fn revision(&self, label: &Value) -> Value {
        let Some(label) = label.as_str() else { return Value::Null };
        let named = |name: &str| name == label || name.strip_suffix(label).is_some_and(|rest| rest.ends_with('-'));
        json!(self.revision_ids.iter().find(|(name, _)| named(name)).map_or(label, |(_, id)| id))
    }

    fn controller_revisions(&self, cluster: &Cluster) -> Value {
        let draw = |object: Value| {
            json!({"id": self.revision(&object["metadata"]["name"]), "owner": self.owner(&object),
                "revision": object["revision"]})
        };
        cluster.list(kinds::CONTROLLER_REVISION).into_iter().map(draw).collect()
    }

    /// Pods of StatefulSets that nobody controls any more.
    fn orphans(&self, cluster: &Cluster) -> Vec<String> {
        let pods = cluster.list(kinds::POD);
        let orphaned = pods.iter().filter(|p| !p["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"].is_null());
        let names = orphaned.filter(|p| self.owner(p).is_null()).map(|p| p["metadata"]["name"].as_str().unwrap());
        names.map(str::to_owned).collect()
    }

    fn status(&self, object: &Value) -> Value {
        let mut status = workloads::status(object);
        for name in ["currentRevision", "updateRevision"] {
            if let Some(value) = status.get_mut(name) {
                *value = self.revision(value);
            }
        }
        Value::Object(status)
    }

    fn conditions(&self, object: &Value) -> Vec<Value> {
        let draw = |c: &Value| {
            json!({"type": c["type"], "status": c["status"], "reason": c["reason"],
            "message": self.anonymous(c["message"].as_str().unwrap_or_default())})
        };
        let mut drawn: Vec<Value> = object["status"]["conditions"].as_array().into_iter().flatten().map(draw).collect();
        drawn.sort_by_key(|c| c["type"].to_string());
        drawn
    }

    fn owner(&self, object: &Value) -> Value {
        let owners = object["metadata"]["ownerReferences"].as_array();
        let Some(owner) = owners.into_iter().flatten().find(|o| o["controller"] == true) else { return Value::Null };
        let name = owner["name"].as_str().unwrap();
        match self.ids.get(name) {
            Some(id) => json!(id),
            None => json!(format!("{}/{}", owner["kind"].as_str().unwrap(), self.anonymous(name))),
        }
    }

    fn address(&self, address: &Value) -> String {
        format!("<ip {}>", self.addresses.get(address.as_str().unwrap()).map_or("?", String::as_str))
    }

    fn anonymous(&self, text: &str) -> String {
        let text = &text.replace(&format!("{NAMESPACE}/"), "<ns>/");
        let pods = self.generated.iter().fold(refused(text), |text, name| text.replace(name, "<pod>"));
        let stand_ins = self.ids.iter().chain(&self.timed);
        stand_ins.fold(pods, |text, (name, id)| text.replace(name, id)).replace(&format!("{NAMESPACE}/"), "<ns>/")
    }
}

/// A pod that was refused was never seen: its name is known by where it stands, and is drawn if it ends in five letters.
fn refused(text: &str) -> String {
    let Some((before, rest)) = text.split_once("pods \"") else { return text.to_owned() };
    let Some((name, after)) = rest.split_once('"') else { return text.to_owned() };
    match name.rsplit_once('-') {
        Some((_, drawn)) if drawn.len() == 5 => format!("{before}pods \"<pod>\"{after}"),
        _ => text.to_owned(),
    }
}

/// Kubernetes orders ports by a hash of theirs; any order says the same.
fn sorted(ports: &Value) -> Value {
    let mut ports = ports.clone();
    if let Some(ports) = ports.as_array_mut() {
        ports.sort_by_key(|p| (p["name"].to_string(), p["port"].to_string()));
    }
    ports
}

/// The completion index of a Job's pod.
fn index(pod: &Value) -> Value {
    let text = pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"].as_str();
    text.and_then(|text| text.parse::<i64>().ok()).map_or(Value::Null, Value::from)
}

fn mark_deleting(drawn: &mut Value, object: &Value) {
    if is_deleting(object) {
        drawn["deleting"] = json!(true);
    }
    if !object["metadata"]["finalizers"].is_null() {
        drawn["finalizers"] = object["metadata"]["finalizers"].clone();
    }
}

fn is_deleting(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

fn phase(pod: &Value) -> Value {
    json!(pod["status"]["phase"].as_str().unwrap_or("Pending"))
}

fn objects(cluster: &Cluster) -> Value {
    let draw = |object: Value| {
        let owner = |o: &Value| {
            let mut drawn = json!({"kind": o["kind"], "name": o["name"]});
            if let Some(blocks) = o.get("blockOwnerDeletion") {
                drawn["blockOwnerDeletion"] = blocks.clone();
            }
            drawn
        };
        let owners = object["metadata"]["ownerReferences"].as_array();
        let owners: Vec<Value> = owners.into_iter().flatten().map(owner).collect();
        let mut drawn = json!({"kind": "ConfigMap", "name": object["metadata"]["name"], "owners": owners});
        mark_deleting(&mut drawn, &object);
        drawn
    };
    let own = cluster.list(kinds::CONFIG_MAP).into_iter().filter(|o| o["metadata"]["name"] != "kube-root-ca.crt");
    own.map(draw).collect()
}

fn claims(cluster: &Cluster) -> Value {
    let owner = |o: &Value| json!(format!("{}/{}", o["kind"].as_str().unwrap(), o["name"].as_str().unwrap()));
    let draw = |object: Value| {
        let owners = object["metadata"]["ownerReferences"].as_array();
        let owners: Vec<Value> = owners.into_iter().flatten().map(owner).collect();
        let mut drawn =
            json!({"name": object["metadata"]["name"], "owners": owners, "phase": object["status"]["phase"]});
        mark_deleting(&mut drawn, &object);
        drawn
    };
    cluster.list(kinds::CLAIM).into_iter().map(draw).collect()
}

fn namespace(cluster: &Cluster) -> Value {
    let Some(object) = cluster.get(kinds::NAMESPACE, NAMESPACE) else { return Value::Null };
    let draw = |c: &Value| {
        json!({"type": c["type"], "status": c["status"], "reason": c["reason"],
        "message": c["message"]})
    };
    let mut conditions: Vec<Value> =
        object["status"]["conditions"].as_array().into_iter().flatten().map(draw).collect();
    conditions.sort_by_key(|c| c["type"].to_string());
    json!({"phase": object["status"]["phase"], "deleting": is_deleting(&object), "conditions": conditions})
}
