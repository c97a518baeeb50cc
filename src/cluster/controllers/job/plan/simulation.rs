//! Plays Jobs with plans alone: pods that end, fail, are deleted or lost, changes of the Job and lost memory, in random
//! order, thousands of times. A failure prints its seed; `WINDLASS_SEED=N` plays that one alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::{Plan, View, plan};
use crate::cluster::controllers::job::backoff::Backoff;
use crate::cluster::controllers::job::conditions::ended;
use crate::cluster::controllers::job::indexes::Indexes;
use crate::cluster::controllers::job::terms::{INDEX, INDEX_FAILURES, TRACKING, index_of, is_tracked};
use crate::cluster::controllers::pods;

const SEEDS: u64 = 3000;
const STEPS: usize = 40;

struct World {
    random: fastrand::Rng,
    job: Job,
    pods: Vec<Pod>,
    backoff: Backoff,
    now: Timestamp,
    made: usize,
    /// Uids and indexes of all pods that ever succeeded.
    succeeded: BTreeSet<String>,
    done: BTreeSet<i32>,
    parallelism: i32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let indexed = random.bool();
        let parallelism = random.i32(1..5);
        let mut spec = json!({"parallelism": parallelism, "completions": random.i32(1..7), "backoffLimit": 1000,
            "completionMode": if indexed { "Indexed" } else { "NonIndexed" }, "template": {},
            "podReplacementPolicy": if random.bool() { "Failed" } else { "TerminatingOrFailed" }});
        if indexed && random.bool() {
            spec["backoffLimitPerIndex"] = json!(1000);
        }
        let job = serde_json::from_value(json!({"metadata": {"name": "job"}, "spec": spec})).unwrap();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let (pods, backoff) = (Vec::new(), Backoff::default());
        let (succeeded, done) = (BTreeSet::new(), BTreeSet::new());
        Self { random, job, pods, backoff, now, made: 0, succeeded, done, parallelism }
    }

    fn run(&mut self) {
        if ended(self.job.status.as_ref()).is_some() {
            return;
        }
        let pods = self.pods.iter().cloned().map(Arc::new).collect();
        let view = View { job: Arc::new(self.job.clone()), pods, backoff: self.backoff, now: self.now };
        let plan = plan(&view);
        self.apply(plan);
        self.check();
    }

    fn apply(&mut self, plan: Plan) {
        for released in &plan.release {
            let pod = self.pods.iter_mut().find(|pod| pod.metadata.uid == released.metadata.uid).unwrap();
            assert!(is_tracked(pod), "released twice");
            pod.metadata.finalizers = None;
        }
        for deleted in &plan.delete {
            let pod = self.pods.iter_mut().find(|pod| pod.metadata.uid == deleted.metadata.uid).unwrap();
            pod.metadata.deletion_timestamp = Some(Time(self.now));
        }
        for new in plan.create {
            self.made += 1;
            let name = format!("pod-{}", self.made);
            let mut annotations = json!({});
            if let Some(index) = new.index {
                annotations[INDEX] = json!(index.to_string());
            }
            if let Some((counted, _)) = new.failures {
                annotations[INDEX_FAILURES] = json!(counted.to_string());
            }
            let pod = json!({"metadata": {"name": name, "uid": name, "finalizers": [TRACKING],
                "annotations": annotations, "creationTimestamp": self.now.to_string()},
                "status": {"phase": "Pending"}});
            self.pods.push(serde_json::from_value(pod).unwrap());
        }
        if let Some(status) = plan.status {
            self.job.status = Some(status);
            self.backoff = plan.backoff;
        }
    }

    fn happen(&mut self) {
        let alive: Vec<usize> = (0..self.pods.len()).filter(|at| !pods::has_ended(&self.pods[*at])).collect();
        let chosen = self.random.choice(&alive).copied();
        match (self.random.u8(0..10), chosen) {
            (0..3, Some(at)) => self.end(at, "Succeeded"),
            (3..5, Some(at)) => self.end(at, "Failed"),
            (5, Some(at)) => self.pods[at].metadata.deletion_timestamp = Some(Time(self.now)),
            // A node is lost with what runs there: the pod is gone unless the finalizer keeps it.
            (6, _) => self.stop_deleted(),
            (7, _) => self.change(),
            (8, _) => self.backoff = Backoff::default(),
            _ => {
                let seconds = self.random.i64(1..15);
                self.pass(seconds);
            }
        }
    }

    fn end(&mut self, at: usize, phase: &str) {
        let pod = &mut self.pods[at];
        pod.status.get_or_insert_default().phase = Some(phase.to_owned());
        // A pod without the finalizer was given up before it ended.
        if phase == "Succeeded" && is_tracked(pod) {
            self.succeeded.insert(pod.metadata.uid.clone().unwrap());
            self.done.extend(index_of(pod));
        }
        self.pass(1);
    }

    fn change(&mut self) {
        let spec = self.job.spec.as_mut().unwrap();
        match self.random.u8(0..3) {
            0 => spec.suspend = Some(!spec.suspend.unwrap_or(false)),
            _ => {
                spec.parallelism = Some(self.random.i32(1..5));
                self.parallelism = self.parallelism.max(spec.parallelism.unwrap());
            }
        }
    }

    /// Pods that are being deleted end, and go once they are counted.
    fn stop_deleted(&mut self) {
        self.pods.retain(|pod| !pods::is_deleting(pod) || is_tracked(pod));
        for pod in self.pods.iter_mut().filter(|pod| pods::is_deleting(pod) && !pods::has_ended(pod)) {
            pod.status.get_or_insert_default().phase = Some("Failed".to_owned());
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    fn check(&self) {
        let active: Vec<&Pod> = self.pods.iter().filter(|pod| pods::is_active(pod)).collect();
        assert!(active.len() <= usize::try_from(self.parallelism).unwrap(), "{} pods", active.len());
        let slots: Vec<i32> = active.iter().filter_map(|pod| index_of(pod)).collect();
        assert_eq!(slots.len(), slots.iter().collect::<BTreeSet<_>>().len(), "two pods of one index: {slots:?}");
        let status = self.job.status.clone().unwrap_or_default();
        let counted = status.succeeded.unwrap_or(0);
        if self.is_indexed() {
            let completed = Indexes::parse(status.completed_indexes.as_deref().unwrap_or_default(), i32::MAX);
            assert_eq!(completed.len(), counted);
            let done = Indexes::of(self.done.iter().copied());
            assert_eq!(completed.common(&done), completed.len(), "an index counts that did not succeed");
        } else {
            let uncounted = self.pods.iter().filter(|pod| pods::phase(pod) == "Succeeded" && is_tracked(pod)).count();
            assert_eq!(counted, self.number(self.succeeded.len() - uncounted), "each success counts once");
        }
    }

    fn is_indexed(&self) -> bool {
        self.job.spec.as_ref().unwrap().completion_mode.as_deref() == Some("Indexed")
    }

    fn number(&self, count: usize) -> i32 {
        i32::try_from(count).unwrap()
    }

    /// From wherever it is, it arrives.
    fn arrive(&mut self) {
        self.job.spec.as_mut().unwrap().suspend = Some(false);
        for _ in 0..100 {
            self.run();
            if let Some(ended) = ended(self.job.status.as_ref()) {
                assert!(ended.well);
                return;
            }
            self.stop_deleted();
            self.pass(700);
            let running: Vec<usize> = (0..self.pods.len()).filter(|at| pods::is_active(&self.pods[*at])).collect();
            running.into_iter().for_each(|at| self.end(at, "Succeeded"));
        }
        panic!("it does not end: {:#?}", self.job);
    }
}

#[test]
fn jobs_keep_their_promises_whatever_happens_to_their_pods() {
    let only = std::env::var("WINDLASS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..SEEDS, |seed: u64| seed..seed + 1);
    for seed in seeds {
        let played = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.run();
                world.happen();
            }
            world.arrive();
        });
        assert!(played.is_ok(), "play it again with WINDLASS_SEED={seed}");
    }
}
