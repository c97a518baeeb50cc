//! Room for what a pod asks for; and the preference for nodes with more room, evenly used.

use std::borrow::Cow;

use super::super::framework::{Check, Filter, MOST, Rejection, Score, Wake};
use super::super::node::NodeInfo;
use super::super::pod::PodInfo;
use super::super::view::ClusterView;

pub struct Fits;

impl Filter for Fits {
    fn prepare<'a>(&self, pod: &'a PodInfo, _: &'a ClusterView) -> Option<Box<dyn Check + 'a>> {
        Some(Box::new(Room(pod)))
    }

    fn turned_by(&self) -> Wake {
        Wake::NODE.or(Wake::FREED)
    }
}

struct Room<'a>(&'a PodInfo);

impl Check for Room<'_> {
    fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        let (asked, has, used) = (&self.0.requests, &node.spec.allocatable, &node.used);
        let mut missing = Missing::default();
        if i64::try_from(node.pods.len()).unwrap_or(i64::MAX) >= node.spec.most_pods {
            missing.reasons.push("Too many pods".into());
        }
        missing.compare(asked.cpu, has.cpu, used.cpu, || "Insufficient cpu".into());
        missing.compare(asked.memory, has.memory, used.memory, || "Insufficient memory".into());
        missing.compare(asked.storage, has.storage, used.storage, || "Insufficient ephemeral-storage".into());
        for (name, amount) in &asked.extended {
            let of = |amounts: &std::collections::BTreeMap<String, i64>| amounts.get(name).copied().unwrap_or_default();
            missing.compare(*amount, of(&has.extended), of(&used.extended), || format!("Insufficient {name}").into());
        }
        match missing.reasons.is_empty() {
            true => Ok(()),
            false => Err(Rejection { reasons: missing.reasons, lasting: missing.lasting }),
        }
    }
}

#[derive(Default)]
struct Missing {
    reasons: Vec<Cow<'static, str>>,
    lasting: bool,
}

impl Missing {
    fn compare(&mut self, asked: i64, has: i64, used: i64, reason: impl FnOnce() -> Cow<'static, str>) {
        if asked > 0 && asked > has.saturating_sub(used) {
            self.reasons.push(reason());
            // Not even the empty node has that much.
            self.lasting |= asked > has;
        }
    }
}

/// Prefers the node that has the most left of CPU and memory once the pod is on it.
pub struct LeastAllocated;

impl Score for LeastAllocated {
    fn weight(&self) -> i64 {
        1
    }

    fn score(&self, pod: &PodInfo, _: &ClusterView, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
        let left = |has: i64, used: i64, asked: i64| {
            let left = has.saturating_sub(used).saturating_sub(asked).max(0);
            if has > 0 {
                i64::try_from(i128::from(left) * i128::from(MOST) / i128::from(has)).unwrap_or(MOST)
            } else {
                0
            }
        };
        let score = |node: &&NodeInfo| {
            let (has, used, asked) = (&node.spec.allocatable, &node.guess, &pod.guess);
            (left(has.cpu, used.cpu, asked.cpu) + left(has.memory, used.memory, asked.memory)) / 2
        };
        Some(nodes.iter().map(score).collect())
    }
}

/// Prefers the node of which CPU and memory are then used in like parts.
pub struct Balanced;

impl Score for Balanced {
    fn weight(&self) -> i64 {
        1
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // parts of at most 1
    fn score(&self, pod: &PodInfo, _: &ClusterView, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
        if pod.requests.cpu == 0 && pod.requests.memory == 0 {
            return None;
        }
        let part = |has: i64, used: i64| if has > 0 { (used as f64 / has as f64).min(1.0) } else { 1.0 };
        let score = |node: &&NodeInfo| {
            let (has, used, asked) = (&node.spec.allocatable, &node.used, &pod.requests);
            let apart = part(has.cpu, used.cpu + asked.cpu) - part(has.memory, used.memory + asked.memory);
            // The standard deviation of two numbers is half their distance.
            ((1.0 - apart.abs() / 2.0) * MOST as f64) as i64
        };
        Some(nodes.iter().map(score).collect())
    }
}
