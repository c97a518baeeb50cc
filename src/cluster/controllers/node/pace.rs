//! How fast nodes may lose their pods. Pure. When many nodes fail at once the fault is more likely to be in the
//! network, or here, than in each of them, and moving everything would make it worse.

use std::time::Duration;

/// Nodes of a zone, or of the whole cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub ready: usize,
    pub silent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One node of the zone in this time.
    Every(Duration),
    Stopped,
}

const NORMAL: Pace = Pace::Every(Duration::from_secs(10));
const SLOW: Pace = Pace::Every(Duration::from_secs(100));
/// A smaller cluster stops where a larger one goes slowly.
const LARGE: usize = 50;

/// The pace of `zone`. Nothing is evicted while no node of the cluster is ready.
pub fn pace(zone: Count, cluster: Count) -> Pace {
    if cluster.ready == 0 {
        return Pace::Stopped;
    }
    let all = zone.ready + zone.silent;
    // 55 % of a zone and more than two nodes: its network is to blame.
    let disturbed = zone.silent > 2 && zone.silent * 100 >= all * 55;
    match (disturbed, zone.ready) {
        // A zone that failed whole moves to the others at the usual pace: they are fine.
        (_, 0) | (false, _) => NORMAL,
        (true, _) if cluster.ready + cluster.silent > LARGE => SLOW,
        (true, _) => Pace::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hiccup_of_the_whole_cluster_evicts_nobody() {
        let count = |ready, silent| Count { ready, silent };
        for (zone, cluster, want) in [
            (count(2, 1), count(2, 1), NORMAL),
            (count(1, 2), count(1, 2), NORMAL),
            (count(0, 1), count(0, 1), Pace::Stopped),
            (count(0, 300), count(0, 300), Pace::Stopped),
            (count(0, 3), count(3, 3), NORMAL),
            (count(2, 3), count(2, 3), Pace::Stopped),
            (count(20, 40), count(20, 40), SLOW),
            (count(30, 10), count(30, 10), NORMAL),
        ] {
            assert_eq!(pace(zone, cluster), want, "{zone:?} of {cluster:?}");
        }
    }
}
