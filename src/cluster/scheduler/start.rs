//! The loop: hears of pods and nodes, places one pod after the other on what it knows and has assumed, and binds
//! those that it placed in one go together. Many writes may be under way at once.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::cache::Cache;
use super::claims::{self, Claims, Place, Reach};
use super::framework::Wake;
use super::message;
use super::node::NodeSpec;
use super::place::{Placed, Unfit, Verdict, fits_alone, place};
use super::pod::{PodInfo, Stage, stage};
use super::preempt::{Budget, Preemption, preempt};
use super::queue::{Pending, Queue};
use super::writes::{Binding, Choice, Writes};
use crate::cluster::registry::Registry;
use crate::cluster::store::{Change, Event, Snapshot, Watch, WatchEnd};
use crate::object::{ApiError, Object, ObjectKey, kinds};
use crate::tasks::Tasks;

/// Writes that may be under way; more placements wait.
const WRITES: usize = 256;
/// Pods that are bound together: enough that one commit more or less is not felt, and so few that the first of many
/// get to their nodes while the others are placed.
const TOGETHER: usize = 64;

/// Gives every pod that waits for the default scheduler its node, as long as the tasks run.
pub fn start(registry: Registry, tasks: &Tasks) {
    let scheduler = Scheduler {
        writes: Writes::new(registry.clone()),
        registry,
        cache: Cache::default(),
        queue: Queue::default(),
        placed: Vec::new(),
        under_way: FuturesUnordered::new(),
    };
    tasks.spawn("scheduler", scheduler.run());
}

struct Scheduler {
    registry: Registry,
    writes: Writes,
    cache: Cache,
    queue: Queue,
    /// Placed, and not yet being written.
    placed: Vec<Binding>,
    under_way: FuturesUnordered<BoxFuture<'static, Vec<Done>>>,
}

/// What came of a write for one pod.
struct Done {
    pod: ObjectKey,
    uid: String,
    /// The pod was assumed to be on its node.
    binding: bool,
    outcome: Result<(), ApiError>,
}

/// What the loop follows.
struct Watches {
    pods: Watch,
    nodes: Watch,
    namespaces: Watch,
    claims: Watch,
    volumes: Watch,
}

impl Scheduler {
    async fn run(mut self) {
        loop {
            let snapshot = self.registry.snapshot();
            let watch = |kind| self.registry.store().watch(kind, snapshot.revision());
            let (Ok(pods), Ok(nodes), Ok(namespaces)) =
                (watch(kinds::POD), watch(kinds::NODE), watch(kinds::NAMESPACE))
            else {
                // The snapshot is as old as that only when this task was not run for long; the next one is newer.
                tokio::task::yield_now().await;
                continue;
            };
            let (Ok(claims), Ok(volumes)) = (watch(kinds::CLAIM), watch(kinds::VOLUME)) else {
                tokio::task::yield_now().await;
                continue;
            };
            self.reload(&snapshot);
            match self.follow(Watches { pods, nodes, namespaces, claims, volumes }).await {
                WatchEnd::Expired => tracing::info!("the scheduler fell behind and reads everything anew"),
                // The store closes when the program ends; the tasks are stopped next.
                WatchEnd::Closed => std::future::pending().await,
            }
        }
    }

    /// Takes the state of the snapshot over, whatever was known before. Placements under way stay assumed.
    fn reload(&mut self, snapshot: &Snapshot) {
        let before = std::mem::take(&mut self.cache);
        for node in snapshot.list(kinds::NODE, "") {
            self.node(node, Change::Added);
        }
        for namespace in snapshot.list(kinds::NAMESPACE, "") {
            self.cache.set_namespace(&namespace.key.name, Some(namespace.meta.labels.clone()));
        }
        let gone: Vec<_> = self.queue.keys().filter(|key| snapshot.get(key).is_none()).cloned().collect();
        gone.iter().for_each(|key| self.queue.remove(key));
        for pod in snapshot.list(kinds::POD, "") {
            self.pod(pod, Change::Added);
            if let Some(node) = before.home(&pod.meta.uid)
                && self.cache.home(&pod.meta.uid).is_none()
                && self.queue.is_out(&pod.key)
                && let Ok(info) = PodInfo::of(pod)
            {
                self.cache.set_pod(Arc::new(info), node);
            }
        }
    }

