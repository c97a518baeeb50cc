//! Replays what Kubernetes's scheduler did, in process and under paused time, and compares pods and events after
//! every step. The recordings and their notation: `tests/data/golden-controllers/`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use windlass::cluster::registry::{Author, DeleteOptions, Patch, Registry, Target, WriteOptions};
use windlass::cluster::scheduler;
use windlass::cluster::store::Store;
use windlass::object::{Clock, ObjectKey, kinds};
use windlass::tasks::Tasks;

use crate::report::{self, Tally};

const NAMESPACE: &str = "golden";
/// Steps that agree.
const SCHEDULED: usize = 77;
/// A cluster in which nothing was written for this long has settled.
const QUIET: Duration = Duration::from_secs(1);

struct Cluster {
    registry: Registry,
    tasks: Tasks,
    /// Counts of the events that were seen already.
    told: BTreeMap<String, i64>,
}

impl Cluster {
    async fn start(case: &Value) -> Self {
        let tasks = Tasks::default();
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        let registry = Registry::new(Store::in_memory(&tasks), clock);
        let cluster = Self { registry, tasks, told: BTreeMap::new() };
        cluster.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})).await;
        for node in case["nodes"].as_array().unwrap() {
            cluster.create(node.clone()).await;
        }
        for class in case["priorityClasses"].as_array().into_iter().flatten() {
            let mut object = class.clone();
            object["metadata"] = json!({"name": object.as_object_mut().unwrap().remove("name")});
            object["apiVersion"] = json!("scheduling.k8s.io/v1");
            object["kind"] = json!("PriorityClass");
            cluster.create(object).await;
        }
        scheduler::start(cluster.registry.clone(), &cluster.tasks);
        cluster.settle().await;
        cluster
    }

    async fn settle(&self) {
        loop {
            let before = self.registry.store().revision();
            tokio::time::sleep(QUIET).await;
            if self.registry.store().revision() == before {
                return;
            }
        }
    }

    async fn create(&self, object: Value) {
        let text = |name: &str| object[name].as_str().unwrap().to_owned();
        let kind = kinds::by_manifest(&text("apiVersion"), &text("kind")).unwrap();
        let namespace = if kind.namespaced { NAMESPACE } else { "" };
        self.registry.create(&author(), kind, namespace, object, WriteOptions::default()).await.unwrap();
    }

    async fn patch(&self, target: Target, patch: &Value) {
        let patch = Patch::Merge(patch.clone());
        self.registry.patch(&author(), &target, patch, WriteOptions::default()).await.unwrap();
    }

    async fn delete(&self, name: &str, grace: Option<i64>) {
        let options = DeleteOptions { grace_period_seconds: grace, ..DeleteOptions::default() };
        self.registry.delete(&author(), &pod(name).key, &options).await.unwrap();
    }

    async fn act(&self, case: &Value, action: &Value) {
        let selected = || action["select"]["names"].as_array().into_iter().flatten().map(|n| n.as_str().unwrap());
        match action["op"].as_str().unwrap() {
            "create-initial" => {
                for object in case["initial"].as_array().unwrap() {
                    self.create(object.clone()).await;
                }
            }
            "create" => self.create(action["object"].clone()).await,
            "patch" => {
                let kind = kinds::by_manifest("v1", action["kind"].as_str().unwrap()).unwrap();
                let target = Target::new(kind, NAMESPACE, action["name"].as_str().unwrap());
                self.patch(target, &action["patch"]).await;
            }
            "pod-patch" => {
                for name in selected() {
                    self.patch(pod(name), &action["patch"]).await;
                }
            }
            "pod-delete" => {
                for name in selected() {
                    self.delete(name, None).await;
                }
            }
            "finish-deletions" => {
                let snapshot = self.registry.snapshot();
                for leaving in snapshot.list(kinds::POD, NAMESPACE).filter(|pod| pod.meta.is_deleting()) {
                    self.delete(&leaving.key.name, Some(0)).await;
                    // The recording's API calls took a while, too.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            "pods" if action["set"] == "ready" => {
                for name in selected() {
                    let status =
                        json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
                    self.patch(Target::status(pod(name).key), &status).await;
                }
            }
            "wait" => tokio::time::sleep(Duration::from_secs(action["seconds"].as_u64().unwrap())).await,
            other => panic!("no such action: {other}"),
        }
    }

    fn pods(&self) -> Vec<Value> {
        self.registry.snapshot().list(kinds::POD, NAMESPACE).map(|pod| seen(&pod.value())).collect()
    }

    /// Events that are new, or were counted up, since the last call.
    fn events(&mut self) -> Vec<Value> {
        let mut news = Vec::new();
        for event in self.registry.snapshot().list(kinds::EVENT, NAMESPACE) {
            let (value, name) = (event.value(), event.key.name.clone());
            let count = value["count"].as_i64().unwrap_or(1);
            let before = self.told.insert(name, count).unwrap_or_default();
            if count > before {
                let message = value["message"].as_str().unwrap().replace(&format!("{NAMESPACE}/"), "<ns>/");
                news.push(json!({"object": format!("Pod/{}", value["involvedObject"]["name"].as_str().unwrap()),
                    "type": value["type"], "reason": value["reason"], "message": without_uid(&message),
                    "count": count - before}));
            }
        }
        news
    }
}

