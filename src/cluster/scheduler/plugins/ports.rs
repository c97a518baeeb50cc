//! A port of a node can be taken once an address and protocol.

use super::super::framework::{Check, Filter, Rejection, Wake};
use super::super::node::NodeInfo;
use super::super::pod::PodInfo;
use super::super::view::ClusterView;

pub struct Free;

impl Filter for Free {
    fn prepare<'a>(&self, pod: &'a PodInfo, _: &'a ClusterView) -> Option<Box<dyn Check + 'a>> {
        (!pod.ports.is_empty()).then(|| Box::new(NotTaken(pod)) as _)
    }

    fn turned_by(&self) -> Wake {
        Wake::NODE.or(Wake::FREED)
    }
}

struct NotTaken<'a>(&'a PodInfo);

impl Check for NotTaken<'_> {
    fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        let taken = self.0.ports.iter().any(|port| node.ports.iter().any(|held| held.conflicts(port)));
        match taken {
            true => Err(Rejection::of_pods("node(s) didn't have free ports for the requested pod ports")),
            false => Ok(()),
        }
    }
}
