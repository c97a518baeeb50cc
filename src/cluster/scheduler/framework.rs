//! What a plugin is: a filter says which nodes can take a pod, a score which of those suit it best. Both see a view
//! and return values; neither keeps state. A rejection is a value that says why, and what could change it.

use std::borrow::Cow;

use super::node::NodeInfo;
use super::pod::PodInfo;
use super::view::ClusterView;

/// Rules nodes out. Filters are asked in order, and the first rejection of a node is the one that is told.
pub trait Filter: Sync {
    /// Looks at the pod and the cluster once, so that each node costs little. `None` when the pod asks nothing
    /// of this plugin.
    fn prepare<'a>(&self, pod: &'a PodInfo, view: &'a ClusterView) -> Option<Box<dyn Check + 'a>>;

    /// What can turn a rejection of this plugin.
    fn turned_by(&self) -> Wake;
}

/// A filter for one pod.
pub trait Check {
    /// # Errors
    /// Why the node cannot take the pod.
    fn check(&self, node: &NodeInfo) -> Result<(), Rejection>;
}

/// Prefers nodes.
pub trait Score: Sync {
    fn weight(&self) -> i64;

    /// 0 to 100 for each of `nodes`, all of which can take the pod; `None` when they are all the same.
    fn score(&self, pod: &PodInfo, view: &ClusterView, nodes: &[&NodeInfo]) -> Option<Vec<i64>>;
}

pub const MOST: i64 = 100;

/// Why a node cannot take a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub reasons: Vec<Cow<'static, str>>,
    /// Removing pods from the node would not help.
    pub lasting: bool,
}

impl Rejection {
    pub fn lasting(reason: &'static str) -> Self {
        Self { reasons: vec![reason.into()], lasting: true }
    }

    pub fn of_pods(reason: &'static str) -> Self {
        Self { reasons: vec![reason.into()], lasting: false }
    }
}

/// Kinds of changes of the cluster, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wake(u8);

impl Wake {
    pub const NOTHING: Self = Self(0);
    /// A node came or changed.
    pub const NODE: Self = Self(1);
    /// A pod left its node.
    pub const FREED: Self = Self(2);
    /// A pod came to a node, or its labels changed.
    pub const PODS: Self = Self(4);
    /// A claim or a volume came or changed.
    pub const CLAIMS: Self = Self(8);

    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Stretches amounts so that the largest is 100 and 0 stays 0.
pub fn stretched(mut amounts: Vec<i64>) -> Vec<i64> {
    let largest = amounts.iter().copied().max().unwrap_or_default();
    if largest > 0 {
        amounts.iter_mut().for_each(|amount| *amount = *amount * MOST / largest);
    }
    amounts
}

/// The same for what is bad: nothing of it is 100.
pub fn stretched_down(amounts: Vec<i64>) -> Vec<i64> {
    stretched(amounts).into_iter().map(|amount| MOST - amount).collect()
}
