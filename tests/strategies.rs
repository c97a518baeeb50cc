//! The folders of `repo-example/strategies`: each is committed to a repository, synced, and does what its README says.
//! Everything is in process: the syncer, the controllers, the scheduler with three nodes, and a kubelet that makes
//! pods ready.

#[path = "golden_controllers/cluster.rs"]
#[allow(dead_code, reason = "the replays use other parts of it")]
mod cluster;

use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{Oid, Repository, Signature};
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass::cluster::controllers::start_volumes;
use windlass::cluster::registry::bootstrap_storage;
use windlass::object::{Kind, kinds};
use windlass::sync::{RepoLocation, SyncConfig, Syncer, Trigger};

use crate::cluster::{Binding, Cluster, NAMESPACE};

const NODES: [&str; 3] = ["n1", "n2", "n3"];

struct World {
    cluster: Cluster,
    syncer: Syncer,
    repository: Repository,
    folder: TempDir,
}

impl World {
    /// A cluster that follows a copy of the folder.
    async fn start(strategy: &str) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("repo-example/strategies").join(strategy);
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("repo");
        let repository = Repository::init(&path).unwrap();
        repository.set_head("refs/heads/main").unwrap();
        for entry in std::fs::read_dir(source).unwrap() {
            let file = entry.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            let text =
                text.replace("\nmetadata:\n  name: ", &format!("\nmetadata:\n  namespace: {NAMESPACE}\n  name: "));
            std::fs::write(path.join(file.file_name().unwrap()), text).unwrap();
        }
        commit(&repository);
        let cluster = Cluster::start_with(Binding::Scheduler).await;
        for name in NODES {
            let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name,
                "labels": {"kubernetes.io/hostname": name}, "annotations": {"windlass.dev/volumes-dir": "/var/lib/volumes"}},
                "status": {"allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110"}}});
            cluster.create(node).await.unwrap();
        }
        bootstrap_storage(&cluster.registry).await.unwrap();
        start_volumes(&cluster.registry, &cluster.tasks);
        let config = SyncConfig {
            repo: RepoLocation::Local(path),
            branch: Some("main".to_owned()),
            path: String::new(),
            application: "strategy".to_owned(),
            data_dir: folder.path().join("data"),
            webhook_secret: None,
            loopback: true,
            age_key: folder.path().join("no-age-key"),
            tools_path: std::env::var_os("PATH").unwrap_or_default(),
            poll_interval: Duration::from_secs(3600),
        };
        let syncer = windlass::sync::start(cluster.registry.clone(), config, &cluster.tasks).await.unwrap();
        let world = Self { cluster, syncer, repository, folder };
        world.synced(world.tip()).await;
        world
    }

    fn tip(&self) -> Oid {
        self.repository.head().unwrap().target().unwrap()
    }

    /// A change of one file, as a user commits it.
    async fn change(&self, file: &str, from: &str, to: &str) {
        let path: PathBuf = self.folder.path().join("repo").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} does not say {from}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let id = commit(&self.repository);
        self.syncer.trigger(Trigger::Poll);
        self.synced(id).await;
    }

    async fn synced(&self, id: Oid) {
        let id = id.to_string();
        let mut progress = self.syncer.progress();
        progress.wait_for(|progress| progress.deployed.as_deref() == Some(&id)).await.unwrap();
        self.cluster.settle().await;
    }

    /// One round of the kubelet: what is to go goes, what waits becomes ready, or ends well if it is of a Job.
    async fn round(&self) {
        self.cluster.finish_deletions().await;
        for (number, pod) in self.list(kinds::POD).into_iter().enumerate() {
            if pod["status"]["phase"] == "Pending" && !pod["spec"]["nodeName"].is_null() {
                let of_job = pod["metadata"]["ownerReferences"][0]["kind"] == "Job";
                let mut status = if of_job { json!({"phase": "Succeeded"}) } else { self.cluster.ready(true) };
                status["podIP"] = json!(format!("10.1.0.{}", number + 1));
                status["podIPs"] = json!([{"ip": status["podIP"]}]);
                self.cluster.report(&pod, status).await;
            }
        }
        self.cluster.settle().await;
        tokio::time::sleep(Duration::from_secs(6)).await;
    }

    async fn rounds(&self) {
        for _ in 0..12 {
            self.round().await;
        }
    }

    fn list(&self, kind: &'static Kind) -> Vec<Value> {
        self.cluster.list(kind)
    }

    /// Images of the pods that are there, each with how many have it.
    fn images(&self) -> Vec<(String, usize)> {
        let mut counts = std::collections::BTreeMap::new();
        for pod in self.list(kinds::POD) {
            let image = pod["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
            *counts.entry(image).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }
}

fn commit(repository: &Repository) -> Oid {
    let mut index = repository.index().unwrap();
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
    index.write().unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let who = Signature::now("Ada", "ada@example.com").unwrap();
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    repository.commit(Some("refs/heads/main"), &who, &who, "A release", &tree, &parents).unwrap()
}

const OLD: &str = "windlass-demo:v1.0";
const NEW: &str = "windlass-demo:v2.0";

fn all(image: &str, count: usize) -> Vec<(String, usize)> {
    vec![(image.to_owned(), count)]
}

#[tokio::test(start_paused = true)]
async fn rolling_replaces_every_pod_by_commit() {
    let world = World::start("rolling").await;
    world.rounds().await;
    assert_eq!(world.images(), all(OLD, 4));
    world.change("deployment.yaml", OLD, NEW).await;
    assert_eq!(world.images(), [(OLD.to_owned(), 4), (NEW.to_owned(), 1)]);
    world.rounds().await;
    assert_eq!(world.images(), all(NEW, 4));
}

#[tokio::test(start_paused = true)]
async fn recreate_never_runs_two_versions() {
    let world = World::start("recreate").await;
    world.rounds().await;
    world.change("deployment.yaml", OLD, NEW).await;
    assert_eq!(world.images(), all(OLD, 2), "they are on their way out, and none is new");
    world.rounds().await;
    assert_eq!(world.images(), all(NEW, 2));
}

#[tokio::test(start_paused = true)]
async fn a_canary_stops_where_it_is_paused_and_goes_on_later() {
    let world = World::start("canary").await;
    world.rounds().await;
    world.change("deployment.yaml", OLD, NEW).await;
    world.change("deployment.yaml", "paused: false", "paused: true").await;
    world.rounds().await;
    assert_eq!(world.images(), [(OLD.to_owned(), 5), (NEW.to_owned(), 1)]);
    world.change("deployment.yaml", "paused: true", "paused: false").await;
    world.rounds().await;
    assert_eq!(world.images(), all(NEW, 5));
}

#[tokio::test(start_paused = true)]
async fn blue_and_green_are_swapped_by_the_service() {
    let world = World::start("blue-green").await;
    world.rounds().await;
    world.change("green.yaml", OLD, NEW).await;
    world.rounds().await;
    world.change("service.yaml", "colour: blue", "colour: green").await;
    let ready = world.list(kinds::ENDPOINT_SLICE)[0]["endpoints"].as_array().unwrap().clone();
    let names: Vec<&str> = ready.iter().map(|e| e["targetRef"]["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 2);
    assert!(names.iter().all(|name| name.starts_with("shop-green-")), "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn a_job_does_all_its_parts() {
    let world = World::start("job").await;
    world.rounds().await;
    let job = &world.list(kinds::JOB)[0];
    assert_eq!(job["status"]["completedIndexes"], "0-5", "{job:#}");
    assert_eq!(job["status"]["succeeded"], 6);
}

#[tokio::test(start_paused = true)]
async fn a_cron_job_makes_a_job_each_night() {
    let world = World::start("cron").await;
    // Half past two in Berlin is half past one in UTC, in winter.
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    world.rounds().await;
    let jobs = world.list(kinds::JOB);
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0]["status"]["succeeded"], 1);
    let scheduled = &jobs[0]["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"];
    assert!(scheduled.as_str().unwrap().ends_with("T02:30:00+01:00"), "{scheduled}");
    let cron_job = &world.list(kinds::CRON_JOB)[0];
    assert!(cron_job["status"]["lastSuccessfulTime"].is_string());
}

#[tokio::test(start_paused = true)]
async fn members_are_replaced_from_the_highest_number_down_to_the_partition() {
    let world = World::start("stateful").await;
    world.rounds().await;
    let members = |world: &World| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let member = |pod: &Value| (text(&pod["metadata"]["name"]), text(&pod["spec"]["containers"][0]["image"]));
        world.list(kinds::POD).iter().map(member).collect()
    };
    let as_told = |images: [&str; 3]| -> Vec<(String, String)> {
        (0..).zip(images).map(|(n, image)| (format!("ledger-{n}"), image.to_owned())).collect()
    };
    assert_eq!(members(&world), as_told([OLD, OLD, OLD]));
    world.change("statefulset.yaml", "partition: 0", "partition: 2").await;
    world.change("statefulset.yaml", OLD, NEW).await;
    world.rounds().await;
    assert_eq!(members(&world), as_told([OLD, OLD, NEW]));
    world.change("statefulset.yaml", "partition: 2", "partition: 0").await;
    world.rounds().await;
    assert_eq!(members(&world), as_told([NEW, NEW, NEW]));
}

#[tokio::test(start_paused = true)]
async fn every_node_runs_one_and_one_node_at_a_time_gets_the_new_version() {
    let world = World::start("daemon").await;
    world.rounds().await;
    let mut nodes: Vec<String> =
        world.list(kinds::POD).iter().map(|pod| pod["spec"]["nodeName"].as_str().unwrap().to_owned()).collect();
    nodes.sort();
    assert_eq!(nodes, NODES);
    world.change("daemonset.yaml", OLD, NEW).await;
    let leaving = world.list(kinds::POD).iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_string()).count();
    assert_eq!(leaving, 1);
    world.rounds().await;
    assert_eq!(world.images(), all(NEW, 3));
}
