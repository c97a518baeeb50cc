//! Keeps pods off nodes that are cordoned or have taints that the pod does not tolerate.

use k8s_openapi::api::core::v1::Taint;

use super::super::framework::{Check, Filter, Rejection, Score, Wake, stretched_down};
use super::super::node::NodeInfo;
use super::super::pod::PodInfo;
use super::super::selectors::tolerates;
use super::super::view::ClusterView;

/// `kubectl cordon`.
pub struct Unschedulable;

impl Filter for Unschedulable {
    fn prepare<'a>(&self, pod: &'a PodInfo, _: &'a ClusterView) -> Option<Box<dyn Check + 'a>> {
        let key = "node.kubernetes.io/unschedulable".to_owned();
        let taint = Taint { key, effect: "NoSchedule".into(), ..Taint::default() };
        let tolerated = pod.tolerations.iter().any(|toleration| tolerates(toleration, &taint));
        (!tolerated).then(|| Box::new(NotCordoned) as _)
    }

    fn turned_by(&self) -> Wake {
        Wake::NODE
    }
}

struct NotCordoned;

impl Check for NotCordoned {
    fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        match node.spec.unschedulable {
            true => Err(Rejection::lasting("node(s) were unschedulable")),
            false => Ok(()),
        }
    }
}

pub struct Untolerated;

impl Filter for Untolerated {
    fn prepare<'a>(&self, pod: &'a PodInfo, _: &'a ClusterView) -> Option<Box<dyn Check + 'a>> {
        Some(Box::new(Tolerates(pod)))
    }

    fn turned_by(&self) -> Wake {
        Wake::NODE
    }
}

struct Tolerates<'a>(&'a PodInfo);

impl Check for Tolerates<'_> {
    fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        match tolerated(self.0, node) {
            true => Ok(()),
            false => Err(Rejection::lasting("node(s) had untolerated taint(s)")),
        }
    }
}

/// The pod tolerates all taints of the node that forbid it.
pub(super) fn tolerated(pod: &PodInfo, node: &NodeInfo) -> bool {
    let mut forbidding = node.spec.taints.iter().filter(|t| matches!(t.effect.as_str(), "NoSchedule" | "NoExecute"));
    forbidding.all(|taint| pod.tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}

/// Avoids taints of effect `PreferNoSchedule`.
pub struct Preferred;

impl Score for Preferred {
    fn weight(&self) -> i64 {
        3
    }

    fn score(&self, pod: &PodInfo, _: &ClusterView, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
        let unwanted = |taint: &&Taint| {
            taint.effect == "PreferNoSchedule" && !pod.tolerations.iter().any(|toleration| tolerates(toleration, taint))
        };
        let count =
            |node: &&NodeInfo| i64::try_from(node.spec.taints.iter().filter(unwanted).count()).unwrap_or(i64::MAX);
        let counts: Vec<i64> = nodes.iter().map(count).collect();
        counts.iter().any(|count| *count > 0).then(|| stretched_down(counts))
    }
}
