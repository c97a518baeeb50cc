//! A StatefulSet never runs two pods of one ordinal (the world watches over names), makes no ordinal that it was not
//! asked for, and, when it is ordered, none before the lower ones.

use fastrand::Rng;
use serde_json::{Value, json};
use windlass::object::kinds;

use crate::seeds::play;
use crate::world::{Seen, World};

const STEPS: usize = 14;

struct Promise {
    world: World,
    ordered: bool,
    replicas: i64,
    /// The most pods that were right at some time since the controller was last at rest.
    most: i64,
}

impl Promise {
    async fn start(mut random: Rng) -> Self {
        let (ordered, replicas) = (random.bool(), random.i64(1..5));
        let policy = if ordered { "OrderedReady" } else { "Parallel" };
        let db = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
            "replicas": replicas, "serviceName": "db", "podManagementPolicy": policy,
            "selector": {"matchLabels": {"app": "db"}}, "template": {"metadata": {"labels": {"app": "db"}},
                "spec": {"containers": [{"name": "app", "image": "app:0"}]}}}});
        Self { world: World::start(random, db).await, ordered, replicas, most: replicas }
    }

    async fn happen(&mut self) {
        match self.world.random.u8(0..18) {
            0 | 1 => {
                self.replicas = self.world.random.i64(0..5);
                self.most = self.most.max(self.replicas);
                self.change(json!({"replicas": self.replicas})).await;
            }
            2 | 3 => {
                let image = format!("app:{}", self.world.random.u8(0..3));
                self.change(json!({"template": {"spec": {"containers": [{"name": "app", "image": image}]}}})).await;
            }
            4 => {
                let partition = self.world.random.i64(0..4);
                self.change(json!({"updateStrategy": {"rollingUpdate": {"partition": partition}}})).await;
            }
            5..=9 => {
                let count = self.world.random.usize(1..4);
                self.world.make_ready(count).await;
            }
            10 => {
                if let Some(pod) = self.world.choose() {
                    self.world.fail(&pod).await;
                }
            }
            11 => self.world.make_unready().await,
            12 => self.world.delete_one().await,
            13 => self.world.lose_node().await,
            14 => self.world.crash().await,
            _ => self.world.finish_deletions().await,
        }
        self.world.pass().await;
        self.look_back();
    }

    async fn change(&self, spec: Value) {
        self.world.patch(kinds::STATEFUL_SET, "db", json!({"spec": spec})).await;
    }

    fn look_back(&mut self) {
        while let Some(seen) = self.world.look() {
            self.check(&seen);
        }
        if self.world.at_rest {
            self.most = self.replicas;
            self.world.losses = 0;
        }
    }

    fn check(&self, Seen { now, added, revision, .. }: &Seen) {
        if !added {
            return;
        }
        let name = now["metadata"]["name"].as_str().unwrap();
        let ordinal: i64 = name.strip_prefix("db-").unwrap().parse().unwrap();
        assert!(ordinal < self.most, "{name} of {} at {revision}", self.most);
        let missing = (0..ordinal).find(|lower| !self.world.pods.contains_key(&format!("db-{lower}")));
        if self.ordered && self.world.losses == 0 {
            assert_eq!(missing, None, "{name} came first at {revision}");
        }
    }

    /// From wherever it is, it arrives.
    async fn arrive(&mut self) {
        self.change(json!({"updateStrategy": {"rollingUpdate": {"partition": 0}}})).await;
        for _ in 0..60 {
            self.world.finish_deletions().await;
            self.world.make_ready(8).await;
            self.world.rest().await;
            self.look_back();
            if self.has_arrived() {
                return;
            }
        }
        panic!("it does not arrive: {:#}", self.world.cluster.get(kinds::STATEFUL_SET, "db").unwrap());
    }

    fn has_arrived(&self) -> bool {
        let db = self.world.cluster.get(kinds::STATEFUL_SET, "db").unwrap();
        let status = |of: &str| db["status"][of].as_i64().unwrap_or(0);
        let settled = db["status"]["currentRevision"] == db["status"]["updateRevision"];
        let counts = ["replicas", "readyReplicas", "availableReplicas"].map(status);
        settled && counts == [self.replicas; 3] && status("observedGeneration") == db["metadata"]["generation"]
    }
}

#[test]
fn stateful_sets_never_run_two_pods_of_one_ordinal_and_arrive() {
    play(60, |random| async {
        let mut promise = Promise::start(random).await;
        for _ in 0..STEPS {
            promise.happen().await;
        }
        promise.arrive().await;
    });
}
