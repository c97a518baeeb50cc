//! A Deployment never has more pods than its surge allows, gives up no available pod for a roll beyond those that may
//! be missing, and no ReplicaSet makes a pod too many; one that is recreated never runs two versions at once.

use std::collections::BTreeMap;

use fastrand::Rng;
use futures::FutureExt;
use serde_json::{Value, json};
use windlass::cluster::store::Watch;
use windlass::object::kinds;

use crate::seeds::{play, tell};
use crate::world::{Seen, World, has_ended, is_active, is_deleting, is_ready};

const STEPS: usize = 14;

struct Promise {
    world: World,
    sets: Watch,
    recreate: bool,
    replicas: i64,
    surge: i64,
    unavailable: i64,
    /// The most and the fewest pods that were right at some time since the controllers were last at rest.
    most: i64,
    least: i64,
    /// The same for the pods of each ReplicaSet, by uid.
    sizes: BTreeMap<String, i64>,
    latest: BTreeMap<String, i64>,
    /// The size of the Deployment that each ReplicaSet was last sized for.
    desired: BTreeMap<String, String>,
    /// Pods that were given up because the Deployment is to be smaller.
    shares: i64,
    paused: bool,
    /// Paused at some time since the controllers were last at rest.
    paused_lately: bool,
}

impl Promise {
    async fn start(mut random: Rng) -> Self {
        let recreate = random.u8(0..4) == 0;
        let replicas = random.i64(1..7);
        let (surge, unavailable) = if recreate { (0, replicas) } else { bounds(&mut random) };
        let strategy = if recreate { json!({"type": "Recreate"}) } else { rolling(surge, unavailable) };
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "strategy": strategy,
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "app:0"}]}}}});
        let world = World::start(random, web).await;
        let registry = &world.cluster.registry;
        let sets = registry.store().watch(kinds::REPLICA_SET, registry.snapshot().revision()).unwrap();
        let (most, least) = (replicas + surge, replicas - unavailable);
        // The controllers may have been faster than the watch.
        let first = world.cluster.list(kinds::REPLICA_SET);
        let size = |set: &Value| (set["metadata"]["uid"].as_str().unwrap().to_owned(), replicas);
        let sizes: BTreeMap<String, i64> = first.iter().map(size).collect();
        let latest = sizes.clone();
        let (desired, shares, paused, paused_lately) = (BTreeMap::new(), 0, false, false);
        Self {
            world,
            sets,
            recreate,
            replicas,
            surge,
            unavailable,
            most,
            least,
            sizes,
            latest,
            desired,
            shares,
            paused,
            paused_lately,
        }
    }

    async fn happen(&mut self) {
        match self.world.random.u8(0..18) {
            0 | 1 => {
                self.replicas = self.world.random.i64(0..8);
                self.change(json!({"replicas": self.replicas})).await;
            }
            2..=4 => {
                let image = format!("app:{}", self.world.random.u8(0..4));
                self.change(json!({"template": {"spec": {"containers": [{"name": "app", "image": image}]}}})).await;
            }
            5 if !self.recreate => {
                (self.surge, self.unavailable) = bounds(&mut self.world.random);
                self.change(json!({"strategy": rolling(self.surge, self.unavailable)})).await;
            }
            6 => {
                self.paused = self.world.random.bool();
                self.paused_lately |= self.paused;
                self.change(json!({"paused": self.paused})).await;
            }
            7..=10 => {
                let count = self.world.random.usize(1..4);
                self.world.make_ready(count).await;
            }
            11 => {
                if let Some(pod) = self.world.choose() {
                    self.world.fail(&pod).await;
                }
            }
            12 => self.world.make_unready().await,
            13 => self.world.lose_node().await,
            14 => self.world.crash().await,
            _ => self.world.finish_deletions().await,
        }
        self.world.pass().await;
        self.look_back();
    }

    async fn change(&mut self, spec: Value) {
        if self.recreate {
            self.unavailable = self.replicas;
        }
        self.most = self.most.max(self.replicas + self.surge);
        self.least = self.least.min(self.replicas - self.unavailable);
        self.world.patch(kinds::DEPLOYMENT, "web", json!({"spec": spec})).await;
    }

    fn look_back(&mut self) {
        while let Some(Ok(event)) = self.sets.next().now_or_never() {
            let (set, uid) = (event.object.value(), event.object.meta.uid.clone());
            let wanted = set["spec"]["replicas"].as_i64().unwrap();
            tell(|| format!("{} ReplicaSet {} of {wanted}: {}", event.revision, event.object.key.name, set["status"]));
            let size = self.sizes.entry(uid.clone()).or_insert(wanted);
            *size = wanted.max(*size);
            let desired = set["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"].to_string();
            let before = self.latest.insert(uid.clone(), wanted).unwrap_or(0);
            let resized = self.desired.insert(uid, desired.clone()).is_none_or(|before| before != desired);
            if (resized || self.paused_lately) && wanted < before {
                // Following a smaller Deployment, or a smaller surge while nothing rolls: each ReplicaSet gives its
                // share, available or not. No roll does.
                self.shares += before - wanted;
            }
        }
        while let Some(seen) = self.world.look() {
            self.check(&seen);
        }
        if self.world.at_rest {
            // Fewer are to surge now than there are, perhaps: they need not go before others are available.
            let there: i64 = self.latest.values().sum();
            self.most = there.max(self.replicas + self.surge);
            self.least = self.replicas - self.unavailable;
            (self.world.losses, self.shares) = (0, 0);
            self.paused_lately = self.paused;
            self.sizes = self.latest.clone();
        }
    }

    fn check(&mut self, Seen { before, now, added, revision }: &Seen) {
        let active = self.world.count(is_active);
        assert!(active <= self.most, "{active} pods, at most {} at {revision}", self.most);
        let owner = &now["metadata"]["ownerReferences"][0]["uid"];
        let siblings = self.world.count(|pod| is_active(pod) && pod["metadata"]["ownerReferences"][0]["uid"] == *owner);
        if *added {
            let size = self.sizes[owner.as_str().unwrap()];
            assert!(siblings <= size, "{siblings} pods of a ReplicaSet of {size} at {revision}");
        }
        if *added && self.recreate {
            let image = |pod: &Value| pod["spec"]["containers"][0]["image"].clone();
            let others = self.world.count(|pod| !has_ended(pod) && image(pod) != image(now));
            assert_eq!(others, 0, "two versions at {revision}");
        }
        let given_up = before.as_ref().is_some_and(|b| is_active(b) && is_ready(b)) && is_deleting(now);
        let available = self.world.count(|pod| is_active(pod) && is_ready(pod));
        let lost = self.world.losses;
        if given_up && available + lost < self.least {
            self.shares -= 1;
            assert!(self.shares >= 0, "{available} available, {lost} lost, at least {} at {revision}", self.least);
        }
    }

    /// From wherever it is, it arrives.
    async fn arrive(&mut self) {
        self.paused = false;
        self.change(json!({"paused": false})).await;
        for _ in 0..40 {
            self.world.finish_deletions().await;
            self.world.make_ready(8).await;
            self.world.rest().await;
            self.look_back();
            if self.has_arrived() {
                return;
            }
        }
        panic!("it does not arrive: {:#}", self.world.cluster.get(kinds::DEPLOYMENT, "web").unwrap());
    }

    fn has_arrived(&self) -> bool {
        let web = self.world.cluster.get(kinds::DEPLOYMENT, "web").unwrap();
        let status = |of: &str| web["status"][of].as_i64().unwrap_or(0);
        let counts = ["replicas", "updatedReplicas", "availableReplicas"].map(status);
        counts == [self.replicas; 3] && status("observedGeneration") == web["metadata"]["generation"]
    }
}

fn bounds(random: &mut Rng) -> (i64, i64) {
    random.choice([(1, 0), (0, 1), (2, 1), (1, 2), (3, 0)]).unwrap()
}

fn rolling(surge: i64, unavailable: i64) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

#[test]
fn deployments_keep_their_bounds_and_arrive() {
    play(60, |random| async {
        let mut promise = Promise::start(random).await;
        for _ in 0..STEPS {
            promise.happen().await;
        }
        promise.arrive().await;
    });
}