    async fn follow(&mut self, mut watches: Watches) -> WatchEnd {
        loop {
            if let Err(end) = self.hear(&mut watches) {
                return end;
            }
            while let Some(Some(done)) = self.under_way.next().now_or_never() {
                self.written(done);
            }
            let now = Instant::now();
            if self.under_way.len() < WRITES
                && let Some(pending) = self.queue.pop(now)
            {
                self.attempt(pending, now);
                if self.placed.len() >= TOGETHER {
                    self.bind();
                }
                // Placing is work without a pause; others of this thread get their turn between two pods.
                tokio::task::yield_now().await;
                continue;
            }
            self.bind();
            let timer = self.queue.next().filter(|_| self.under_way.len() < WRITES);
            let woken = async {
                match timer {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = watches.pods.next() => match event {
                    Ok(event) => self.heard(&event),
                    Err(end) => return end,
                },
                event = watches.nodes.next() => match event {
                    Ok(event) => self.heard(&event),
                    Err(end) => return end,
                },
                event = watches.namespaces.next() => match event {
                    Ok(event) => self.heard(&event),
                    Err(end) => return end,
                },
                event = watches.claims.next() => match event {
                    Ok(event) => self.heard(&event),
                    Err(end) => return end,
                },
                event = watches.volumes.next() => match event {
                    Ok(event) => self.heard(&event),
                    Err(end) => return end,
                },
                Some(done) = self.under_way.next() => self.written(done),
                () = woken => {}
            }
        }
    }

    /// Takes in all that has happened already.
    fn hear(&mut self, watches: &mut Watches) -> Result<(), WatchEnd> {
        let Watches { pods, nodes, namespaces, claims, volumes } = watches;
        for watch in [nodes, namespaces, volumes, claims, pods] {
            while let Some(event) = watch.try_next()? {
                self.heard(&event);
            }
        }
        Ok(())
    }

    fn heard(&mut self, event: &Event) {
        let (object, change) = (&event.object, event.change);
        match object.key.kind {
            kind if kind == kinds::POD => self.pod(object, change),
            kind if kind == kinds::NODE => self.node(object, change),
            kind if kind == kinds::CLAIM => {
                let (namespace, name) = (&object.key.namespace, &object.key.name);
                let mounts = |pod: &PodInfo, _| pod.key.namespace == *namespace && pod.claims.contains(name);
                self.queue.wake(Wake::CLAIMS, Instant::now(), mounts);
            }
            kind if kind == kinds::VOLUME => {
                self.queue.wake(Wake::CLAIMS, Instant::now(), |pod: &PodInfo, _| !pod.claims.is_empty());
            }
            _ => {
                let labels = (change != Change::Deleted).then(|| object.meta.labels.clone());
                self.cache.set_namespace(&object.key.name, labels);
            }
        }
    }

    fn node(&mut self, object: &Object, change: Change) {
        let name = &object.key.name;
        if change == Change::Deleted {
            self.cache.remove_node(name);
            return self.wake(Wake::FREED, None);
        }
        match NodeSpec::of(object) {
            Ok(spec) => {
                if self.cache.set_node(spec) {
                    self.wake(Wake::NODE, Some(name));
                }
            }
            Err(error) => tracing::warn!(node = name, %error, "a node cannot be read"),
        }
    }

    fn pod(&mut self, object: &Arc<Object>, change: Change) {
        let (info, stage) = match (PodInfo::of(object), stage(object)) {
            (Ok(info), Ok(stage)) => (Arc::new(info), stage),
            (Err(error), _) | (_, Err(error)) => {
                return tracing::warn!(pod = %object.key, %error, "a pod cannot be read");
            }
        };
        match (&object.meta.node, stage) {
            (Some(node), Stage::Bound) if change != Change::Deleted => {
                self.queue.remove(&object.key);
                self.cache.forget_nomination(&info.uid);
                // Most news of a pod are of its status.
                if !self.cache.holds(&info, node) {
                    self.cache.set_pod(info, node);
                    self.wake(Wake::PODS, Some(node));
                }
            }
            (_, Stage::Waiting) if change != Change::Deleted && !info.gated => {
                if let Some(node) = &info.nominated {
                    self.cache.nominate(&info, node);
                }
                self.queue.put(info, object.clone(), Instant::now());
            }
            _ => {
                self.queue.remove(&object.key);
                self.cache.forget_nomination(&info.uid);
                if let Some((node, _)) = self.cache.remove_pod(&info.uid) {
                    self.wake(Wake::FREED, Some(&node));
                }
            }
        }
    }

    /// Something happened on `node`: pods that it can help are tried again.
    fn wake(&mut self, what: Wake, node: Option<&str>) {
        let view = self.cache.view();
        let node = node.and_then(|name| view.node(name));
        let helps = |pod: &PodInfo, wake: Wake| {
            // A pod for which room is made hears of each pod that leaves; one that minds other pods, of everything.
            let expects = node.is_some_and(|node| pod.nominated.as_deref() == Some(node.name()));
            expects || wake.meets(Wake::PODS) || node.is_some_and(|node| fits_alone(pod, view, node))
        };
        self.queue.wake(what, Instant::now(), helps);
    }

    fn attempt(&mut self, pending: Pending, now: Instant) {
        if !pending.pod.claims.is_empty() && !self.cache.view().nodes.is_empty() {
            return self.attempt_with_claims(pending, now);
        }
        match place(&pending.pod, self.cache.view()) {
            Verdict::Placed(placed) => self.assume(pending, placed),
            Verdict::Unfit(unfit) => self.refuse(pending, &unfit, now),
        }
    }

    /// A pod whose claims have no volumes yet is placed twice: first its node is told to the claims, and when they
    /// are bound it goes where its volumes are.
    fn attempt_with_claims(&mut self, pending: Pending, now: Instant) {
        let wake = Wake::NODE.or(Wake::CLAIMS);
        let volumes = match claims::of(&pending.pod, &self.registry.snapshot()) {
            Claims::Known(places) => places,
            Claims::Awaited => return self.queue.park(&pending.pod.key, wake, now),
            Claims::Refused(why) => {
                let nodes = self.cache.view().nodes.len();
                return self.refuse(pending, &Unfit { nodes, pod: Some(why), wake, ..Unfit::default() }, now);
            }
        };
        let asking = PodInfo { volumes, ..(*pending.pod).clone() };
        match place(&asking, self.cache.view()) {
            Verdict::Placed(placed) if asking.volumes.iter().all(|place| place.claim.is_none()) => {
                self.assume(pending, placed);
            }
            Verdict::Placed(placed) => self.choose(&pending, &asking.volumes, placed.node, now),
            Verdict::Unfit(unfit) => {
                let unfit = Unfit { wake: unfit.wake.or(wake), ..unfit };
                self.refuse(pending, &unfit, now);
            }
        }
    }

    /// Promises to the claims volumes that can be reached from the node, or has them made there.
    fn choose(&mut self, pending: &Pending, places: &[Place], node: String, now: Instant) {
        let labels = self.cache.view().node(&node).map(|node| node.spec.labels.clone()).unwrap_or_default();
        let mut choices: Vec<Choice> = Vec::new();
        for place in places {
            let (Some(claim), Reach::Chosen { volumes, .. }) = (place.claim.clone(), &place.reach) else { continue };
            let taken = |name: &str| choices.iter().any(|choice| choice.volume.as_deref() == Some(name));
            let volume = volumes.iter().find(|volume| volume.is_reachable(&node, &labels) && !taken(&volume.name));
            choices.push(Choice { claim, volume: volume.map(|volume| volume.name.clone()) });
        }
        let (key, uid) = (pending.pod.key.clone(), pending.pod.uid.clone());
        self.queue.park(&key, Wake::NODE.or(Wake::CLAIMS), now);
        let (writes, object) = (self.writes.clone(), pending.object.clone());
        let write = async move {
            let outcome = writes.choose(&object, &choices, &node).await;
            vec![Done { pod: key, uid, binding: false, outcome }]
        };
        self.under_way.push(write.boxed());
    }

    /// The pod counts on its node from now on.
    fn assume(&mut self, Pending { pod, object, .. }: Pending, Placed { node, examined }: Placed) {
        self.cache.advance(examined);
        self.cache.set_pod(pod, &node);
        self.placed.push(Binding { object, node });
    }

    /// Begins to write what was placed.
    fn bind(&mut self) {
        if self.placed.is_empty() {
            return;
        }
        let (bindings, writes) = (std::mem::take(&mut self.placed), self.writes.clone());
        let write = async move {
            let outcomes = writes.bind(&bindings).await;
            let done = |(Binding { object, .. }, outcome): (Binding, _)| Done {
                pod: object.key.clone(),
                uid: object.meta.uid.clone(),
                binding: true,
                outcome,
            };
            bindings.into_iter().zip(outcomes).map(done).collect()
        };
        self.under_way.push(write.boxed());
    }

    fn refuse(&mut self, Pending { pod, object, .. }: Pending, unfit: &Unfit, now: Instant) {
        let preemption = match &unfit.pod {
            Some(_) => Preemption::Refused(String::new()),
            None => preempt(&pod, self.cache.view(), unfit, &self.budgets(&pod)),
        };
        let message = message::of(unfit, &preemption);
        self.queue.park(&pod.key, unfit.wake, now);
        let writes = self.writes.clone();
        let (key, uid) = (pod.key.clone(), pod.uid.clone());
        match &preemption {
            Preemption::Room { node, .. } => self.cache.nominate(&pod, node),
            Preemption::Awaited(_) => {}
            // The node that was kept for it cannot take it any more.
            Preemption::Refused(_) => self.cache.forget_nomination(&uid),
        }
        let write = async move {
            let outcome = match preemption {
                Preemption::Room { node, victims } => writes.preempt(&object, &message, &node, &victims).await,
                Preemption::Awaited(_) => writes.refuse(&object, &message, pod.nominated.as_deref()).await,
                Preemption::Refused(_) => writes.refuse(&object, &message, None).await,
            };
            vec![Done { pod: key, uid, binding: false, outcome }]
        };
        self.under_way.push(write.boxed());
    }

    /// The disruption budgets as they are now, where the pod may break them.
    fn budgets(&self, pod: &PodInfo) -> Vec<Budget> {
        let snapshot = self.registry.snapshot();
        let all = snapshot.list(kinds::DISRUPTION_BUDGET, "").filter(|_| pod.may_preempt);
        all.filter_map(|budget| Budget::of(budget)).collect()
    }

    fn written(&mut self, done: Vec<Done>) {
        done.into_iter().for_each(|done| self.written_one(done));
    }

    fn written_one(&mut self, done: Done) {
        let Err(error) = done.outcome else { return };
        tracing::debug!(pod = %done.pod, %error, "a pod's placement was not written");
        if done.binding {
            // Heard of meanwhile, it is where the store says; else it is nowhere again.
            let bound = self.registry.snapshot().get(&done.pod).is_some_and(|pod| pod.meta.node.is_some());
            if !bound && let Some((node, _)) = self.cache.remove_pod(&done.uid) {
                self.wake(Wake::FREED, Some(&node));
            }
        }
        self.queue.retry(&done.pod, Instant::now());
    }
}
