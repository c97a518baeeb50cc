//! The pods of this node: one worker each. Hears of pods from the API and of containers from the engine, and passes
//! both on. What runs without a pod that the API knows is ended by a worker, too, as a pod that is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::{mpsc, watch};

use super::context::Context;
use super::labels;
use super::runtime::{Change, Container, RuntimeError};
use super::worker::{Desired, Pokes, Worker};
use crate::tasks::Tasks;

/// How long after the engine was lost it is asked again.
const RETRY: Duration = Duration::from_millis(500);
/// Workers whose end may wait to be noticed.
const ENDED: usize = 1024;

struct Entry {
    desired: watch::Sender<Desired>,
    pokes: Arc<Pokes>,
}

pub struct Pods {
    context: Arc<Context>,
    tasks: Tasks,
    workers: BTreeMap<String, Entry>,
    ended: mpsc::Sender<String>,
    /// Containers whose pod is not known (yet), by the uid of the pod.
    unclaimed: BTreeMap<String, BTreeMap<String, Container>>,
    /// The API has told of all pods at least once, so that what it did not tell of is gone.
    synced: bool,
    incoming: BTreeSet<String>,
}

impl Pods {
    /// Runs the pods of the node until it is dropped. `connected`: the API has answered.
    pub async fn run(context: Arc<Context>, tasks: Tasks) {
        let (ended, mut endings) = mpsc::channel(ENDED);
        let pods: Api<Pod> = Api::all(context.client.clone());
        let config = watcher::Config::default().fields(&format!("spec.nodeName={}", context.node_name));
        let mut events = watcher(pods, config).default_backoff().boxed();
        let mut this = Self {
            context,
            tasks,
            workers: BTreeMap::new(),
            ended,
            unclaimed: BTreeMap::new(),
            synced: false,
            incoming: BTreeSet::new(),
        };
        // Containers first: a pod must not be started a second time because its containers were not known.
        let mut changes = this.listen().await;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => this.pod_event(event),
                    Some(Err(error)) => tracing::debug!(%error, "the watch of pods is being retried"),
                    None => return,
                },
                change = changes.next() => match change {
                    Some(Ok(change)) => this.changed(change).await,
                    lost => {
                        let error = lost.and_then(Result::err).map(|error| error.to_string()).unwrap_or_default();
                        tracing::warn!(error, "the engine's events have ended; listening again");
                        changes = this.listen().await;
                    }
                },
                Some(uid) = endings.recv() => {
                    this.workers.remove(&uid);
                }
            }
        }
    }

    /// Begins to listen to the engine and tells every worker what is there; waits for the engine as long as it takes.
    async fn listen(&mut self) -> BoxStream<'static, Result<Change, RuntimeError>> {
        let label = labels::of_agent(&self.context.agent_id);
        loop {
            // From before the list on, so that no change falls between the two.
            let since = self.context.clock.now();
            match self.context.runtime.containers(&label).await {
                Ok(containers) => {
                    let changes = self.context.runtime.changes(&label, since);
                    self.take_list(containers);
                    return changes;
                }
                Err(error) => {
                    tracing::debug!(%error, "the engine does not answer yet");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    fn take_list(&mut self, containers: Vec<Container>) {
        let mut by_pod: BTreeMap<String, BTreeMap<String, Container>> = BTreeMap::new();
        for container in containers {
            let uid = container.label(labels::POD_UID).to_owned();
            by_pod.entry(uid).or_default().insert(container.id.clone(), container);
        }
        for (uid, entry) in &self.workers {
            // Also those that are gone are looked at: the worker knows their ids.
            let ids = by_pod.remove(uid).unwrap_or_default().into_keys();
            entry.pokes.poke(ids);
            entry.pokes.poke_all();
        }
        self.unclaimed = by_pod;
        if self.synced {
            self.end_unclaimed();
        }
    }

    async fn changed(&mut self, change: Change) {
        let Some(uid) = change.labels.get(labels::POD_UID) else { return };
        if let Some(entry) = self.workers.get(uid) {
            entry.pokes.poke([change.id]);
            return;
        }
        // Made by a start whose pod has ended meanwhile, or by hand with our labels.
        if let Ok(Some(container)) = self.context.runtime.inspect(&change.id).await {
            self.unclaimed.entry(uid.clone()).or_default().insert(container.id.clone(), container);
            if self.synced {
                self.end_unclaimed();
            }
        }
    }

    fn pod_event(&mut self, event: watcher::Event<Pod>) {
        match event {
            watcher::Event::Init => self.incoming.clear(),
            watcher::Event::InitApply(pod) => {
                self.incoming.extend(pod.metadata.uid.clone());
                self.apply(pod);
            }
            watcher::Event::InitDone => {
                for (uid, entry) in &self.workers {
                    if !self.incoming.contains(uid) {
                        entry.desired.send_if_modified(|desired| !std::mem::replace(&mut desired.gone, true));
                    }
                }
                self.incoming.clear();
                self.synced = true;
                self.end_unclaimed();
            }
            watcher::Event::Apply(pod) => self.apply(pod),
            watcher::Event::Delete(pod) => {
                let entry = pod.metadata.uid.as_ref().and_then(|uid| self.workers.get(uid));
                if let Some(entry) = entry {
                    entry.desired.send_replace(Desired { pod: Arc::new(pod), gone: true });
                }
            }
        }
    }

    fn apply(&mut self, pod: Pod) {
        let Some(uid) = pod.metadata.uid.clone() else { return };
        match self.workers.get(&uid) {
            Some(entry) => {
                entry.desired.send_replace(Desired { pod: Arc::new(pod), gone: false });
            }
            None => self.start(uid, Desired { pod: Arc::new(pod), gone: false }),
        }
    }

    fn start(&mut self, uid: String, desired: Desired) {
        let containers = self.unclaimed.remove(&uid).unwrap_or_default().into_values().collect();
        let (sender, receiver) = watch::channel(desired);
        let pokes = Arc::new(Pokes::default());
        let worker = Worker::new(self.context.clone(), receiver, pokes.clone(), containers);
        let ended = self.ended.clone();
        self.workers.insert(uid.clone(), Entry { desired: sender, pokes });
        self.tasks.spawn_once("pod", async move {
            worker.run().await;
            // Nobody hears it when the agent is stopping.
            let _ = ended.send(uid).await;
        });
    }

    /// Ends what runs for pods that are gone.
    fn end_unclaimed(&mut self) {
        let uids: Vec<String> = self.unclaimed.keys().cloned().collect();
        for uid in uids {
            let Some(first) = self.unclaimed.get(&uid).and_then(|containers| containers.values().next()) else {
                continue;
            };
            tracing::info!(pod = first.label(labels::POD_NAME), %uid, "ending what is left of a pod that is gone");
            let pod = Arc::new(remnant(first));
            self.start(uid, Desired { pod, gone: true });
        }
    }
}

/// What the labels of a container tell of the pod that it was of.
fn remnant(container: &Container) -> Pod {
    let text = |key: &str| Some(container.label(key).to_owned());
    Pod {
        metadata: ObjectMeta {
            name: text(labels::POD_NAME),
            namespace: text(labels::POD_NAMESPACE),
            uid: text(labels::POD_UID),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            termination_grace_period_seconds: container.label(labels::GRACE).parse().ok(),
            ..PodSpec::default()
        }),
        status: None,
    }
}
