//! A Job counts each completion once, never runs more pods than it may at a time, nor two of one index, and ends.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use windlass::object::kinds;

use crate::cluster::QUIET_WITH_JOBS;
use crate::seeds::play;
use crate::world::{World, is_active, is_deleting};

const STEPS: usize = 14;
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

struct Promise {
    world: World,
    indexed: bool,
    completions: i64,
    parallelism: i64,
    most: i64,
    /// Uids and indexes of the pods that succeeded while they counted, and of those that may have been given up before.
    succeeded: BTreeSet<String>,
    indexes: BTreeSet<String>,
    doubtful: i64,
    counted: i64,
}

impl Promise {
    async fn start(mut random: Rng) -> Self {
        let (indexed, completions, parallelism) = (random.bool(), random.i64(1..7), random.i64(1..5));
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sum"}, "spec": {
            "completions": completions, "parallelism": parallelism, "backoffLimit": 1000,
            "completionMode": if indexed { "Indexed" } else { "NonIndexed" },
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "app", "image": "app:0"}]}}}});
        let mut world = World::start(random, job).await;
        world.cluster.quiet = QUIET_WITH_JOBS;
        let (succeeded, indexes) = (BTreeSet::new(), BTreeSet::new());
        let most = parallelism;
        Self { world, indexed, completions, parallelism, most, succeeded, indexes, doubtful: 0, counted: 0 }
    }

    async fn happen(&mut self) {
        match self.world.random.u8(0..16) {
            0..=4 => self.succeed().await,
            5 | 6 => {
                if let Some(pod) = self.world.choose() {
                    self.world.fail(&pod).await;
                }
            }
            7 => self.world.delete_one().await,
            8 => self.world.lose_node().await,
            9 | 10 => self.world.crash().await,
            11 => {
                self.parallelism = self.world.random.i64(1..5);
                self.most = self.most.max(self.parallelism);
                self.change(json!({"parallelism": self.parallelism})).await;
            }
            12 => {
                let suspend = self.world.random.bool();
                self.change(json!({"suspend": suspend})).await;
            }
            13 => tokio::time::sleep(Duration::from_secs(self.world.random.u64(1..30))).await,
            _ => self.world.finish_deletions().await,
        }
        self.world.pass().await;
        self.look_back();
    }

    async fn change(&self, spec: Value) {
        self.world.patch(kinds::JOB, "sum", json!({"spec": spec})).await;
    }

    async fn succeed(&mut self) {
        let Some(pod) = self.world.choose() else { return };
        let Some(stored) = self.world.report(&pod, json!({"phase": "Succeeded", "conditions": []})).await else {
            return;
        };
        if is_deleting(&stored) || stored["metadata"]["finalizers"].is_null() {
            self.doubtful += 1;
            return;
        }
        self.succeeded.insert(stored["metadata"]["uid"].as_str().unwrap().to_owned());
        self.indexes.extend(stored["metadata"]["annotations"][INDEX].as_str().map(str::to_owned));
    }

    fn look_back(&mut self) {
        while let Some(seen) = self.world.look() {
            let active = self.world.count(is_active);
            assert!(active <= self.most, "{active} pods, at most {} at {}", self.most, seen.revision);
            if self.indexed && is_active(&seen.now) {
                let index = |pod: &Value| pod["metadata"]["annotations"][INDEX].clone();
                let same = self.world.count(|pod| is_active(pod) && index(pod) == index(&seen.now));
                assert!(same <= 1, "{same} pods of index {} at {}", index(&seen.now), seen.revision);
            }
        }
        let job = self.job();
        let counted = job["status"]["succeeded"].as_i64().unwrap_or(0);
        assert!(counted >= self.counted, "{counted} completions, and {} before", self.counted);
        self.counted = counted;
        let different = if self.indexed { self.indexes.len() } else { self.succeeded.len() };
        let different = i64::try_from(different).unwrap();
        assert!(counted <= different + self.doubtful, "{counted} counted of {different}: {job:#}");
        if self.world.at_rest {
            if !has_ended(&job) {
                assert!(counted >= different, "{counted} counted of {different}: {job:#}");
            }
            self.most = self.parallelism;
        }
    }

    fn job(&self) -> Value {
        self.world.cluster.get(kinds::JOB, "sum").unwrap()
    }

    /// From wherever it is, it arrives.
    async fn arrive(&mut self) {
        self.change(json!({"suspend": false})).await;
        for _ in 0..60 {
            self.world.finish_deletions().await;
            for _ in 0..self.parallelism {
                self.succeed().await;
            }
            // Longer than the longest pause after failures.
            tokio::time::sleep(Duration::from_secs(700)).await;
            self.world.rest().await;
            self.look_back();
            if has_ended(&self.job()) {
                let counted = self.counted;
                let enough = if self.indexed { counted == self.completions } else { counted >= self.completions };
                assert!(enough, "ended at {counted}: {:#}", self.job());
                return;
            }
        }
        panic!("it does not end: {:#}", self.job());
    }
}

fn has_ended(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Complete" && c["status"] == "True")
}

#[test]
fn jobs_count_each_completion_once_and_end() {
    play(60, |random| async {
        let mut promise = Promise::start(random).await;
        for _ in 0..STEPS {
            promise.happen().await;
        }
        promise.arrive().await;
    });
}