fn author() -> Author {
    Author { user: "kubernetes-admin".into(), manager: "replay".into(), ..Author::default() }
}

fn pod(name: &str) -> Target {
    Target::from(ObjectKey::new(kinds::POD, NAMESPACE, name))
}

fn without_uid(message: &str) -> String {
    let word = |word: &str| {
        if word.len() == 36 && word.split('-').count() == 5 { "<uid>".to_owned() } else { word.to_owned() }
    };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// A pod in the notation of the recordings.
fn seen(pod: &Value) -> Value {
    let status = &pod["status"];
    let all = || status["conditions"].as_array().into_iter().flatten();
    // Conditions that say that all is well are left out.
    let told =
        all().filter(|c| c["type"] == "DisruptionTarget" || c["type"] == "PodScheduled" && c["status"] == "False");
    let told: Vec<Value> = told
        .map(|c| json!({"type": c["type"], "status": c["status"], "reason": c["reason"], "message": c["message"]}))
        .collect();
    let mut seen = json!({"name": pod["metadata"]["name"], "node": pod["spec"]["nodeName"], "owner": null,
        "phase": status["phase"], "deleting": !pod["metadata"]["deletionTimestamp"].is_null(), "count": 1,
        "ready": all().any(|c| c["type"] == "Ready" && c["status"] == "True")});
    if !told.is_empty() {
        seen["conditions"] = json!(told);
    }
    // A binding makes the nomination meaningless; recordings show it for pods that wait.
    if seen["node"].is_null() && !status["nominatedNodeName"].is_null() {
        seen["nominatedNode"] = status["nominatedNodeName"].clone();
    }
    seen
}

/// `want` with `anyOf` and `bound` decided by what was seen.
fn resolved(want: &Value, seen: &Value) -> Value {
    match want {
        Value::Object(map) if map.contains_key("anyOf") => {
            let choices = map["anyOf"].as_array().unwrap();
            choices.iter().find(|choice| *choice == seen).unwrap_or(&choices[0]).clone()
        }
        Value::Object(map) => {
            let mut object = map.clone();
            if let Some(bound) = object.remove("bound") {
                let agrees = bound == json!(!seen["node"].is_null());
                object.insert("node".into(), if agrees { seen["node"].clone() } else { bound });
            }
            object.into_iter().map(|(name, value)| (name.clone(), resolved(&value, &seen[&name]))).collect()
        }
        other => other.clone(),
    }
}

fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_key(Value::to_string);
    values
}

/// What differs, step by step, up to the first step that does: what comes after it would differ, too.
async fn replay(case: &Value) -> Vec<Vec<String>> {
    let mut cluster = Cluster::start(case).await;
    cluster.events();
    let steps = case["steps"].as_array().unwrap();
    let mut differences = Vec::new();
    for step in steps {
        for action in step["action"].as_array().unwrap() {
            cluster.act(case, action).await;
        }
        cluster.settle().await;
        let list = |name: &str| step["expected"][name].as_array().cloned().unwrap_or_default();
        let (pods, mut events) = (cluster.pods(), cluster.events());
        let mut want = Vec::new();
        for expected in list("pods") {
            let same = pods.iter().find(|pod| pod["name"] == expected["name"]).unwrap_or(&Value::Null);
            // Where the node is left open, so is the event that names it.
            if expected.get("bound").is_some() || expected["node"].is_object() {
                let object = format!("Pod/{}", expected["name"].as_str().unwrap());
                events.retain(|event| event["object"] != *object || event["reason"] != "Scheduled");
            }
            want.push(resolved(&expected, same));
        }
        let (pods, want) = (sorted(pods), sorted(want));
        let (events, told) = (sorted(events), sorted(list("events")));
        if pods != want || events != told {
            let found = vec![format!("pods   {pods:?}\n  want   {want:?}\n  events {events:?}\n  want   {told:?}")];
            differences.push(found);
            break;
        }
        differences.push(Vec::new());
    }
    differences.resize(steps.len(), vec!["after a difference".to_owned()]);
    cluster.tasks.stop().await;
    differences
}

#[tokio::test(start_paused = true)]
async fn pods_are_placed_refused_and_preempted_as_recorded() {
    let mut tally = Tally::default();
    for case in report::cases("scheduler.json") {
        let differences = replay(&case).await;
        tally.add(&case, differences);
    }
    tally.finish("scheduler.json", SCHEDULED);
}
