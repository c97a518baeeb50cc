//! Keeps the rules of this node in step with the Services and endpoints of the cluster: one task, which watches,
//! decides by `table`, and writes by `nft`. It alone touches the rules.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::{mpsc, oneshot, watch};

use super::bridge::{Bridge, NetworkError};
use super::table::{Table, table};
use super::{nft, rules};
use crate::agent::runtime::Network;
use crate::tasks::Tasks;

/// Pods that may be waiting to be withdrawn at once.
const WITHDRAWALS: usize = 256;
/// Pods that were withdrawn and are remembered; a uid never comes back, so forgetting one late does no harm.
const REMEMBERED: usize = 4096;
/// A pod does not wait longer than this for the rules: its grace period is running.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long after a refusal of the kernel the rules are tried again.
const RETRY: Duration = Duration::from_secs(5);

/// The door to the rules. Clones share them.
#[derive(Clone)]
pub struct Proxy {
    withdrawals: mpsc::Sender<(String, oneshot::Sender<()>)>,
    services: watch::Receiver<Arc<Vec<Service>>>,
}

struct Rules {
    /// `None`: nothing is written (a scripted runtime, or a host that is not ours to configure).
    place: Option<(Bridge, Network)>,
    services: BTreeMap<String, Service>,
    slices: BTreeMap<String, EndpointSlice>,
    withdrawn: VecDeque<String>,
    written: Option<Table>,
    published: watch::Sender<Arc<Vec<Service>>>,
}

/// A watch's state: what the present listing has brought so far.
struct Listing<K> {
    incoming: Option<BTreeMap<String, K>>,
    done: bool,
}

impl<K> Default for Listing<K> {
    fn default() -> Self {
        Self { incoming: None, done: false }
    }
}

impl<K: kube::Resource> Listing<K> {
    fn apply(&mut self, into: &mut BTreeMap<String, K>, event: watcher::Event<K>) {
        let key = |object: &K| {
            let meta = object.meta();
            format!("{}/{}", meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
        };
        match event {
            watcher::Event::Init => self.incoming = Some(BTreeMap::new()),
            watcher::Event::InitApply(object) => {
                self.incoming.get_or_insert_default().insert(key(&object), object);
            }
            watcher::Event::InitDone => {
                *into = self.incoming.take().unwrap_or_default();
                self.done = true;
            }
            watcher::Event::Apply(object) => {
                into.insert(key(&object), object);
            }
            watcher::Event::Delete(object) => {
                into.remove(&key(&object));
            }
        }
    }
}

impl Proxy {
    /// Starts the task. Without a `place` it writes no rules but knows the Services all the same.
    pub fn start(client: &kube::Client, place: Option<(Bridge, Network)>, tasks: &Tasks) -> Self {
        let (withdrawals, asked) = mpsc::channel(WITHDRAWALS);
        let (published, services) = watch::channel(Arc::default());
        let rules = Rules {
            place,
            services: BTreeMap::new(),
            slices: BTreeMap::new(),
            withdrawn: VecDeque::new(),
            written: None,
            published,
        };
        let services_watch = watcher(Api::<Service>::all(client.clone()), watcher::Config::default());
        let slices_watch = watcher(Api::<EndpointSlice>::all(client.clone()), watcher::Config::default());
        tasks.spawn(
            "service proxy",
            rules.run(services_watch.default_backoff().boxed(), slices_watch.default_backoff().boxed(), asked),
        );
        Self { withdrawals, services }
    }

    /// Takes a pod out of all Services of this node; returns when the kernel has the rules.
    pub async fn withdraw(&self, uid: Option<String>) {
        let Some(uid) = uid else { return };
        let (done, answer) = oneshot::channel();
        let ask = async {
            if self.withdrawals.send((uid, done)).await.is_ok() {
                // An answer that never comes means that the agent is stopping.
                let _ = answer.await;
            }
        };
        if tokio::time::timeout(PATIENCE, ask).await.is_err() {
            tracing::warn!("the rules were not written in time; a pod ends while Services may still lead to it");
        }
    }

    /// The Services of the cluster, as far as they are known here.
    pub fn services(&self) -> Arc<Vec<Service>> {
        self.services.borrow().clone()
    }
}

impl Rules {
    async fn run(
        mut self,
        mut services: impl Stream<Item = watcher::Result<watcher::Event<Service>>> + Unpin,
        mut slices: impl Stream<Item = watcher::Result<watcher::Event<EndpointSlice>>> + Unpin,
        mut asked: mpsc::Receiver<(String, oneshot::Sender<()>)>,
    ) {
        let mut of_services = Listing::default();
        let mut of_slices = Listing::default();
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        let mut retry = false;
        loop {
            tokio::select! {
                biased;
                Some(event) = services.next() => match event {
                    Ok(event) => {
                        of_services.apply(&mut self.services, event);
                        if of_services.done {
                            self.published.send_replace(Arc::new(self.services.values().cloned().collect()));
                        }
                    }
                    Err(error) => tracing::debug!(%error, "the watch of services is being retried"),
                },
                Some(event) = slices.next() => match event {
                    Ok(event) => of_slices.apply(&mut self.slices, event),
                    Err(error) => tracing::debug!(%error, "the watch of endpoint slices is being retried"),
                },
                Some((uid, done)) = asked.recv() => {
                    self.withdrawn.push_back(uid);
                    if self.withdrawn.len() > REMEMBERED {
                        self.withdrawn.pop_front();
                    }
                    waiting.push(done);
                }
                // Reached when nothing else is ready: a burst of events makes one write.
                () = std::future::ready(()), if self.is_due(of_services.done && of_slices.done, retry) || !waiting.is_empty() => {
                    // Before the first listing is complete, rules from before the start stay as they are.
                    let known = of_services.done && of_slices.done;
                    retry = known && !self.write().await;
                    for done in waiting.drain(..) {
                        // Who asked may have lost patience.
                        let _ = done.send(());
                    }
                }
                () = tokio::time::sleep(RETRY), if retry => retry = false,
            }
        }
    }

    fn table(&self) -> Table {
        let withdrawn = |uid: &str| self.withdrawn.iter().any(|gone| gone == uid);
        table(self.services.values(), self.slices.values(), &withdrawn)
    }

    fn is_due(&self, known: bool, retry: bool) -> bool {
        known && !retry && self.written.as_ref() != Some(&self.table())
    }

    /// Writes the rules if they have changed; `false` when the kernel refused.
    async fn write(&mut self) -> bool {
        let table = self.table();
        if self.written.as_ref() == Some(&table) {
            return true;
        }
        if let Some((bridge, network)) = &self.place
            && let Err(error) = self.put(&bridge.table(), network, &table).await
        {
            tracing::error!(%error, "the rules of the Services could not be written, will be tried again");
            // Whatever is there now, the next try builds on nothing of it.
            self.written = None;
            return false;
        }
        self.written = Some(table);
        true
    }

    async fn put(&self, name: &str, network: &Network, table: &Table) -> Result<(), NetworkError> {
        if let Some(before) = &self.written {
            return nft::apply(&rules::change(name, before, table)).await;
        }
        let present = nft::chains(name).await?;
        let Err(error) = nft::apply(&rules::install(name, network, &present, table)).await else { return Ok(()) };
        // Something of that name and another shape: of another version, or of other hands.
        tracing::warn!(%error, table = name, "the table of rules is made anew");
        nft::apply(&(rules::remove(name) + &rules::install(name, network, &[], table))).await
    }
}
