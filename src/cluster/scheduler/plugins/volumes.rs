//! Where the pod's volumes are, or can be.

use super::super::claims::Reach;
use super::super::framework::{Check, Filter, Rejection, Wake};
use super::super::node::NodeInfo;
use super::super::pod::PodInfo;
use super::super::view::ClusterView;

pub struct Reachable;

impl Filter for Reachable {
    fn prepare<'a>(&self, pod: &'a PodInfo, _: &'a ClusterView) -> Option<Box<dyn Check + 'a>> {
        (!pod.volumes.is_empty()).then(|| Box::new(Reaches(pod)) as _)
    }

    fn turned_by(&self) -> Wake {
        Wake::NODE.or(Wake::CLAIMS)
    }
}

struct Reaches<'a>(&'a PodInfo);

impl Check for Reaches<'_> {
    fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        let (name, labels) = (node.name(), &node.spec.labels);
        for place in &self.0.volumes {
            match &place.reach {
                Reach::Bound(terms) if !terms.iter().any(|term| term.matches(name, labels)) => {
                    return Err(Rejection::lasting("node(s) didn't match PersistentVolume's node affinity"));
                }
                Reach::Chosen { volumes, made: false } if !volumes.iter().any(|v| v.is_reachable(name, labels)) => {
                    return Err(Rejection::lasting("node(s) didn't find available persistent volumes to bind"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
