//! What must hold of placing whatever the cluster looks like, and what people expect of it in plain cases.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::resources::Resources;
use super::{Budget, Cache, NodeSpec, PodInfo, Preemption, Verdict, place, preempt};
use crate::object::{Draft, Kind, Object, Revision, kinds};

fn sealed(kind: &'static Kind, value: &Value) -> Object {
    Draft::new(kind, value).seal(Revision(1))
}

fn node(name: &str, cpu: i64, labels: Value) -> NodeSpec {
    let value = json!({"metadata": {"name": name, "labels": labels},
        "status": {"allocatable": {"cpu": cpu.to_string(), "memory": "64Gi", "pods": "110"}}});
    NodeSpec::of(&sealed(kinds::NODE, &value)).unwrap()
}

fn pod(name: &str, spec: Value) -> Arc<PodInfo> {
    let value = json!({"metadata": {"name": name, "namespace": "d", "uid": name, "labels": {"app": "w"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "w", "uid": "rs", "controller": true}]}, "spec": spec});
    Arc::new(PodInfo::of(&sealed(kinds::POD, &value)).unwrap())
}

fn asking(name: &str, cpu: i64, priority: i32) -> Arc<PodInfo> {
    let cpu = format!("{cpu}m");
    pod(name, json!({"priority": priority, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}))
}

/// Places the pods one after the other, as the loop does.
fn place_all(cache: &mut Cache, pods: &[Arc<PodInfo>]) -> Vec<Option<String>> {
    let place_one = |pod: &Arc<PodInfo>| match place(pod, cache.view()) {
        Verdict::Placed(placed) => {
            cache.advance(placed.examined);
            cache.set_pod(pod.clone(), &placed.node);
            Some(placed.node)
        }
        Verdict::Unfit(_) => None,
    };
    pods.iter().map(place_one).collect()
}

fn cluster(nodes: impl IntoIterator<Item = NodeSpec>) -> Cache {
    let mut cache = Cache::default();
    for spec in nodes {
        cache.set_node(spec);
    }
    cache
}

#[test]
fn the_pods_of_a_workload_spread_over_hosts_and_zones() {
    let labels = |name: &str, zone: &str| json!({"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone});
    let names = [("a", "z1"), ("b", "z1"), ("c", "z2"), ("d", "z2")];
    let mut cache = cluster(names.map(|(name, zone)| node(name, 64, labels(name, zone))));
    let pods: Vec<_> = (0..8).map(|n| asking(&format!("p{n}"), 100, 0)).collect();
    let placed: Vec<_> = place_all(&mut cache, &pods).into_iter().flatten().collect();
    let zone = |name: &String| names.iter().find(|(node, _)| node == name).unwrap().1;
    assert_ne!(zone(&placed[0]), zone(&placed[1]), "{placed:?}");
    for name in ["a", "b", "c", "d"] {
        assert_eq!(placed.iter().filter(|node| *node == name).count(), 2, "{placed:?}");
    }
}

#[test]
fn pods_that_want_to_be_together_can_begin_and_then_are() {
    let near = |name: &str| {
        pod(
            name,
            json!({"containers": [{"name": "c"}], "affinity": {"podAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone",
                "labelSelector": {"matchLabels": {"app": "w"}}}]}}}),
        )
    };
    let mut cache = cluster((0..6).map(|n| node(&format!("n{n}"), 4, json!({"zone": format!("z{}", n % 3)}))));
    let placed: Vec<_> = place_all(&mut cache, &[near("a"), near("b"), near("c")]).into_iter().flatten().collect();
    let zone = |name: &String| name[1..].parse::<u32>().unwrap() % 3;
    assert!(placed.len() == 3 && placed.iter().all(|name| zone(name) == zone(&placed[0])), "{placed:?}");
}

#[test]
fn a_pod_that_is_promised_room_keeps_it_from_lesser_pods_only() {
    let mut cache = cluster([node("a", 2, json!({}))]);
    cache.nominate(&asking("vip", 2000, 10), "a");
    assert!(matches!(place(&asking("small", 500, 0), cache.view()), Verdict::Unfit(_)));
    assert!(matches!(place(&asking("king", 500, 20), cache.view()), Verdict::Placed(_)));
    assert!(matches!(place(&asking("vip", 2000, 10), cache.view()), Verdict::Placed(_)));
    cache.forget_nomination("vip");
    assert!(matches!(place(&asking("small", 500, 0), cache.view()), Verdict::Placed(_)));
}

