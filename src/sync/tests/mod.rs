//! The syncer as a whole, in process: a git repository on disk, a store in memory, from commit to objects.

mod applications;
mod bad_input;

mod config;
mod crashes;
mod custom;
mod follow;
mod local;
mod operations;
mod options;
mod plans;
mod proportion;
mod pruning;
mod records;
mod remotes;
mod reverts;
mod secrets;
mod ssh;
mod tools;
mod waves;

use std::path::Path;
use std::time::Duration;

use git2::{Oid, Repository, Signature};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Progress, RepoLocation, SyncConfig, Syncer, Trigger};
use crate::cluster::registry::{Author, Registry, WriteOptions};
use crate::cluster::store::{Memory, Store};
use crate::object::application::Application;
use crate::object::{Clock, Kind, ObjectKey, SYSTEM_NAMESPACE, kinds};
use crate::tasks::Tasks;

/// A repository and a cluster that follows it.
pub struct World {
    pub folder: TempDir,
    pub repository: Repository,
    pub registry: Registry,
    pub tasks: Tasks,
    /// The store outlives the syncers that a test stops.
    _store_tasks: Tasks,
}

pub fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: \"{value}\"\n")
}

pub fn deployment(name: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: 2\n  selector:\n    \
         matchLabels: {{app: {name}}}\n  template:\n    metadata:\n      labels: {{app: {name}}}\n    spec:\n      \
         containers:\n      - name: main\n        image: {image}\n"
    )
}

impl World {
    pub async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let repository = Repository::init(folder.path().join("shop")).unwrap();
        repository.set_head("refs/heads/main").unwrap();
        let store_tasks = Tasks::default();
        let store = Store::open(Memory, &store_tasks).unwrap();
        let registry = Registry::new(store, Clock::start());
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
        let author = Author::controller("test");
        registry.create(&author, kinds::NAMESPACE, "", namespace, WriteOptions::default()).await.unwrap();
        Self { folder, repository, registry, tasks: Tasks::default(), _store_tasks: store_tasks }
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("shop")
    }

    /// Writes files (`None` removes one) and commits them.
    pub fn commit(&self, subject: &str, files: &[(&str, Option<&str>)]) -> Oid {
        let mut index = self.repository.index().unwrap();
        for (name, content) in files {
            let path = self.path().join(name);
            match content {
                Some(content) => {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(&path, content).unwrap();
                    index.add_path(Path::new(name)).unwrap();
                }
                None => {
                    let _ = std::fs::remove_file(&path);
                    index.remove_path(Path::new(name)).unwrap();
                }
            }
        }
        index.write().unwrap();
        let tree = self.repository.find_tree(index.write_tree().unwrap()).unwrap();
        self.commit_tree(subject, &tree)
    }

    pub fn commit_tree(&self, subject: &str, tree: &git2::Tree) -> Oid {
        let who = Signature::now("Ada", "ada@example.com").unwrap();
        let parent = self.repository.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        self.repository.commit(Some("refs/heads/main"), &who, &who, subject, tree, &parents).unwrap()
    }

    pub fn config(&self) -> SyncConfig {
        SyncConfig {
            repo: RepoLocation::Local(self.path()),
            branch: Some("main".to_owned()),
            path: String::new(),
            application: "shop".to_owned(),
            data_dir: self.folder.path().join("data"),
            webhook_secret: None,
            loopback: true,
            poll_interval: Duration::from_secs(3600),
            age_key: self.folder.path().join("age.key"),
            tools_path: std::env::var_os("PATH").unwrap_or_default(),
        }
    }

    pub async fn start(&self) -> Syncer {
        super::start(self.registry.clone(), self.config(), &self.tasks).await.unwrap()
    }

    pub fn find(&self, kind: &'static Kind, name: &str) -> Option<Value> {
        self.registry.snapshot().find(kind, "default", name).map(|object| object.value())
    }

    pub fn application(&self) -> Application {
        let key = ObjectKey::new(kinds::APPLICATION, SYSTEM_NAMESPACE, "shop");
        (*self.registry.get(&key).unwrap().typed::<Application>().unwrap()).clone()
    }

    pub fn conditions(&self) -> Vec<String> {
        self.application().status.conditions.into_iter().map(|c| format!("{}: {}", c.type_, c.message)).collect()
    }

    /// Lets the tasks run until what they know of has been worked off.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..2000 {
            if holds(self) {
                return;
            }
            a_moment().await;
        }
        let operation = self.application().status.operation_state;
        panic!("never came true: {what}; conditions: {:?}; operation: {operation:?}", self.conditions());
    }
}

/// Lets time pass for the tasks, and for the threads that watch files: a paused clock does not wait for those.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(5)).await;
    tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_micros(50))).await.unwrap();
}

/// Asks for a look and waits until the syncer is done with `commit`.
pub async fn settled(syncer: &Syncer, commit: Oid) -> Progress {
    let progress = syncer.progress();
    syncer.trigger(Trigger::Poll);
    let id = commit.to_string();
    for _ in 0..12_000 {
        let now = progress.borrow().clone();
        if now.seen.as_deref() == Some(&id) {
            return now;
        }
        a_moment().await;
    }
    panic!("the syncer never looked at {id}: {:?}", syncer.progress().borrow())
}
