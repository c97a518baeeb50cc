//! What a Deployment promises whatever happens: never more pods than its surge allows, and no available pod given up
//! for a roll beyond those that may be missing. Held over random changes, failures and crashes of the controllers.

use futures::FutureExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use windlass::cluster::store::{Change, Watch};
use windlass::object::kinds;

use crate::cluster::Cluster;

#[derive(Clone, Debug)]
enum Happening {
    Scale(i64),
    Image(u8),
    /// Pods become ready, first ones first.
    Ready(usize),
    /// A pod ends by itself.
    Fail(usize),
    /// The pods that are on their way out are gone.
    Stopped,
    /// The controllers are killed and started again.
    Crash,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        1 => (0..8_i64).prop_map(Happening::Scale),
        2 => (0..4_u8).prop_map(Happening::Image),
        5 => (1..4_usize).prop_map(Happening::Ready),
        1 => (0..8_usize).prop_map(Happening::Fail),
        3 => Just(Happening::Stopped),
        1 => Just(Happening::Crash),
    ]
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

fn is_active(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null()
        && !matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"))
}

struct Promise {
    cluster: Cluster,
    watch: Watch,
    replicas: i64,
    surge: i64,
    unavailable: i64,
    /// Pods as of the last event that was looked at.
    pods: std::collections::BTreeMap<String, Value>,
}

impl Promise {
    async fn start(replicas: i64, surge: i64, unavailable: i64) -> Self {
        let cluster = Cluster::start().await;
        let watch = cluster.registry.store().watch(kinds::POD, cluster.registry.snapshot().revision()).unwrap();
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "app:0"}]}}}});
        cluster.create(web).await.unwrap();
        cluster.settle().await;
        Self { cluster, watch, replicas, surge, unavailable, pods: Default::default() }
    }

    async fn let_happen(&mut self, happening: &Happening) {
        let pods: Vec<Value> = self.cluster.list(kinds::POD).into_iter().filter(is_active).collect();
        let before = self.replicas;
        match happening {
            Happening::Scale(to) => {
                self.replicas = *to;
                self.cluster.patch(kinds::DEPLOYMENT, "web", json!({"spec": {"replicas": to}})).await.unwrap();
            }
            Happening::Image(tag) => {
                let containers = json!([{"name": "app", "image": format!("app:{tag}")}]);
                let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
                self.cluster.patch(kinds::DEPLOYMENT, "web", patch).await.unwrap();
            }
            Happening::Ready(count) => {
                for pod in pods.iter().filter(|p| !is_ready(p) && !p["spec"]["nodeName"].is_null()).take(*count) {
                    self.cluster.report(pod, self.cluster.ready(true)).await;
                    self.cluster.settle().await;
                }
            }
            Happening::Fail(index) => {
                if let Some(pod) = pods.get(*index) {
                    self.cluster.report(pod, json!({"phase": "Failed", "conditions": []})).await;
                }
            }
            Happening::Stopped => self.cluster.finish_deletions().await,
            Happening::Crash => self.cluster.restart().await,
        }
        self.cluster.settle().await;
        self.look_back(before.max(self.replicas), before.min(self.replicas));
    }

    /// Goes through every state of the pods since the last look.
    fn look_back(&mut self, most: i64, least: i64) {
        while let Some(Ok(event)) = self.watch.next().now_or_never() {
            let name = event.object.key.name.clone();
            let now = event.object.value();
            let before = match event.change {
                Change::Deleted => self.pods.remove(&name),
                _ => self.pods.insert(name, now.clone()),
            };
            let count =
                |holds: fn(&Value) -> bool| i64::try_from(self.pods.values().filter(|p| holds(p)).count()).unwrap();
            let active = count(is_active);
            assert!(active <= most + self.surge, "{active} pods of {most} and {} at {}", self.surge, event.revision);
            let given_up = before.is_some_and(|b| is_active(&b) && is_ready(&b))
                && !now["metadata"]["deletionTimestamp"].is_null();
            let available = count(|p| is_active(p) && is_ready(p));
            if given_up {
                let least = least - self.unavailable;
                assert!(available >= least, "{available} available, at least {least} at {}", event.revision);
            }
        }
    }

    /// From wherever it is, it arrives.
    async fn arrives(&mut self) {
        for _ in 0..40 {
            self.let_happen(&Happening::Stopped).await;
            self.let_happen(&Happening::Ready(8)).await;
        }
        let web = self.cluster.get(kinds::DEPLOYMENT, "web").unwrap();
        let status = |of: &str| web["status"][of].as_i64().unwrap_or(0);
        let counts = (status("replicas"), status("updatedReplicas"), status("availableReplicas"));
        assert_eq!(counts, (self.replicas, self.replicas, self.replicas), "{web:#}");
        assert_eq!(status("observedGeneration"), web["metadata"]["generation"].as_i64().unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_roll_keeps_its_bounds_and_arrives(
        replicas in 1..7_i64,
        (surge, unavailable) in prop_oneof![Just((1, 0)), Just((0, 1)), Just((2, 1)), Just((1, 2))],
        happenings in proptest::collection::vec(happening(), 1..16),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut promise = Promise::start(replicas, surge, unavailable).await;
            for happening in &happenings {
                promise.let_happen(happening).await;
            }
            promise.arrives().await;
        });
    }
}