#[test]
fn pods_are_heard_of_before_their_node_and_after_it_is_gone() {
    let mut cache = Cache::default();
    cache.set_pod(asking("p", 1500, 0), "a");
    cache.set_node(node("a", 2, json!({})));
    assert!(matches!(place(&asking("q", 1000, 0), cache.view()), Verdict::Unfit(_)));
    cache.remove_node("a");
    assert_eq!(cache.remove_pod("p").unwrap().0, "a");
    cache.set_node(node("a", 2, json!({})));
    assert!(matches!(place(&asking("q", 1000, 0), cache.view()), Verdict::Placed(_)));
}

#[test]
fn the_zones_of_a_workload_follow_its_pods_and_their_nodes() {
    let mut cache = Cache::default();
    let zoned = |name: &str, zone: &str| node(name, 8, json!({"topology.kubernetes.io/zone": zone}));
    let fellow = |uid: &str| Arc::new(PodInfo { controller: Some("w".into()), ..(*asking(uid, 100, 0)).clone() });
    let zones = |cache: &Cache| -> Vec<(String, i64)> {
        cache.view().workloads.get("w").into_iter().flat_map(|fellows| fellows.in_zones.clone()).collect()
    };
    let told = |counts: &[(&str, i64)]| -> Vec<(String, i64)> {
        counts.iter().map(|(zone, count)| ((*zone).to_owned(), *count)).collect()
    };
    cache.set_pod(fellow("early"), "a");
    assert_eq!(zones(&cache), told(&[]), "its node is not known yet");
    cache.set_node(zoned("a", "east"));
    cache.set_node(zoned("b", "west"));
    cache.set_pod(fellow("late"), "b");
    cache.set_pod(fellow("later"), "b");
    assert_eq!(zones(&cache), told(&[("east", 1), ("west", 2)]));
    cache.set_node(zoned("b", "east"));
    cache.set_pod(fellow("early"), "b");
    assert_eq!(zones(&cache), told(&[("east", 3)]));
    cache.remove_node("b");
    assert_eq!(zones(&cache), told(&[]));
    cache.remove_pod("late");
    cache.set_node(zoned("b", "north"));
    assert_eq!(zones(&cache), told(&[("north", 2)]));
    ["early", "later"].into_iter().for_each(|uid| drop(cache.remove_pod(uid)));
    assert!(cache.view().workloads.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Adds, placements and removals in any order: no node ever has more than it can take, the same input gives the
    /// same placement, and a pod is refused only when it fits on no node.
    #[test]
    fn no_node_is_overfilled_and_placing_is_repeatable(
        sizes in prop::collection::vec(1..5_i64, 1..6),
        asked in prop::collection::vec((0..3000_i64, any::<bool>()), 1..60),
    ) {
        let run = || {
            let mut cache = cluster(sizes.iter().enumerate().map(|(n, cpu)| node(&format!("n{n}"), *cpu, json!({}))));
            let mut placements = Vec::new();
            for (number, (cpu, leaves)) in asked.iter().enumerate() {
                let pod = asking(&format!("p{number}"), *cpu, 0);
                let placed = place_all(&mut cache, std::slice::from_ref(&pod)).remove(0);
                if placed.is_none() {
                    let room = |n: &Arc<super::NodeInfo>| n.spec.allocatable.cpu - n.used.cpu >= *cpu;
                    assert!(!cache.view().nodes.iter().any(room), "refused, but there is room");
                }
                if *leaves && placed.is_some() {
                    cache.remove_pod(&pod.uid);
                }
                placements.push(placed);
            }
            (placements, cache)
        };
        let (placements, mut cache) = run();
        prop_assert_eq!(&placements, &run().0);
        for node in &cache.view().nodes {
            prop_assert!(node.used.cpu <= node.spec.allocatable.cpu);
        }
        (0..asked.len()).for_each(|number| drop(cache.remove_pod(&format!("p{number}"))));
        prop_assert!(cache.view().nodes.iter().all(|node| node.used == Resources::default() && node.pods.is_empty()));
    }

    /// Once its victims are gone, the pod fits on the node; and none of them could have stayed.
    #[test]
    fn preemption_takes_enough_and_not_one_too_many(
        held in prop::collection::vec((200..1500_i64, 0..10), 1..12),
        asked in 500..4000_i64,
    ) {
        let mut cache = cluster((0..3).map(|n| node(&format!("n{n}"), 4, json!({}))));
        let pods: Vec<_> =
            held.iter().enumerate().map(|(n, (cpu, priority))| asking(&format!("p{n}"), *cpu, *priority)).collect();
        place_all(&mut cache, &pods);
        let vip = asking("vip", asked, 5);
        let Verdict::Unfit(unfit) = place(&vip, cache.view()) else { return Ok(()) };
        let Preemption::Room { node, victims } = preempt(&vip, cache.view(), &unfit, &[]) else { return Ok(()) };
        prop_assert!(victims.iter().all(|victim| victim.priority < vip.priority));
        let room = |cache: &Cache| {
            let node = cache.view().node(&node).unwrap();
            node.spec.allocatable.cpu - node.used.cpu >= asked
        };
        victims.iter().for_each(|victim| drop(cache.remove_pod(&victim.uid)));
        prop_assert!(room(&cache));
        for victim in victims {
            cache.set_pod(victim.clone(), &node);
            prop_assert!(!room(&cache), "{} could have stayed", victim.key);
            cache.remove_pod(&victim.uid);
        }
    }
}

/// A budget over the pods `app: w` of the namespace `d` that allows so many disruptions.
fn budget(allowed: i32) -> Budget {
    let value = json!({"metadata": {"name": "b", "namespace": "d"},
        "spec": {"selector": {"matchLabels": {"app": "w"}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}});
    Budget::of(&sealed(kinds::DISRUPTION_BUDGET, &value)).unwrap()
}

fn unprotected(name: &str, cpu: i64, priority: i32) -> Arc<PodInfo> {
    let mut free = (*asking(name, cpu, priority)).clone();
    free.labels.insert("app".to_owned(), "other".to_owned());
    Arc::new(free)
}

#[test]
fn a_budget_is_broken_only_where_there_is_no_other_room() {
    let vip = asking("vip", 1000, 100);
    // Each node with its pods; all of them have to leave room for the one that comes.
    for (nodes, allowed, want) in [
        // The more important pod goes, because the other is protected.
        (vec![vec![asking("safe", 1000, 1)], vec![unprotected("free", 1000, 5)]], 0, "free"),
        (vec![vec![asking("safe", 1000, 1)], vec![unprotected("free", 1000, 5)]], 1, "safe"),
        // On one node the protected one is kept first.
        (vec![vec![asking("safe", 1000, 1), unprotected("free", 1000, 5)]], 0, "free"),
        (vec![vec![asking("safe", 1000, 1)]], 0, "safe"),
        (vec![vec![asking("one", 500, 1), asking("two", 500, 1)]], 1, "one two"),
    ] {
        let cpu = |pods: &Vec<Arc<PodInfo>>| pods.iter().map(|pod| pod.requests.cpu).sum::<i64>() / 1000;
        let names = ["a", "b"];
        let mut cache = cluster(nodes.iter().zip(names).map(|(pods, name)| node(name, cpu(pods).max(1), json!({}))));
        for (pods, name) in nodes.iter().zip(names) {
            pods.iter().for_each(|pod| cache.set_pod(pod.clone(), name));
        }
        let Verdict::Unfit(unfit) = place(&vip, cache.view()) else { panic!("there is room") };
        let Preemption::Room { victims, .. } = preempt(&vip, cache.view(), &unfit, &[budget(allowed)]) else {
            panic!("no room is made")
        };
        let mut gone: Vec<&str> = victims.iter().map(|victim| victim.key.name.as_str()).collect();
        gone.sort_unstable();
        assert_eq!(gone.join(" "), want, "{allowed} allowed");
    }
}
