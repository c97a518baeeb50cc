//! Decides on which node a pod goes, or why on none. Pure: same pod, same view, same verdict.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::framework::{Check, Filter, Rejection, Wake};
use super::node::NodeInfo;
use super::plugins::{AMONG_PODS, OF_THE_NODE, SCORES, named_nodes};
use super::pod::PodInfo;
use super::view::ClusterView;

/// In clusters of up to so many nodes each is looked at, and so many are enough in larger ones.
const FEW: usize = 100;

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Placed(Placed),
    Unfit(Unfit),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    pub node: String,
    /// Nodes that were looked at; the next search begins after them.
    pub examined: usize,
}

/// Why no node can take the pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unfit {
    /// Nodes of the cluster.
    pub nodes: usize,
    /// Nodes a reason.
    pub reasons: BTreeMap<Cow<'static, str>, usize>,
    /// Something that is wrong with the pod, whatever the node.
    pub pod: Option<String>,
    /// Positions of the nodes where removing pods could help.
    pub crowded: Vec<usize>,
    /// What can turn this verdict.
    pub wake: Wake,
}

pub fn place(pod: &PodInfo, view: &ClusterView) -> Verdict {
    let mut unfit = Unfit { nodes: view.nodes.len(), wake: Wake::NODE, ..Unfit::default() };
    let checks = Checks::prepare(pod, view);
    let (feasible, examined) = match named_nodes(pod) {
        Some(names) => (among_named(&names, &checks, view, &mut unfit), 0),
        None => search(&checks, view, &mut unfit),
    };
    match best(pod, view, &feasible) {
        Some(node) => Verdict::Placed(Placed { node: node.name().to_owned(), examined }),
        None => Verdict::Unfit(unfit),
    }
}

/// Looks at nodes from `view.start` on, until enough can take the pod.
fn search<'a>(checks: &Checks<'a>, view: &'a ClusterView, unfit: &mut Unfit) -> (Vec<&'a NodeInfo>, usize) {
    let (all, enough) = (view.nodes.len(), enough(view.nodes.len()));
    let mut feasible = Vec::with_capacity(enough);
    let mut examined = 0;
    while examined < all && feasible.len() < enough {
        let index = (view.start + examined) % all;
        examined += 1;
        match checks.check(&view.nodes[index]) {
            Ok(()) => feasible.push(&*view.nodes[index]),
            Err(rejected) => unfit.note(rejected, index),
        }
    }
    // In the order of names, so that where the search began does not decide between equals.
    let wrapped = feasible.windows(2).position(|pair| pair[1].name() < pair[0].name());
    feasible.rotate_left(wrapped.map_or(0, |last| last + 1));
    (feasible, examined)
}

fn among_named<'a>(
    names: &std::collections::BTreeSet<&str>,
    checks: &Checks<'a>,
    view: &'a ClusterView,
    unfit: &mut Unfit,
) -> Vec<&'a NodeInfo> {
    let known: Vec<usize> = names.iter().filter_map(|name| view.position(name).ok()).collect();
    let others = view.nodes.len() - known.len();
    if others > 0 {
        unfit.reasons.insert("node(s) didn't satisfy plugin(s) [NodeAffinity]".into(), others);
    }
    let mut feasible = Vec::new();
    for index in known {
        match checks.check(&view.nodes[index]) {
            Ok(()) => feasible.push(&*view.nodes[index]),
            Err(rejected) => unfit.note(rejected, index),
        }
    }
    feasible
}

/// How many nodes to choose from: all of few, a half of some, a twentieth of very many; never less than 100.
fn enough(nodes: usize) -> usize {
    let percent = 50_usize.saturating_sub(nodes / 125).max(5);
    (nodes * percent / 100).max(FEW)
}

/// The node with the highest score; of equals, the one with the fewest pods, then the first by name.
fn best<'a>(pod: &PodInfo, view: &ClusterView, feasible: &[&'a NodeInfo]) -> Option<&'a NodeInfo> {
    if feasible.len() < 2 {
        return feasible.first().copied();
    }
    let mut totals = vec![0_i64; feasible.len()];
    for plugin in SCORES {
        for (total, score) in totals.iter_mut().zip(plugin.score(pod, view, feasible).into_iter().flatten()) {
            *total += score * plugin.weight();
        }
    }
    let ranked = feasible.iter().zip(totals).enumerate();
    ranked
        .max_by_key(|(index, (node, total))| (*total, Reverse(node.pods.len()), Reverse(*index)))
        .map(|(_, (n, _))| *n)
}

impl Unfit {
    fn note(&mut self, rejected: Rejected, index: usize) {
        for reason in rejected.rejection.reasons {
            *self.reasons.entry(reason).or_default() += 1;
        }
        if !rejected.rejection.lasting {
            self.crowded.push(index);
        }
        self.wake = self.wake.or(rejected.turned_by);
    }
}

/// All filters that have something to say about one pod.
pub(super) struct Checks<'a> {
    pod: &'a PodInfo,
    view: &'a ClusterView,
    checks: Vec<(&'static dyn Filter, Box<dyn Check + 'a>)>,
}

struct Rejected {
    rejection: Rejection,
    turned_by: Wake,
}

impl<'a> Checks<'a> {
    fn prepare(pod: &'a PodInfo, view: &'a ClusterView) -> Self {
        let filters = OF_THE_NODE.iter().chain(AMONG_PODS);
        let checks = filters.filter_map(|filter| Some((*filter, filter.prepare(pod, view)?))).collect();
        Self { pod, view, checks }
    }

    /// Also with the pods that were promised room on the node, if they are as important as this one.
    fn check(&self, node: &NodeInfo) -> Result<(), Rejected> {
        self.check_bare(node)?;
        if self.view.nominated.is_empty() {
            return Ok(());
        }
        let promised = self.view.nominated.get(node.name()).into_iter().flatten();
        let promised: Vec<_> =
            promised.filter(|other| other.priority >= self.pod.priority && other.uid != self.pod.uid).collect();
        if promised.is_empty() {
            return Ok(());
        }
        let mut crowded = node.clone();
        promised.into_iter().for_each(|other| crowded.add(other.clone()));
        let view = self.view.with(crowded);
        match view.node(node.name()) {
            Some(crowded) => Checks::prepare(self.pod, &view).check_bare(crowded),
            None => Ok(()),
        }
    }

    fn check_bare(&self, node: &NodeInfo) -> Result<(), Rejected> {
        for (filter, check) in &self.checks {
            check.check(node).map_err(|rejection| Rejected { rejection, turned_by: filter.turned_by() })?;
        }
        Ok(())
    }
}

/// The node of this view can take the pod.
///
/// # Errors
/// Why it cannot.
pub(super) fn fits(pod: &PodInfo, view: &ClusterView, node: &NodeInfo) -> Result<(), Rejection> {
    Checks::prepare(pod, view).check(node).map_err(|rejected| rejected.rejection)
}

/// The node can take the pod as far as the node itself goes, whatever is on other nodes.
pub(super) fn fits_alone(pod: &PodInfo, view: &ClusterView, node: &NodeInfo) -> bool {
    OF_THE_NODE.iter().all(|filter| filter.prepare(pod, view).is_none_or(|check| check.check(node).is_ok()))
}
