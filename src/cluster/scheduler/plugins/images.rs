//! Prefers nodes that have the pod's images already.

use std::collections::HashMap;

use super::super::framework::{MOST, Score};
use super::super::node::NodeInfo;
use super::super::pod::PodInfo;
use super::super::view::ClusterView;

pub struct Locality;

/// Fewer bytes are pulled in no time; more, a container, count no further.
const LEAST_BYTES: i64 = 23 << 20;
const MOST_BYTES: i64 = 1000 << 20;

impl Score for Locality {
    fn weight(&self) -> i64 {
        1
    }

    fn score(&self, pod: &PodInfo, view: &ClusterView, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
        if nodes.iter().all(|node| node.spec.images.is_empty()) {
            return None;
        }
        let names: Vec<String> = pod.images.iter().map(|image| with_tag(image)).collect();
        // An image that few nodes have draws less, or all pods of it would gather on these.
        let holders = |name: &String| view.nodes.iter().filter(|n| n.spec.images.contains_key(name)).count();
        let spread: HashMap<&String, usize> = names.iter().map(|name| (name, holders(name))).collect();
        let all = view.nodes.len().max(1);
        let most = MOST_BYTES * i64::try_from(names.len().max(1)).unwrap_or(1);
        let score = |node: &&NodeInfo| {
            let weighed = |name: &String| {
                let size = node.spec.images.get(name).copied().unwrap_or_default();
                let part = i128::from(size) * spread[name] as i128 / all as i128;
                i64::try_from(part).unwrap_or(i64::MAX)
            };
            let bytes: i64 = names.iter().map(weighed).sum();
            MOST * (bytes.clamp(LEAST_BYTES, most) - LEAST_BYTES) / (most - LEAST_BYTES)
        };
        Some(nodes.iter().map(score).collect())
    }
}

/// An image without tag and digest is the one with the tag `latest`.
fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains(':') || last.contains('@') { image.to_owned() } else { format!("{image}:latest") }
}
