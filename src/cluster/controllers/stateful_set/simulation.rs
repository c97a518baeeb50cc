//! Plays StatefulSets with plans alone: pods that become ready, fail, are deleted or end late, changes of size, template and
//! strategy, in random order, thousands of times. A failure prints its seed; `WINDLASS_SEED=N` plays that one alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::identity::REVISION;
use super::plan::{Action, Member, Policy, Replica, Update, plan};

const SEEDS: u64 = 3000;
const STEPS: usize = 40;
const NOW: &str = "2026-01-01T00:00:00Z";

#[derive(Clone, Copy, Debug, PartialEq)]
struct Seat {
    revision: u8,
    ready: bool,
    failed: bool,
    deleting: bool,
}

impl Seat {
    fn is_sound(self) -> bool {
        self.ready && !self.failed && !self.deleting
    }

    fn pod(self, ordinal: usize) -> Arc<Pod> {
        let ready = if self.ready { "True" } else { "False" };
        let phase = if self.failed { "Failed" } else { "Running" };
        let mut pod = json!({"metadata": {"name": format!("db-{ordinal}"), "labels": {REVISION: self.revision.to_string()}},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": NOW}]}});
        if self.deleting {
            pod["metadata"]["deletionTimestamp"] = json!(NOW);
        }
        Arc::new(serde_json::from_value(pod).unwrap())
    }
}

struct World {
    random: fastrand::Rng,
    policy: Policy,
    replicas: usize,
    revision: u8,
    /// One pod an ordinal at the most: that is what the map cannot break and `run` checks.
    seats: BTreeMap<usize, Seat>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let policy = Policy { ordered: random.bool(), min_ready_seconds: 0, update: update(&mut random) };
        Self { policy, replicas: random.usize(1..6), revision: 0, seats: BTreeMap::new(), random }
    }

    /// One run of the controller.
    fn run(&mut self) {
        let member = |ordinal: usize, seat: &Seat| Member {
            ordinal: i64::try_from(ordinal).unwrap(),
            pod: seat.pod(ordinal),
            consistent: true,
            lacks_claims: false,
        };
        let wanted: Vec<Replica> = (0..self.replicas)
            .map(|ordinal| match self.seats.get(&ordinal) {
                Some(seat) => Replica::There(member(ordinal, seat)),
                None => Replica::Missing { ordinal: i64::try_from(ordinal).unwrap(), stale_claim: false },
            })
            .collect();
        let condemned: Vec<Member> = self
            .seats
            .iter()
            .rev()
            .filter(|(at, _)| **at >= self.replicas)
            .map(|(at, seat)| member(*at, seat))
            .collect();
        let before = self.seats.clone();
        let actions = plan(self.policy, &wanted, &condemned, &self.revision.to_string(), NOW.parse().unwrap());
        for action in &actions {
            self.act(action);
        }
        self.check(&before, &actions);
    }

    fn act(&mut self, action: &Action) {
        let ordinal = |name: &str| name[3..].parse::<usize>().unwrap();
        match action {
            Action::Create(ordinal) => {
                let ordinal = usize::try_from(*ordinal).unwrap();
                let partition = match self.policy.update {
                    Update::Rolling { partition, .. } => partition,
                    Update::OnDelete => 0,
                };
                // Which revision a pod below the partition gets is decided elsewhere: any will do.
                let revision = if ordinal < partition { self.revision.saturating_sub(1) } else { self.revision };
                let new = Seat { revision, ready: false, failed: false, deleting: false };
                assert_eq!(self.seats.insert(ordinal, new), None, "two pods of ordinal {ordinal}");
            }
            Action::Delete(name) | Action::Recreate { name, .. } => {
                let seat = self.seats.get_mut(&ordinal(name)).unwrap();
                assert!(!std::mem::replace(&mut seat.deleting, true), "{name} is deleted twice");
            }
            Action::MakeClaims(_) | Action::Mend(_) | Action::GiveClaims(_) => {}
        }
    }

    fn check(&self, before: &BTreeMap<usize, Seat>, actions: &[Action]) {
        let sound =
            |seats: &BTreeMap<usize, Seat>| seats.range(..self.replicas).filter(|(_, seat)| seat.is_sound()).count();
        let (was, is) = (sound(before), sound(&self.seats));
        // Whatever else is wrong, an update gives up one sound pod at a time, or as many as may be missing.
        let most = match self.policy.update {
            Update::Rolling { unavailable: Some(most), .. } => most,
            _ => 1,
        };
        assert!(was - is <= most, "{was} sound pods, then {is}: {actions:?}");
        if let Update::Rolling { unavailable: Some(_), .. } = self.policy.update {
            assert!(was == is || self.replicas - is <= most, "{} are missing: {actions:?}", self.replicas - is);
        }
        if self.policy.ordered
            && let Some(Action::Create(made)) = actions.first()
        {
            let lower = self.seats.range(..usize::try_from(*made).unwrap());
            assert!(lower.clone().count() == usize::try_from(*made).unwrap(), "{made} came first");
            assert!(lower.clone().all(|(_, seat)| seat.is_sound()), "{made} did not wait");
        }
    }

    fn happen(&mut self) {
        let chosen = self.random.choice(self.seats.keys().copied().collect::<Vec<_>>());
        match (self.random.u8(0..14), chosen) {
            (0, _) => self.replicas = self.random.usize(0..6),
            (1, _) => self.revision += 1,
            (2, _) => self.policy.update = update(&mut self.random),
            (3, Some(at)) => self.seats.get_mut(&at).unwrap().failed = true,
            (4, Some(at)) => self.seats.get_mut(&at).unwrap().ready = false,
            (5, Some(at)) => self.seats.get_mut(&at).unwrap().deleting = true,
            // A node is lost with the pod.
            (6, Some(at)) => {
                self.seats.remove(&at);
            }
            (7..11, Some(at)) => self.seats.get_mut(&at).unwrap().ready = true,
            _ => self.seats.retain(|_, seat| !seat.deleting),
        }
    }

    /// From wherever it is, it arrives; only of several failed pods that are not wanted somebody has to take one away, as in
    /// Kubernetes.
    fn arrive(&mut self) {
        self.policy.update = Update::Rolling { partition: 0, unavailable: None };
        for _ in 0..200 {
            let before = self.seats.clone();
            self.run();
            self.seats.retain(|at, seat| !seat.deleting && (!seat.failed || *at < self.replicas));
            if self.seats == before && self.seats.values().all(|seat| seat.is_sound()) {
                assert_eq!(self.seats.keys().copied().collect::<Vec<_>>(), (0..self.replicas).collect::<Vec<_>>());
                assert!(self.seats.values().all(|seat| seat.revision == self.revision), "{:?}", self.seats);
                return;
            }
            self.seats.values_mut().for_each(|seat| seat.ready = true);
        }
        panic!("it does not arrive: {:?}", self.seats);
    }
}

fn update(random: &mut fastrand::Rng) -> Update {
    let partition = random.usize(0..3);
    match random.u8(0..4) {
        0 => Update::OnDelete,
        1 => Update::Rolling { partition, unavailable: Some(random.usize(1..4)) },
        _ => Update::Rolling { partition, unavailable: None },
    }
}

#[test]
fn stateful_sets_keep_their_order_whatever_happens_to_their_pods() {
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
