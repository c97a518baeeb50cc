//! Plays DaemonSets with plans alone: nodes that come, go and change, templates, pods that become ready, fail or end
//! late, in random order, thousands of times. A failure prints its seed; `WINDLASS_SEED=N` plays that one alone.

use std::sync::Arc;

use serde_json::json;

use super::eligibility::Fit;
use super::plan::{Daemon, Place, Plan, Policy, manage, roll};
use crate::cluster::controllers::pods;

const SEEDS: u64 = 3000;
const STEPS: usize = 40;
const NODES: usize = 5;
const NOW: &str = "2026-01-01T00:00:00Z";

struct Pod {
    name: String,
    node: usize,
    template: u32,
    phase: &'static str,
    ready: bool,
    deleting: bool,
}

struct World {
    random: fastrand::Rng,
    fits: Vec<Fit>,
    pods: Vec<Pod>,
    template: u32,
    surge: i32,
    unavailable: i32,
    made: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let fits = vec![Fit { run: true, stay: true }; NODES];
        let (surge, unavailable) = random.choice([(0, 1), (0, 2), (1, 0), (2, 0)]).unwrap();
        Self { random, fits, pods: Vec::new(), template: 0, surge, unavailable, made: 0 }
    }

    fn happen(&mut self) {
        let chosen = self.random.choice(0..self.pods.len());
        let node = self.random.usize(0..NODES);
        match (self.random.u8(0..12), chosen) {
            (0, _) => self.template += 1,
            (1, _) => {
                let fits = [(true, true), (true, true), (false, true), (false, false)];
                let (run, stay) = self.random.choice(fits).unwrap();
                self.fits[node] = Fit { run, stay };
            }
            (2..6, Some(at)) if !self.pods[at].deleting => {
                (self.pods[at].phase, self.pods[at].ready) = ("Running", true);
            }
            (6, Some(at)) => self.pods[at].ready = false,
            (7, Some(at)) => (self.pods[at].phase, self.pods[at].ready) = ("Failed", false),
            // Somebody deletes it, or its node is lost.
            (8, Some(at)) => self.pods[at].deleting = true,
            (9, Some(at)) => drop(self.pods.remove(at)),
            _ => self.pods.retain(|pod| !pod.deleting),
        }
    }

    fn places(&self) -> Vec<Place> {
        let daemon = |pod: &Pod| {
            let ready = if pod.ready { "True" } else { "False" };
            let mut value = json!({"metadata": {"name": pod.name, "creationTimestamp": NOW},
                "spec": {"containers": [], "nodeName": pod.node.to_string()}, "status": {"phase": pod.phase,
                "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": NOW}]}});
            if pod.deleting {
                value["metadata"]["deletionTimestamp"] = json!(NOW);
            }
            Daemon { pod: Arc::new(serde_json::from_value(value).unwrap()), updated: pod.template == self.template }
        };
        let place = |(node, fit): (usize, &Fit)| {
            // As the controller reads them: what has ended and goes is no more its business.
            let here = self.pods.iter().filter(|pod| pod.node == node && !(pod.deleting && pod.phase == "Failed"));
            let mut place = Place { node: node.to_string(), exists: true, fit: *fit, pods: here.map(daemon).collect() };
            place.sort();
            place
        };
        self.fits.iter().enumerate().map(place).collect()
    }

    /// One run of the controller. Whether it changed anything.
    fn run(&mut self) -> bool {
        let places = self.places();
        let spec = json!({"selector": {}, "template": {}, "updateStrategy": {"type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": self.surge, "maxUnavailable": self.unavailable}}});
        let policy = Policy::of(&serde_json::from_value(spec).unwrap(), &places);
        let now = NOW.parse().unwrap();
        let mut plan = manage(&places, policy, now, |_| Ok(()));
        if plan.is_empty() {
            plan = roll(&places, policy, now);
            self.check_roll(&places, &plan);
        }
        let changed = !plan.is_empty();
        self.apply(&plan);
        changed
    }

    fn apply(&mut self, plan: &Plan) {
        for name in &plan.delete {
            let pod = self.pods.iter_mut().find(|pod| pod.name == *name).unwrap();
            assert!(!pod.deleting, "{name} is deleted twice");
            pod.deleting = true;
        }
        for node in &plan.create {
            let node: usize = node.parse().unwrap();
            let alive = self.pods.iter().filter(|pod| pod.node == node && !(pod.deleting && pod.phase == "Failed"));
            if self.surge == 0 {
                assert_eq!(alive.count(), 0, "a second pod on node {node}");
            } else {
                let staying: Vec<_> = alive.filter(|pod| !pod.deleting).collect();
                assert!(staying.len() <= 1, "a third pod on node {node}");
                assert!(staying.iter().all(|pod| pod.template != self.template), "a second new pod on node {node}");
            }
            self.made += 1;
            let (name, template) = (format!("ds-{}", self.made), self.template);
            self.pods.push(Pod { name, node, template, phase: "Pending", ready: false, deleting: false });
        }
    }

    /// A roll gives up no available pod where as many nodes as may be are without one, or where none stands by.
    fn check_roll(&self, places: &[Place], plan: &Plan) {
        let stands = |daemon: &&Daemon| !pods::is_deleting(&daemon.pod) && pods::is_ready(&daemon.pod);
        let left = |place: &Place| {
            place.pods.iter().filter(stands).any(|daemon| !plan.delete.iter().any(|name| name == daemon.name()))
        };
        let gives_up = |place: &Place| place.pods.iter().filter(stands).count() > 0 && !left(place);
        if places.iter().any(gives_up) {
            let without = places.iter().filter(|place| place.fit.run && !left(place)).count();
            assert!(without <= usize::try_from(self.unavailable).unwrap(), "{without} nodes without an available pod");
        }
    }

    /// From wherever it is, it arrives.
    fn arrive(&mut self) {
        self.fits.fill(Fit { run: true, stay: true });
        for _ in 0..100 {
            let settled = self.pods.iter().all(|pod| pod.ready && !pod.deleting);
            let changed = self.run();
            self.pods.retain(|pod| !pod.deleting);
            self.pods.iter_mut().for_each(|pod| (pod.phase, pod.ready) = ("Running", true));
            if settled && !changed {
                let of_node = |node| self.pods.iter().filter(|pod| pod.node == node).count();
                assert!((0..NODES).all(|node| of_node(node) == 1), "one pod a node");
                assert!(self.pods.iter().all(|pod| pod.template == self.template), "all of the present template");
                return;
            }
        }
        panic!("it does not arrive");
    }
}

#[test]
fn daemon_sets_have_one_pod_a_node_whatever_happens() {
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
