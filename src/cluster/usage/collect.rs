//! Asks every connected node for its counters from time to time, and keeps what follows from them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{sleep, timeout};

use super::{Usages, rates};
use crate::cluster::server::{Links, NodeStreams};
use crate::streams::{Measurement, Request, measurement};

const PERIOD: Duration = Duration::from_secs(10);
/// The first rate of a node needs two measurements: the second is not waited for so long.
const FIRST: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(20);

/// Runs until it is dropped.
pub async fn collect(links: Links, usages: Usages) {
    let mut before: BTreeMap<String, Measurement> = BTreeMap::new();
    loop {
        let nodes = links.connected();
        for gone in before.keys().filter(|node| !nodes.contains(node)) {
            usages.forget(gone);
        }
        before.retain(|node, _| nodes.contains(node));
        let asked = nodes.iter().map(|node| async { (node.clone(), measure(&links, node).await) });
        for (node, measured) in join_all(asked).await {
            match measured {
                Some(after) => {
                    if let Some(before) = before.get(&node) {
                        let (own, pods) = rates::between(&node, before, &after);
                        usages.record(&node, own, pods);
                    }
                    before.insert(node, after);
                }
                // What is not known any more is not shown.
                None => {
                    usages.forget(&node);
                    before.remove(&node);
                }
            }
        }
        let new = nodes.iter().any(|node| usages.node(node).is_none() && before.contains_key(node));
        sleep(if new || nodes.is_empty() { FIRST } else { PERIOD }).await;
    }
}

async fn measure(links: &Links, node: &str) -> Option<Measurement> {
    let asking = async {
        let opened = links.open(node, Request::Measure).await.map_err(|error| error.to_string())?;
        measurement(opened).await
    };
    match timeout(ANSWER, asking).await {
        Ok(Ok(measured)) => Some(measured),
        Ok(Err(error)) => {
            tracing::debug!(node, error, "a node could not be measured");
            None
        }
        Err(_) => None,
    }
}
