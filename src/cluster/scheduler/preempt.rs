//! Decides whether less important pods make room for one that fits nowhere, and which. Pure. Disruption budgets are kept
//! where there is a choice, and broken where there is none.
//! (Kubernetes documentation, "Pod Priority and Preemption".)

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::message;
use super::node::NodeInfo;
use super::place::{Unfit, fits};
use super::pod::PodInfo;
use super::view::ClusterView;
use crate::object::selector::Selector;
use crate::object::{Object, ObjectKey};

/// Of many nodes on which room could be made, so many are thought through, or a tenth.
const CANDIDATES: usize = 100;

#[derive(Clone, Debug, PartialEq)]
pub enum Preemption {
    /// These pods go, and the node is kept for the pod meanwhile.
    Room { node: String, victims: Vec<Arc<PodInfo>> },
    /// Room is being made already.
    Awaited(String),
    /// Why nothing is preempted.
    Refused(String),
}

/// A disruption budget, as far as it concerns preemption.
#[derive(Clone, Debug)]
pub struct Budget {
    namespace: String,
    selector: Selector,
    /// Disruptions that it allows now.
    allowed: i32,
    /// Names of the pods whose disruption is charged already.
    charged: BTreeSet<String>,
}

impl Budget {
    /// `None` for one that selects nothing, or everything: neither protects from preemption, as in Kubernetes.
    pub fn of(object: &Object) -> Option<Self> {
        let budget = object.typed::<PodDisruptionBudget>().ok()?;
        let selector = Selector::of_workload(budget.spec.as_ref()?.selector.as_ref()?).ok()?;
        let status = budget.status.clone().unwrap_or_default();
        (!selector.is_everything()).then(|| Self {
            namespace: object.key.namespace.clone(),
            selector,
            allowed: status.disruptions_allowed,
            charged: status.disrupted_pods.unwrap_or_default().into_keys().collect(),
        })
    }

    fn protects(&self, pod: &PodInfo) -> bool {
        self.namespace == pod.key.namespace
            && self.selector.matches(&pod.labels)
            && !self.charged.contains(&pod.key.name)
    }
}

/// `unfit` is the verdict on the pod in the same view.
pub fn preempt(pod: &PodInfo, view: &ClusterView, unfit: &Unfit, budgets: &[Budget]) -> Preemption {
    if !pod.may_preempt {
        return Preemption::Refused("not eligible due to preemptionPolicy=Never.".into());
    }
    if awaits_its_room(pod, view, unfit) {
        return Preemption::Awaited("not eligible due to a terminating pod on the nominated node.".into());
    }
    let mut reasons: BTreeMap<Cow<'static, str>, usize> = BTreeMap::new();
    let hopeless = unfit.nodes - unfit.crowded.len();
    if hopeless > 0 {
        reasons.insert("Preemption is not helpful for scheduling".into(), hopeless);
    }
    let most = CANDIDATES.max(view.nodes.len() / 10);
    let mut candidates = Vec::new();
    for node in unfit.crowded.iter().filter_map(|index| view.nodes.get(*index)) {
        if candidates.len() == most {
            break;
        }
        match victims(pod, view, node, budgets) {
            Ok(victims) => candidates.push((node, victims)),
            Err(whys) => whys.into_iter().for_each(|why| *reasons.entry(why).or_default() += 1),
        }
    }
    match candidates.into_iter().min_by_key(|(_, victims)| (victims.against_budgets, harm(&victims.pods))) {
        Some((node, Victims { pods: victims, .. })) => Preemption::Room { node: node.name().to_owned(), victims },
        None => Preemption::Refused(message::nodes(unfit.nodes, &reasons)),
    }
}

/// Room is being made for the pod already: it does not ask for more before that is done.
fn awaits_its_room(pod: &PodInfo, view: &ClusterView, unfit: &Unfit) -> bool {
    let Some(node) = pod.nominated.as_deref().and_then(|name| view.position(name).ok()) else { return false };
    let leaving = |other: &Arc<PodInfo>| other.terminating && other.priority < pod.priority;
    unfit.crowded.contains(&node) && view.nodes[node].pods.iter().any(leaving)
}

/// Pods that have to go from one node.
struct Victims {
    pods: Vec<Arc<PodInfo>>,
    /// How many of them a budget protects.
    against_budgets: usize,
}

/// The fewest pods of the node that have to go: all less important ones, but for those that still fit beside the pod.
fn victims(
    pod: &PodInfo,
    view: &ClusterView,
    node: &NodeInfo,
    budgets: &[Budget],
) -> Result<Victims, Vec<Cow<'static, str>>> {
    let mut lesser: Vec<_> = node.pods.iter().filter(|other| other.priority < pod.priority).cloned().collect();
    if lesser.is_empty() {
        return Err(vec!["No preemption victims found for incoming pod".into()]);
    }
    let mut left = node.clone();
    for other in &lesser {
        left.remove(&other.uid);
    }
    let holds = |node: &NodeInfo| fits(pod, &view.with(node.clone()), node);
    holds(&left).map_err(|rejection| rejection.reasons)?;
    lesser.sort_by_key(importance);
    // The protected ones are kept first, and of each sort the most important.
    let (protected, free) = split_protected(lesser, budgets);
    let mut goes = |other: &Arc<PodInfo>| {
        left.add(other.clone());
        let kept = holds(&left).is_ok();
        if !kept {
            left.remove(&other.uid);
        }
        !kept
    };
    let mut pods: Vec<_> = protected.into_iter().filter(&mut goes).collect();
    let against_budgets = pods.len();
    pods.extend(free.into_iter().filter(&mut goes));
    pods.sort_by_key(importance);
    Ok(Victims { pods, against_budgets })
}

/// The most important first, and of equals the oldest.
fn importance(pod: &Arc<PodInfo>) -> (Reverse<i32>, Option<jiff::Timestamp>, ObjectKey) {
    (Reverse(pod.priority), pod.since, pod.key.clone())
}

/// Those whose end would be one more than a budget allows, were all of them to go in this order; and the others.
fn split_protected(pods: Vec<Arc<PodInfo>>, budgets: &[Budget]) -> (Vec<Arc<PodInfo>>, Vec<Arc<PodInfo>>) {
    let mut allowed: Vec<i32> = budgets.iter().map(|budget| budget.allowed).collect();
    pods.into_iter().partition(|pod| {
        let mut exceeds = false;
        for (_, left) in budgets.iter().zip(&mut allowed).filter(|(budget, _)| budget.protects(pod)) {
            *left -= 1;
            exceeds |= *left < 0;
        }
        exceeds
    })
}

/// What preempting them costs, to be compared: the importance of the most important, of all, their number, and how
/// long the most important have run.
fn harm(victims: &[Arc<PodInfo>]) -> (i32, i64, usize, Reverse<Option<jiff::Timestamp>>) {
    let highest = victims.iter().map(|victim| victim.priority).max().unwrap_or(i32::MIN);
    // Shifted, so that one more victim is never a gain, whatever its sign.
    let sum = victims.iter().map(|victim| i64::from(victim.priority) - i64::from(i32::MIN)).sum();
    let oldest = victims.iter().filter(|victim| victim.priority == highest).filter_map(|victim| victim.since).min();
    (highest, sum, victims.len(), Reverse(oldest))
}
