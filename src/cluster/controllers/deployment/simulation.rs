//! Plays rolling updates with plans alone: changes of the specification, pods that become ready, fail or end, and
//! ReplicaSets that act and report late, in random order, thousands of times. A failure prints its seed;
//! `WINDLASS_SEED=N` plays that one alone.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use super::plan::{View, plan};
use super::sets::Set;

const SEEDS: u64 = 3000;
const STEPS: usize = 40;

#[derive(Clone, Copy, Debug)]
struct Pod {
    ready: bool,
    deleting: bool,
}

struct World {
    random: fastrand::Rng,
    spec: Value,
    deployment: Deployment,
    generation: i64,
    sets: Vec<Set>,
    /// By the uid of their ReplicaSet.
    pods: BTreeMap<String, Vec<Pod>>,
    made: usize,
    bounds: [i64; 3],
    /// The most pods and the fewest available ones that were right at some time since all was last at rest.
    most: i64,
    least: i64,
    /// Pods that failed or became unready since then.
    losses: i64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let replicas = random.i64(1..8);
        let [surge, unavailable] = bounds(&mut random);
        let spec = json!({"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "strategy": rolling(surge, unavailable), "template": template(0)});
        let mut world = Self {
            random,
            spec: Value::Null,
            deployment: Deployment::default(),
            generation: 0,
            sets: Vec::new(),
            pods: BTreeMap::new(),
            made: 0,
            bounds: [replicas, surge, unavailable],
            most: 0,
            least: i64::MAX,
            losses: 0,
        };
        world.change(spec);
        world
    }

    fn change(&mut self, spec: Value) {
        let [replicas, surge, unavailable] = self.bounds;
        // Where there are more pods than there may be now, all ReplicaSets give up some in proportion, whatever is
        // available of each: that is a scaling, not the roll.
        if replicas + surge < self.most {
            self.least = 0;
        }
        self.most = self.most.max(replicas + surge);
        self.least = self.least.min(replicas - unavailable);
        json_patch::merge(&mut self.spec, &spec);
        self.deployment.spec = serde_json::from_value(self.spec.clone()).unwrap();
        self.generation += 1;
    }

    fn happen(&mut self) {
        match self.random.u8(0..16) {
            0 => {
                self.bounds[0] = self.random.i64(0..9);
                self.change(json!({"replicas": self.bounds[0]}));
            }
            1 | 2 => {
                let image = self.random.u8(0..4);
                self.change(json!({"template": template(image)}));
            }
            3 => {
                let [surge, unavailable] = bounds(&mut self.random);
                self.bounds = [self.bounds[0], surge, unavailable];
                self.change(json!({"strategy": rolling(surge, unavailable)}));
            }
            4 => {
                let paused = self.random.bool();
                self.change(json!({"paused": paused}));
            }
            5 => self.lose(|pods, at| {
                pods.remove(at);
            }),
            6 => self.lose(|pods, at| pods[at].ready = false),
            7..10 => self.make_one_ready(),
            10 => self.rest(),
            11..14 => {
                self.run();
            }
            _ => {
                if let Some(at) = self.random.choice(0..self.sets.len()) {
                    self.run_set(at);
                }
            }
        }
    }

    fn lose(&mut self, lose: impl Fn(&mut Vec<Pod>, usize)) {
        let Some(uid) = self.random.choice(self.pods.keys().cloned().collect::<Vec<_>>()) else { return };
        let pods = self.pods.get_mut(&uid).unwrap();
        if let Some(at) = self.random.choice(0..pods.len())
            && !pods[at].deleting
        {
            self.losses += i64::from(pods[at].ready);
            lose(pods, at);
        }
    }

    /// Not of a ReplicaSet that has yet to give up pods (it would have chosen others), and reported at once: a Deployment that
    /// has not heard of it gives the pod up for one that is not available.
    fn make_one_ready(&mut self) {
        for at in 0..self.sets.len() {
            let set = &self.sets[at];
            let pods = self.pods.get_mut(&set.uid).unwrap();
            let active = pods.iter().filter(|pod| !pod.deleting).count();
            let waiting = pods.iter_mut().find(|pod| !pod.ready && !pod.deleting);
            if let Some(pod) = waiting.filter(|_| active <= usize::try_from(set.replicas).unwrap()) {
                pod.ready = true;
                self.run_set(at);
                return;
            }
        }
    }

    /// One run of the Deployment's controller. Whether it changed anything.
    fn run(&mut self) -> bool {
        let names: HashSet<String> = self.sets.iter().map(|set| set.name.clone()).collect();
        let planned = plan(View {
            deployment: Arc::new(self.deployment.clone()),
            generation: self.generation,
            sets: self.sets.clone(),
            with_pods: HashSet::new(),
            taken: Box::new(|name| names.contains(name)),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
        });
        let sizes = |sets: &[Set]| -> BTreeMap<String, i32> {
            sets.iter().map(|set| (set.name.clone(), set.replicas)).collect()
        };
        let before = (sizes(&self.sets), self.deployment.status.clone());
        self.sets = planned.sets;
        self.sets.retain(|set| !planned.remove.contains(&set.name));
        for set in self.sets.iter_mut().filter(|set| set.uid.is_empty()) {
            self.made += 1;
            set.uid = format!("set-{}", self.made);
            self.pods.insert(set.uid.clone(), Vec::new());
        }
        for gone in self.pods.keys().filter(|uid| self.sets.iter().all(|set| set.uid != **uid)) {
            assert!(self.pods[gone].is_empty(), "a ReplicaSet with pods is removed");
        }
        self.pods.retain(|uid, _| self.sets.iter().any(|set| set.uid == *uid));
        self.deployment.status = Some(planned.status);
        let wanted: i64 = self.sets.iter().map(|set| i64::from(set.replicas)).sum();
        assert!(wanted <= self.most, "{wanted} pods are wanted, at most {}", self.most);
        before != (sizes(&self.sets), self.deployment.status.clone())
    }

    /// One run of a ReplicaSet's controller: makes or gives up pods, those first that are not ready, and reports.
    fn run_set(&mut self, at: usize) -> bool {
        let set = &self.sets[at];
        let pods = self.pods.get_mut(&set.uid).unwrap();
        pods.retain(|pod| !pod.deleting);
        let wanted = usize::try_from(set.replicas).unwrap();
        let mut changed = pods.len() != wanted;
        let mut given_up = false;
        while pods.len() < wanted {
            pods.push(Pod { ready: false, deleting: false });
        }
        for _ in wanted..pods.iter().filter(|pod| !pod.deleting).count() {
            let unready = pods.iter().position(|pod| !pod.ready && !pod.deleting);
            given_up |= unready.is_none();
            let first = unready.or_else(|| pods.iter().position(|pod| !pod.deleting)).unwrap();
            pods[first].deleting = true;
        }
        let count = |holds: fn(&Pod) -> bool| {
            i32::try_from(pods.iter().filter(|pod| !pod.deleting && holds(pod)).count()).unwrap()
        };
        let (replicas, ready) = (count(|_| true), count(|pod| pod.ready));
        let mut status = set.status.clone();
        (status.replicas, status.ready_replicas, status.available_replicas) = (replicas, Some(ready), Some(ready));
        changed |= status != set.status;
        self.sets[at].status = status;

        let available = self.pods.values().flatten().filter(|pod| !pod.deleting && pod.ready).count();
        let (available, lost) = (i64::try_from(available).unwrap(), self.losses);
        assert!(
            !given_up || available + lost >= self.least,
            "{available} available, {lost} lost, at least {}",
            self.least
        );
        changed
    }

    /// Until nobody has anything to do.
    fn rest(&mut self) {
        for _ in 0..200 {
            let mut changed = false;
            for at in 0..self.sets.len() {
                changed |= self.run_set(at);
            }
            if !self.run() && !changed {
                let [replicas, surge, unavailable] = self.bounds;
                let there = i64::try_from(self.pods.values().flatten().count()).unwrap();
                assert!(there <= self.most, "{there} pods, at most {}", self.most);
                self.most = there.max(replicas + surge);
                self.least = replicas - unavailable;
                self.losses = 0;
                return;
            }
        }
        panic!("it never comes to rest: {:#?}", self.deployment);
    }

    /// From wherever it is, it arrives.
    fn arrive(&mut self) {
        self.change(json!({"paused": false}));
        for _ in 0..100 {
            self.rest();
            let status = self.deployment.status.clone().unwrap_or_default();
            let counts = [status.replicas, status.updated_replicas, status.available_replicas];
            if counts.iter().all(|count| i64::from(count.unwrap_or(0)) == self.bounds[0]) {
                return;
            }
            self.make_one_ready();
        }
        panic!("it does not arrive: {:#?} {:?}", self.deployment, self.pods);
    }
}

fn bounds(random: &mut fastrand::Rng) -> [i64; 2] {
    random.choice([[1, 0], [0, 1], [2, 1], [1, 2], [3, 0], [0, 3]]).unwrap()
}

fn rolling(surge: i64, unavailable: i64) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

fn template(image: u8) -> Value {
    json!({"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": format!("app:{image}")}]}})
}

#[test]
fn deployments_keep_their_bounds_whatever_happens_to_their_pods() {
    let only = std::env::var("WINDLASS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..SEEDS, |seed: u64| seed..seed + 1);
    for seed in seeds {
        let played = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.happen();
            }
            world.arrive();
        });
        assert!(played.is_ok(), "play it again with WINDLASS_SEED={seed}");
    }
}
